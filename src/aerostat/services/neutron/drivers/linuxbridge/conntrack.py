"""Forgets the connections of guests whose rules changed, so that the new rules hold for them."""

import subprocess

from aerostat.services.neutron.drivers.linuxbridge.ruleset import zones
from aerostat.services.neutron.model.wanted import PortWanted, Wanted

TIMEOUT_S = 30


class Flusher:
    """Remembers each port's rules as last applied; the first run forgets nothing."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def changed(self, wanted: Wanted) -> None:
        """Forget the connections of the ports whose rules are not as they were."""
        rules = {g.id: hash(repr(g)) for g in wanted.security_groups}
        members = {name: hash(tuple(sorted(m))) for name, m in wanted.groups.items()}
        before, self._seen = self._seen, {}
        zone = zones(wanted)
        for port in wanted.ports:
            self._seen[port.id] = _fingerprint(port, rules, members)
            if before.get(port.id, self._seen[port.id]) != self._seen[port.id]:
                _forget(port, zone.get(port.bridge, 0))


def _fingerprint(port: PortWanted, rules: dict[str, int], members: dict[str, int]) -> int:
    groups = tuple((g, rules.get(g)) for g in sorted(port.security_groups))
    return hash((groups, port.port_security, tuple(sorted(members.items()))))


def _forget(port: PortWanted, zone: int) -> None:
    for address in port.addresses:
        for side in ("-s", "-d"):
            subprocess.run(
                ["conntrack", "-D", "-w", str(zone), side, address.ip],
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )

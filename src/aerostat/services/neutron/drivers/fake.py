"""A data plane of dictionaries, for tests and for scale: every port is wired at once."""

import socket
from collections.abc import Callable

from aerostat.services.neutron.drivers.base import Applied, Listener
from aerostat.services.neutron.model.wanted import Wanted


class FakeDataplane:
    """Holds what a host would have; `listen` gives loopback sockets."""

    def __init__(self) -> None:
        self.have: dict[str, object] = {}
        self.syncs = 0
        self.break_with: str | None = None

    def sync(self, wanted: Wanted) -> Applied:
        self.syncs += 1
        if self.break_with is not None:
            return Applied([], [], {"fake": self.break_with})
        want = _things(wanted)
        changes = [f"remove {name}" for name in self.have if name not in want]
        changes += [f"set {name}" for name, v in want.items() if self.have.get(name) != v]
        self.have = want
        return Applied(changes, [port.id for port in wanted.ports if port.admin_up])

    def listen(self, wanted: Wanted, namespace: str) -> Listener:
        return Listener(socket.create_server(("127.0.0.1", 0)), namespace)

    def stands(self, listener: Listener) -> bool:
        return True

    def watch(self, on_device: Callable[[str], None]) -> Callable[[], None]:
        return lambda: None

    def differences(self, wanted: Wanted) -> list[str]:
        want = _things(wanted)
        missing = [f"missing {name}" for name in want if name not in self.have]
        return missing + [f"leftover {name}" for name in self.have if name not in want]

    def purge(self) -> list[str]:
        removed, self.have = list(self.have), {}
        return removed


def _things(wanted: Wanted) -> dict[str, object]:
    return {
        **{f"network {n.id}": n for n in wanted.networks},
        **{f"port {p.id}": p for p in wanted.ports},
        **{f"group {g.id}": g for g in wanted.security_groups},
        **{f"members {name}": members for name, members in wanted.groups.items()},
        **{f"dhcp {d.network_id}": d for d in wanted.dhcp},
        **{f"router {r.id}": r for r in wanted.routers},
    }

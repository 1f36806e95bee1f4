"""The ports of servers that change hosts, and single ports that come and go."""

from typing import Any

from sqlalchemy import update

from aerostat.contracts.network import RequestedNetwork
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Unavailable
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.domain import binding, dhcp, notices, servers
from aerostat.services.neutron.domain.access import network_of
from aerostat.services.neutron.domain.servers import Wish
from aerostat.services.neutron.runtime import Call

P = t.ports.c


def prepare(tx: Tx, call: Call, server_id: str, host: str) -> None:
    """Let a second host have what the server's ports need; they stay bound where they are.

    Raises: Unavailable (the host cannot have a network).
    """
    found = servers.of_server(tx, server_id)
    configuration = binding.configurations(tx, host)
    for port in found:
        network = network_of(tx, port.network_id)
        if configuration is None or binding.bridge_of(network, configuration) is None:
            raise Unavailable(f"Binding failed for port {port.id} on host {host}")
        _expect(tx, port.id, host)
    notices.changed(tx, call, [port.network_id for port in found], [host] if found else [])


def move(tx: Tx, call: Call, server_id: str, host: str) -> None:
    """Bind the server's ports to a host, and to no other one."""
    for port in servers.of_server(tx, server_id):
        if (port.host, port.vif_type, port.migrating_to) == (host, "bridge", ""):
            continue
        network = network_of(tx, port.network_id)
        _expect(tx, port.id, "")
        if binding.bind(tx, call, port.id, network, host):
            dhcp.serve(tx, call, network, host)
        notices.changed(tx, call, [port.network_id], [port.host, port.migrating_to, host])


def unbind(tx: Tx, call: Call, server_id: str) -> None:
    """Bind the server's ports to no host; they stay the server's."""
    for port in servers.of_server(tx, server_id):
        _expect(tx, port.id, "")
        binding.unbind(tx, port.id)
        notices.changed(tx, call, [port.network_id], [port.host, port.migrating_to])


def attach(tx: Tx, call: Call, wish: Wish, nic: RequestedNetwork, port_id: str) -> str:
    """Make or adopt one more port for a server and return its id; a new one gets `port_id`.

    Raises: NotFound, Conflict (port or address in use), QuotaExceeded.
    """
    have = servers.of_server(tx, wish.server_id)
    mine = {port.id for port in have}
    if port_id in mine:
        return port_id
    place = max((port.place for port in have), default=0) + 1
    ids = servers.group_ids(tx, call, wish.project_id, [])
    servers.give(tx, call, wish, nic, servers.Slot(place, ids, port_id))
    return next(str(p.id) for p in servers.of_server(tx, wish.server_id) if p.id not in mine)


def detach(tx: Tx, call: Call, server_id: str, port_id: str) -> None:
    """Delete a port made for the server, or let go of an adopted one; absence is fine."""
    for port in servers.of_server(tx, server_id):
        if port.id == port_id:
            servers.let_go(tx, call, port)


def check_wireable(tx: Tx, server_id: str, host: str) -> list[Any]:
    """Return the server's ports that a host has or expects. Raises: Unavailable."""
    found = servers.of_server(tx, server_id)
    for port in found:
        bound = port.host == host and port.vif_type == "bridge"
        if not bound and port.migrating_to != host:
            raise Unavailable(f"Binding failed for port {port.id} on host {host}")
    return list(found)


def _expect(tx: Tx, port_id: str, host: str) -> None:
    tx.run(update(t.ports).where(P.id == port_id).values(migrating_to=host))

"""The security groups of a server's ports, changed all at once."""

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict, NotFound
from aerostat.services.neutron.domain import ports, servers
from aerostat.services.neutron.runtime import Call


def add(tx: Tx, call: Call, server_id: str, project_id: str, name: str) -> None:
    """Put every port into a group. Raises: NotFound (group), Conflict (ambiguous; no port)."""
    (group,) = servers.group_ids(tx, call, project_id, [name])
    found = [port for port in servers.of_server(tx, server_id) if port.port_security_enabled]
    if not found:
        raise Conflict(f"Cannot add security group {name}: server {server_id} has no port for it.")
    for port in found:
        have = ports.groups_of(tx, port.id)
        if group not in have:
            ports.update(tx, call, port, {"security_groups": [*have, group]})


def remove(tx: Tx, call: Call, server_id: str, project_id: str, name: str) -> None:
    """Take every port out of a group. Raises: NotFound (group, no port in it)."""
    (group,) = servers.group_ids(tx, call, project_id, [name])
    inside = 0
    for port in servers.of_server(tx, server_id):
        have = ports.groups_of(tx, port.id)
        if group in have:
            inside += 1
            ports.update(tx, call, port, {"security_groups": [g for g in have if g != group]})
    if not inside:
        raise NotFound(f"Security group {name} is not associated with server {server_id}.")

"""Ports of servers: made or adopted, bound, let go; each call may be repeated."""

from typing import Any

from msgspec import Struct
from sqlalchemy import or_, select

from aerostat.contracts.network import AUTO, RequestedNetwork
from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, NotFound
from aerostat.services.neutron.db import collection
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.db.collections import NETWORKS, PORTS, shared_with
from aerostat.services.neutron.domain import (
    addresses,
    auto_topology,
    binding,
    dhcp,
    notices,
    ports,
    quotas,
    rows,
    security_groups,
)
from aerostat.services.neutron.domain.access import network_of
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.runtime import Call

P, N, G, A = t.ports.c, t.networks.c, t.groups.c, t.addresses.c


def check(
    tx: Tx,
    call: Call,
    requested: list[RequestedNetwork] | None,
    groups: list[str],
    count: int,
) -> list[RequestedNetwork]:
    """Return the NICs that a request means. Raises: see contracts.network.Network.check."""
    project = call.ctx.project_id
    group_ids(tx, call, project, groups)
    nics = _settled(tx, project, requested)
    new = 0
    for nic in nics:
        if nic.port_id is not None:
            _check_port(tx, call, nic.port_id, count)
        else:
            new += 1
            if nic.network_id != AUTO:
                _check_network(tx, call, nic, count)
    if new:
        try:
            quotas.check(tx, call, "port", project, new * count)
        except faults.QuotaExceeded as why:
            raise faults.QuotaExceeded("Maximum number of ports exceeded") from why
    return nics


def _settled(
    tx: Tx, project: str, requested: list[RequestedNetwork] | None
) -> list[RequestedNetwork]:
    if requested is None:
        return _usable(tx, project)
    if not any(nic.network_id == AUTO for nic in requested):
        return requested
    found = _usable(tx, project)
    if not found:
        try:
            auto_topology.check(tx, project)
        except Conflict as why:
            raise BadRequest(
                f"Unable to automatically allocate a network for project {project}",
                field="networks",
            ) from why
    return found or requested


def _usable(tx: Tx, project: str) -> list[RequestedNetwork]:
    def usable(condition: Any) -> list[str]:
        stmt = select(N.id).where(condition, N.external.is_(False))
        return [row[0] for row in tx.all(stmt)]

    found = usable(N.project_id == project) or usable(shared_with(project))
    if len(found) > 1:
        raise Conflict("Multiple possible networks found, use a Network ID to be more specific.")
    with_subnets = [key for key in found if addresses.subnets_of(tx, key)]
    return [RequestedNetwork(network_id=key) for key in with_subnets]


def _check_port(tx: Tx, call: Call, port_id: str, count: int) -> None:
    try:
        port = collection.get(tx, PORTS, call.ctx, port_id)
    except NotFound as why:
        raise NotFound(f"Port id {port_id} could not be found.") from why
    if port.device_id:
        raise Conflict(f"Port {port_id} is still in use.")
    if count > 1:
        raise BadRequest("Unable to launch multiple instances with a single configured port ID.")


def _check_network(tx: Tx, call: Call, nic: RequestedNetwork, count: int) -> None:
    network_id = str(nic.network_id)
    try:
        network = collection.get(tx, NETWORKS, call.ctx, network_id)
    except NotFound as why:
        raise NotFound(f"Network {network_id} could not be found.") from why
    if network.external and not network.shared and not call.ctx.is_admin:
        raise faults.bad(
            "ExternalNetworkAttachForbidden",
            f"It is not allowed to create an interface on external network {network_id}",
        )
    subnets = addresses.subnets_of(tx, network_id)
    if not subnets:
        raise BadRequest(f"Network {network_id} requires a subnet in order to boot instances on.")
    if nic.fixed_ip is not None:
        if count > 1:
            raise BadRequest("Unable to launch multiple instances with a fixed IP address.")
        subnet = addresses._holding(nic.fixed_ip, subnets, network_id)
        if addresses.taken(tx, subnet.id, nic.fixed_ip):
            raise Conflict(f"Fixed IP address {nic.fixed_ip} is already in use.")


def group_ids(tx: Tx, call: Call, project: str, names: list[str]) -> list[str]:
    """Return the ids of groups given by name or id; none means the default group.

    Raises: NotFound, Conflict (a name that two groups have).
    """
    default = security_groups.default_of(tx, call, project)
    out: list[str] = []
    for name in names:
        mine = or_(G.project_id == project, G.shared.is_(True))
        found = [
            row[0] for row in tx.all(select(G.id).where(mine, or_(G.id == name, G.name == name)))
        ]
        if not found:
            raise NotFound(f"Security group {name} not found for project {project}.")
        if len(found) > 1 and name not in found:
            raise Conflict(f"Multiple security groups found matching '{name}'. Use an ID.")
        out.append(name if name in found else found[0])
    return list(dict.fromkeys(out)) or [default]


class Wish:
    """What `ensure_ports` is asked for one server."""

    def __init__(self, server_id: str, project_id: str, host: str, zone: str, name: str) -> None:
        self.server_id, self.project_id = server_id, project_id
        self.host, self.zone, self.name = host, zone, name

    @property
    def owner(self) -> str:
        return f"compute:{self.zone}"


class Slot(Struct, frozen=True):
    """Where a port comes: its place in order, its security groups, its id if it is decided."""

    place: int
    groups: list[str]
    port_id: str = ""


def ensure(
    tx: Tx, call: Call, wish: Wish, requested: list[RequestedNetwork], groups: list[str]
) -> None:
    """Make or adopt the server's ports and bind them to its host."""
    have = {row.place: row for row in of_server(tx, wish.server_id)}
    ids = group_ids(tx, call, wish.project_id, groups) if requested else []
    for place, nic in enumerate(requested, 1):
        if place in have:
            _rebind(tx, call, have[place], wish.host)
        else:
            give(tx, call, wish, nic, Slot(place, ids))


def give(tx: Tx, call: Call, wish: Wish, nic: RequestedNetwork, slot: Slot) -> None:
    """Make or adopt one port. Raises: NotFound, Conflict, QuotaExceeded."""
    if nic.port_id is not None:
        _adopt(tx, call, wish, nic, slot.place)
    else:
        _make(tx, call, wish, nic, slot)


def _rebind(tx: Tx, call: Call, port: Any, host: str) -> None:
    """Bind a port that could not be bound before; one that has gone elsewhere stays there."""
    if port.host != host or port.vif_type == "bridge":
        return
    binding.bind(tx, call, port.id, network_of(tx, port.network_id), host)
    notices.changed(tx, call, [port.network_id], [host])


def _adopt(tx: Tx, call: Call, wish: Wish, nic: RequestedNetwork, place: int) -> None:
    port = rows.by_id(tx, t.ports, nic.port_id)
    if port is None:
        raise NotFound(f"Port id {nic.port_id} could not be found.")
    if port.device_id not in ("", wish.server_id):
        raise Conflict(f"Port {port.id} is still in use.")
    change = {
        "device_id": wish.server_id,
        "device_owner": wish.owner,
        "adopted": True,
        "place": place,
        "tag": nic.tag,
    }
    if not port.dns_name:
        change["dns_name"] = wish.name
    rows.change(tx, call, t.ports, port.id, change)
    network = network_of(tx, port.network_id)
    if binding.bind(tx, call, port.id, network, wish.host):
        dhcp.serve(tx, call, network, wish.host)
    notices.changed(tx, call, [port.network_id], [wish.host])


def _make(tx: Tx, call: Call, wish: Wish, nic: RequestedNetwork, slot: Slot) -> None:
    wanted = nic.network_id
    if wanted == AUTO:
        wanted = auto_topology.ensure(tx, call, wish.project_id)
    network = network_of(tx, str(wanted))
    if network is None:
        raise NotFound(f"Network {nic.network_id} could not be found.")
    quotas.check(tx, call, "port", wish.project_id)
    values: dict[str, Any] = {
        "project_id": wish.project_id,
        "device_id": wish.server_id,
        "device_owner": wish.owner,
        "binding:host_id": wish.host,
        "dns_name": wish.name,
        "place": slot.place,
        "tag": nic.tag,
    }
    if slot.port_id:
        values["id"] = slot.port_id
    if nic.fixed_ip is not None:
        values["fixed_ips"] = [{"ip_address": nic.fixed_ip}]
    if network.port_security_enabled:
        values["security_groups"] = slot.groups
    ports.add(tx, call, network, values)


def of_server(tx: Tx, server_id: str) -> Any:
    """Return the ports of a server in their order."""
    stmt = select(t.ports).where(P.device_id == server_id, P.device_owner.like("compute:%"))
    return tx.all(stmt.order_by(P.place, P.created_at, P.id))


def holders(tx: Tx) -> list[str]:
    """Return the servers that have ports."""
    stmt = select(P.device_id).where(P.device_owner.like("compute:%")).distinct()
    return [row[0] for row in tx.all(stmt.order_by(P.device_id))]


def release(tx: Tx, call: Call, server_id: str) -> None:
    """Delete the ports made for a server and let go of the adopted ones."""
    for port in of_server(tx, server_id):
        let_go(tx, call, port)


def let_go(tx: Tx, call: Call, port: Any) -> None:
    """Delete a port that was made for its server, or free an adopted one."""
    told = notices.group_hosts(tx, ports.groups_of(tx, port.id)) | {port.host, port.migrating_to}
    told |= ports._router_hosts(tx, port.id)
    if port.adopted:
        free: dict[str, Any] = {
            "device_id": "",
            "device_owner": "",
            "adopted": False,
            "place": 0,
            "tag": None,
        }
        free["migrating_to"] = ""
        rows.change(tx, call, t.ports, port.id, free)
        binding.unbind(tx, port.id)
    else:
        ports.drop(tx, port.id)
    notices.changed(tx, call, [port.network_id], told)


def member_context(project_id: str, *, is_admin: bool, request: str) -> Context:
    """Return the eyes of a project's member, for what nova asks on its behalf."""
    roles = ("admin", "member", "reader") if is_admin else ("member", "reader")
    return Context(request, project_id=project_id, roles=roles)

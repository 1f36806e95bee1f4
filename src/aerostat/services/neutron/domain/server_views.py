"""What nova is shown of servers' ports: bound ports, addresses, groups; one query for each part."""

from collections import defaultdict
from typing import Any

from sqlalchemy import select

from aerostat.contracts.network import BoundPort, FixedAddress, ServerAddress
from aerostat.kit.db.among import among
from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.domain import binding, servers
from aerostat.services.neutron.model.wanted import bridge_name, tap_name

P, N, A, S = t.ports.c, t.networks.c, t.addresses.c, t.subnets.c


def bound_ports(tx: Tx, server_id: str, host: str | None = None) -> list[BoundPort]:
    """Return the ports of a server as the hypervisor needs them, on `host` or where they are."""
    found = servers.of_server(tx, server_id)
    networks = {
        n.id: n
        for n in tx.all(select(t.networks).where(among(N.id, [p.network_id for p in found])))
    }
    stmt = (
        select(t.subnets, A.ip_address, A.port_id)
        .join_from(t.addresses, t.subnets, A.subnet_id == S.id)
        .where(among(A.port_id, [p.id for p in found]))
        .order_by(A.place)
    )
    fixed: dict[str, list[FixedAddress]] = defaultdict(list)
    for row in tx.all(stmt):
        fixed[row.port_id].append(_fixed(row))
    names = {host or p.host for p in found}
    hosts = {name: binding.configurations(tx, name) or {} for name in names}
    return [_bound(p, networks[p.network_id], fixed[p.id], hosts[host or p.host]) for p in found]


def _fixed(row: Any) -> FixedAddress:
    return FixedAddress(
        address=row.ip_address,
        subnet_id=row.id,
        cidr=row.cidr,
        version=row.ip_version,
        gateway=row.gateway_ip,
        dns=row.dns_nameservers,
        routes=[(r["destination"], r["nexthop"]) for r in row.host_routes],
        dhcp=row.enable_dhcp,
    )


def _bound(
    port: Any, network: Any, fixed: list[FixedAddress], configuration: dict[str, Any]
) -> BoundPort:
    return BoundPort(
        port_id=port.id,
        network_id=network.id,
        network_name=network.name,
        project_id=port.project_id,
        mac=port.mac_address,
        tap=tap_name(port.id),
        bridge=binding.bridge_of(network, configuration) or bridge_name(network.id),
        mtu=network.mtu,
        vif_type=port.vif_type,
        status=port.status,
        addresses=fixed,
        preexisting=port.adopted,
        tag=port.tag,
    )


def addresses(tx: Tx, server_ids: list[str]) -> dict[str, list[ServerAddress]]:
    """Return the addresses of servers by server, fixed then floating."""
    f = t.floatings.c
    stmt = (
        select(P.device_id, N.name, A.ip_address, P.mac_address, f.floating_ip_address)
        .join_from(t.ports, t.networks, P.network_id == N.id)
        .join(t.addresses, A.port_id == P.id)
        .outerjoin(t.floatings, (f.port_id == P.id) & (f.fixed_ip_address == A.ip_address))
        .where(among(P.device_id, server_ids), P.device_owner.like("compute:%"))
        .order_by(P.device_id, P.place, A.place)
    )
    out: dict[str, list[ServerAddress]] = {key: [] for key in server_ids}
    floating: dict[str, list[ServerAddress]] = defaultdict(list)
    for server, name, ip, mac, outer in tx.all(stmt):
        out[server].append(ServerAddress(name, ip, 6 if ":" in ip else 4, mac))
        if outer:
            floating[server].append(ServerAddress(name, outer, 4, mac, "floating"))
    return {key: found + floating[key] for key, found in out.items()}


def group_names(tx: Tx, server_ids: list[str]) -> dict[str, list[str]]:
    """Return the names of servers' security groups, once each."""
    c, g = t.port_groups.c, t.groups.c
    stmt = (
        select(P.device_id, g.name)
        .join_from(t.ports, t.port_groups, c.port_id == P.id)
        .join(t.groups, g.id == c.group_id)
        .where(among(P.device_id, server_ids), P.device_owner.like("compute:%"))
        .distinct()
        .order_by(g.name)
    )
    out: dict[str, list[str]] = {key: [] for key in server_ids}
    for server, name in tx.all(stmt):
        out[server].append(name)
    return out

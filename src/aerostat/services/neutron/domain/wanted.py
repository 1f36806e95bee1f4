"""The wanted state of a host, read from the tables in a fixed number of queries."""

import ipaddress
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, or_, select

from aerostat.kit.db.among import among
from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.config import NeutronConfig
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.domain import binding, notices
from aerostat.services.neutron.domain.wanted_routers import routers
from aerostat.services.neutron.model.protocols import normalized_cidr, number_of
from aerostat.services.neutron.model.wanted import (
    Address,
    AddressPair,
    DhcpHost,
    DhcpSubnet,
    DhcpWanted,
    NetworkWanted,
    PortWanted,
    RuleWanted,
    SecurityGroupWanted,
    Wanted,
    tap_name,
)

P, A, S = t.ports.c, t.addresses.c, t.subnets.c


class World:
    """What one host's state is computed from, each table read once."""

    def __init__(self, tx: Tx, host: str) -> None:
        self.host = host
        self.configuration = binding.configurations(tx, host) or {}
        bound = and_(P.host == host, P.vif_type == "bridge")
        here = tx.all(select(t.ports).where(or_(bound, P.migrating_to == host)))
        ids = sorted({port.network_id for port in here})
        self.networks = {
            n.id: n for n in tx.all(select(t.networks).where(among(t.networks.c.id, ids)))
        }
        self.here = [p for p in here if self.bridge(p.network_id)]
        self.subnets = {s.id: s for s in tx.all(select(t.subnets).where(among(S.network_id, ids)))}
        self.all_ports = tx.all(select(t.ports).where(among(P.network_id, ids)))
        self.fixed: dict[str, list[Any]] = defaultdict(list)
        stmt = select(t.addresses).where(among(A.network_id, ids)).order_by(A.port_id, A.place)
        for row in tx.all(stmt):
            self.fixed[row.port_id].append(row)

    def bridge(self, network_id: str) -> str | None:
        return binding.bridge_of(self.networks[network_id], self.configuration)

    def addresses(self, port_id: str) -> list[Address]:
        return [
            Address(row.ip_address, _prefix(self.subnets[row.subnet_id].cidr))
            for row in self.fixed[port_id]
        ]

    def admin_up(self, port: Any) -> bool:
        """Tell whether a port and its network are to be up."""
        return bool(port.admin_state_up and self.networks[port.network_id].admin_state_up)

    def place(self, port: Any) -> dict[str, Any]:
        """Return where a port is plugged: bridge and MTU."""
        return {
            "bridge": str(self.bridge(port.network_id)),
            "mtu": self.networks[port.network_id].mtu,
        }


def _prefix(cidr: str) -> int:
    return int(cidr.partition("/")[2])


def wanted(tx: Tx, host: str, config: NeutronConfig) -> Wanted:
    """Return all that a host shall have, at the revision of this snapshot."""
    world = World(tx, host)
    guests = [p for p in world.here if not p.device_owner.startswith("network:")]
    joined: dict[str, list[str]] = defaultdict(list)
    c = t.port_groups.c
    stmt = select(t.port_groups).where(among(c.port_id, [p.id for p in guests]))
    for row in tx.all(stmt):
        joined[row.port_id].append(row.group_id)
    groups, members = _groups(tx, sorted({g for ids in joined.values() for g in ids}))
    return Wanted(
        host=host,
        revision=notices.revision(tx),
        networks=_networks(tx, world),
        ports=[_port(world, port, sorted(joined[port.id])) for port in guests],
        security_groups=groups,
        groups=members,
        dhcp=_dhcp(world, config),
        routers=routers(tx, world.host, world),
    )


def _networks(tx: Tx, world: World) -> list[NetworkWanted]:
    used = {port.network_id for port in world.here}
    tunnels = _tunnels(tx, world)
    return [_network(world, world.networks[key], tunnels) for key in sorted(used)]


def _tunnels(tx: Tx, world: World) -> dict[str, str]:
    """Return the tunnel address of each other host that has ports of our networks."""
    c = t.agents.c
    hosts = {h for p in world.all_ports for h in (p.host, p.migrating_to)} - {"", world.host}
    stmt = select(c.host, c.configurations).where(
        among(c.host, sorted(hosts)), c.agent_type == binding.BRIDGE_AGENT
    )
    return {row.host: str(row.configurations.get("tunneling_ip", "")) for row in tx.all(stmt)}


def _network(world: World, network: Any, tunnels: dict[str, str]) -> NetworkWanted:
    vxlan = network.network_type == "vxlan"
    remote = [
        (port.mac_address, tunnels[port.host])
        for port in world.all_ports
        if vxlan and port.network_id == network.id and tunnels.get(port.host)
    ]
    arriving = {
        tunnels[port.migrating_to]
        for port in world.all_ports
        if vxlan and port.network_id == network.id and tunnels.get(port.migrating_to)
    }
    return NetworkWanted(
        id=network.id,
        type=network.network_type,
        bridge=str(world.bridge(network.id)),
        mtu=network.mtu,
        physical_network=network.physical_network,
        vni=network.segmentation_id if vxlan else None,
        peers=sorted({ip for _, ip in remote} | arriving),
        remote_macs=sorted(remote),
        host_addresses=_host_addresses(world, network),
    )


def _host_addresses(world: World, network: Any) -> list[Address]:
    if world.bridge(network.id) not in _strings(world.configuration.get("own_bridges")):
        return []
    return [
        Address(s.gateway_ip, _prefix(s.cidr))
        for s in world.subnets.values()
        if s.network_id == network.id and s.gateway_ip
    ]


def _strings(value: object) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list) else []


def _port(world: World, port: Any, groups: list[str]) -> PortWanted:
    pairs = [AddressPair(p["ip_address"], p["mac_address"]) for p in port.allowed_address_pairs]
    return PortWanted(
        id=port.id,
        network_id=port.network_id,
        mac=port.mac_address,
        tap=tap_name(port.id),
        **world.place(port),
        addresses=world.addresses(port.id),
        allowed_pairs=pairs,
        port_security=port.port_security_enabled,
        security_groups=groups,
        admin_up=world.admin_up(port),
    )


def _groups(tx: Tx, used: list[str]) -> tuple[list[SecurityGroupWanted], dict[str, list[str]]]:
    c = t.rules.c
    rules: dict[str, list[RuleWanted]] = {key: [] for key in used}
    for row in tx.all(select(t.rules).where(among(c.security_group_id, used)).order_by(c.id)):
        rules[row.security_group_id].append(
            RuleWanted(
                row.direction,
                row.ethertype,
                number_of(row.protocol),
                row.port_range_min,
                row.port_range_max,
                normalized_cidr(row.remote_ip_prefix),
                row.remote_group_id,
            )
        )
    remote = {r.remote_group for group in rules.values() for r in group if r.remote_group}
    g = t.groups.c
    stateful = dict(tx.all(select(g.id, g.stateful).where(among(g.id, used)).order_by(g.id)))
    groups = [SecurityGroupWanted(key, found, stateful[key]) for key, found in rules.items()]
    return groups, _members(tx, sorted(remote))


def _members(tx: Tx, groups: Sequence[str]) -> dict[str, list[str]]:
    c = t.port_groups.c
    out: dict[str, list[str]] = {key: [] for key in groups}
    stmt = (
        select(c.group_id, A.ip_address)
        .join_from(t.port_groups, t.addresses, c.port_id == A.port_id)
        .where(among(c.group_id, groups))
        .order_by(A.ip_address)
    )
    for group_id, address in tx.all(stmt):
        out[group_id].append(address)
    pairs = (
        select(c.group_id, P.allowed_address_pairs)
        .join_from(t.port_groups, t.ports, c.port_id == P.id)
        .where(among(c.group_id, groups), P.allowed_address_pairs != [])
    )
    for group_id, found in tx.all(pairs):
        out[group_id] += [pair["ip_address"] for pair in found]
    return out


def _dhcp(world: World, config: NeutronConfig) -> list[DhcpWanted]:
    here = [p for p in world.here if p.device_owner == "network:dhcp"]
    servers = [p for p in here if world.admin_up(p)]
    return [_server(world, port, config) for port in servers]


def _server(world: World, port: Any, config: NeutronConfig) -> DhcpWanted:
    subnets = [
        s for s in world.subnets.values() if s.network_id == port.network_id and s.enable_dhcp
    ]
    served = {s.id for s in subnets}
    others = [p for p in world.all_ports if p.network_id == port.network_id and p.id != port.id]
    routed = any(p.device_owner.startswith("network:router_interface") for p in others)
    hosts = [
        host
        for p in others
        if not p.device_owner.startswith("network:")
        for host in _hosts(world, p, served)
    ]
    return DhcpWanted(
        network_id=port.network_id,
        port_id=port.id,
        mac=port.mac_address,
        **world.place(port),
        addresses=world.addresses(port.id),
        subnets=[_subnet(s) for s in sorted(subnets, key=lambda s: s.id)],
        hosts=hosts,
        metadata=config.enable_isolated_metadata,
        metadata_route=config.enable_isolated_metadata and not routed,
    )


def _hosts(world: World, port: Any, served: set[str]) -> list[DhcpHost]:
    options = [
        (o["opt_name"], o.get("opt_value") or "", int(o.get("ip_version", 4)))
        for o in port.extra_dhcp_opts
    ]
    return [
        DhcpHost(port.id, port.mac_address, row.ip_address, port.dns_name, row.subnet_id, options)
        for row in world.fixed[port.id]
        if row.subnet_id in served and _leased(world.subnets[row.subnet_id])
    ]


def _leased(subnet: Any) -> bool:
    return bool(subnet.ip_version == 4 or subnet.ipv6_address_mode == "dhcpv6-stateful")


def _subnet(row: Any) -> DhcpSubnet:
    version = ipaddress.ip_network(row.cidr).version
    return DhcpSubnet(
        row.id,
        row.cidr,
        version,
        row.gateway_ip,
        row.dns_nameservers,
        [(r["destination"], r["nexthop"]) for r in row.host_routes],
        row.ipv6_ra_mode,
        row.ipv6_address_mode,
    )

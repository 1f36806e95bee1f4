"""The routers of a host as its agent is to have them."""

from collections import defaultdict
from typing import Any, Protocol

from sqlalchemy import select

from aerostat.kit.db.among import among
from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.model.wanted import (
    Address,
    AdvertisedPrefix,
    FloatingWanted,
    RouterPort,
    RouterWanted,
)


class World(Protocol):
    """What is known of the host: its ports, and where they plug."""

    here: list[Any]
    subnets: dict[str, Any]
    fixed: dict[str, list[Any]]

    def addresses(self, port_id: str) -> list[Address]: ...

    def place(self, port: Any) -> dict[str, Any]: ...


def routers(tx: Tx, host: str, world: World) -> list[RouterWanted]:
    """Return the routers of a host that are up."""
    c, f = t.routers.c, t.floatings.c
    found = tx.all(select(t.routers).where(c.host == host, c.admin_state_up.is_(True)))
    ids = [row.id for row in found]
    floating: dict[str, list[FloatingWanted]] = defaultdict(list)
    stmt = select(t.floatings).where(among(f.router_id, ids), f.port_id.is_not(None))
    for row in tx.all(stmt.order_by(f.floating_ip_address)):
        floating[row.router_id].append(
            FloatingWanted(row.floating_ip_address, row.fixed_ip_address)
        )
    return [_router(world, row, floating[row.id]) for row in found]


def _router(world: World, row: Any, floating: list[FloatingWanted]) -> RouterWanted:
    mine = [p for p in world.here if p.device_id == row.id]
    inner = [p for p in mine if p.device_owner == "network:router_interface" and p.admin_state_up]
    gateway = next((p for p in mine if p.id == row.gw_port_id), None)
    hops = [] if gateway is None else [world.subnets[a.subnet_id] for a in world.fixed[gateway.id]]
    return RouterWanted(
        id=row.id,
        ports=[_port(world, port, advertise=True) for port in inner],
        gateway=None if gateway is None else _port(world, gateway, advertise=False),
        gateway_ips=sorted({s.gateway_ip for s in hops if s.gateway_ip}),
        enable_snat=row.enable_snat,
        floating=floating if gateway is not None else [],
        routes=[(r["destination"], r["nexthop"]) for r in row.routes],
    )


def _port(world: World, port: Any, *, advertise: bool) -> RouterPort:
    subnets = [world.subnets[a.subnet_id] for a in world.fixed[port.id]]
    prefixes = [
        AdvertisedPrefix(s.cidr, s.ipv6_ra_mode, s.dns_nameservers)
        for s in subnets
        if advertise and s.ipv6_ra_mode
    ]
    return RouterPort(
        id=port.id,
        network_id=port.network_id,
        mac=port.mac_address,
        **world.place(port),
        addresses=world.addresses(port.id),
        advertise=prefixes,
    )

"""Routers: interfaces on tenants' subnets, a gateway to an external network, extra routes."""

import ipaddress
from typing import Any

from sqlalchemy import func, select

from aerostat.kit.db.among import among
from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import collection
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.db.collections import NETWORKS
from aerostat.services.neutron.domain import living, notices, ports, quotas, rows
from aerostat.services.neutron.domain.access import authorize, network_of, owner_of, target
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.runtime import Call

P, A, S = t.ports.c, t.addresses.c, t.subnets.c
INTERFACE, GATEWAY = "network:router_interface", "network:router_gateway"


def create(tx: Tx, call: Call, values: dict[str, Any], given: set[str]) -> str:
    """Make a router. Raises: Forbidden, QuotaExceeded, BadRequest, NotFound."""
    owner = owner_of(call, values)
    aim = target(call, {**values, "project_id": owner})
    authorize(call, "create_router", aim, _given(values, given))
    quotas.check(tx, call, "router", owner)
    gateway = values.pop("external_gateway_info", None)
    for unused in ("distributed", "ha", "flavor_id"):
        values.pop(unused, None)
    row = {**values, "project_id": owner, "routes": [], "enable_snat": True, "host": ""}
    row["host"] = living.least_loaded(tx, call, "L3 agent")
    key = rows.add(tx, call, t.routers, {**row, "status": "ACTIVE"})
    if gateway is not None:
        set_gateway(tx, call, rows.by_id(tx, t.routers, key), gateway)
    return key


def _given(values: dict[str, Any], given: set[str]) -> set[str]:
    info = values.get("external_gateway_info") or {}
    inner = {f"external_gateway_info:{name}" for name in info}
    if info.get("enable_snat") is True:
        inner.discard("external_gateway_info:enable_snat")
    return given | inner


def update(tx: Tx, call: Call, row: Any, values: dict[str, Any]) -> None:
    """Change a router. Raises: Forbidden, BadRequest, Conflict, NotFound."""
    aim = target(call, row._asdict())
    authorize(call, "update_router", aim, _given(values, set(values)))
    for unused in ("distributed", "ha"):
        if values.pop(unused, False):
            raise faults.bad("InvalidInput", f"Routers cannot be {unused} here.")
    if "external_gateway_info" in values:
        set_gateway(tx, call, row, values.pop("external_gateway_info"))
    if "routes" in values:
        check_routes(tx, call, row.id, values["routes"])
    rows.change(tx, call, t.routers, row.id, values)
    notices.changed(tx, call, hosts=[row.host])


def set_gateway(tx: Tx, call: Call, row: Any, info: dict[str, Any] | None) -> None:
    """Give a router this gateway, another one, or none."""
    old = rows.by_id(tx, t.ports, row.gw_port_id) if row.gw_port_id else None
    if info is None:
        if old is not None:
            _check_gateway_free(tx, row, old.network_id)
            rows.change(tx, call, t.routers, row.id, {"gw_port_id": None, "enable_snat": True})
            ports.drop(tx, old.id)
        notices.changed(tx, call, hosts=[row.host])
        return
    network = collection.get(tx, NETWORKS, call.ctx, info["network_id"])
    if not network.external:
        raise faults.bad("BadRequest", f"Network {network.id} is not an external network")
    change: dict[str, Any] = {"enable_snat": info.get("enable_snat", True)}
    fixed = info.get("external_fixed_ips")
    if old is not None and old.network_id != network.id:
        _check_gateway_free(tx, row, old.network_id)
        rows.change(tx, call, t.routers, row.id, {"gw_port_id": None})
        ports.drop(tx, old.id)
        old = None
    if old is None:
        change["gw_port_id"] = _gateway_port(tx, call, row, network, fixed)
    elif fixed:
        ports._move(tx, old._asdict(), fixed)
    rows.change(tx, call, t.routers, row.id, change)
    notices.changed(tx, call, [network.id], [row.host])


def _gateway_port(
    tx: Tx, call: Call, row: Any, network: Any, fixed: list[dict[str, str]] | None
) -> str:
    values = {
        "project_id": "",
        "device_id": row.id,
        "device_owner": GATEWAY,
        "host": row.host,
        "port_security_enabled": False,
        "fixed_ips": fixed or None,
    }
    return ports.add(tx, call, network, values)


def _check_gateway_free(tx: Tx, row: Any, network_id: str) -> None:
    c = t.floatings.c
    stmt = select(func.count()).where(c.router_id == row.id, c.floating_network_id == network_id)
    if tx.scalar(stmt):
        raise faults.conflict(
            "RouterExternalGatewayInUseByFloatingIp",
            f"Gateway cannot be updated for router {row.id}, since a gateway to external network "
            f"{network_id} is required by one or more floating IPs.",
        )


def check_routes(tx: Tx, call: Call, router_id: str, routes: list[dict[str, str]]) -> None:
    """Raises: BadRequest (too many, or a next hop that no interface reaches)."""
    if len(routes) > call.config.max_routes:
        raise faults.bad(
            "RoutesExhausted",
            f"Unable to complete operation for {router_id}. "
            "The number of routes exceeds the maximum.",
        )
    nets = [ipaddress.ip_network(s.cidr) for s in _subnets(tx, router_id)]
    own = {row.ip_address for row in _addresses(tx, router_id)}
    for route in routes:
        hop = ipaddress.ip_address(route["nexthop"])
        if not any(hop in net for net in nets):
            raise faults.bad(
                "InvalidRoutes",
                f"Invalid format for routes: {routes}, the nexthop is not connected with router",
            )
        if str(hop) in own:
            raise faults.bad(
                "InvalidRoutes",
                f"Invalid format for routes: {routes}, the nexthop is used by router",
            )


def _addresses(tx: Tx, router_id: str) -> Any:
    stmt = (
        select(A.ip_address, A.subnet_id, A.port_id, P.device_owner, P.network_id)
        .join_from(t.ports, t.addresses, A.port_id == P.id)
        .where(P.device_id == router_id, P.device_owner.in_([INTERFACE, GATEWAY]))
    )
    return tx.all(stmt)


def _subnets(tx: Tx, router_id: str) -> Any:
    ids = [row.subnet_id for row in _addresses(tx, router_id)]
    return tx.all(select(t.subnets).where(among(S.id, ids)))


def delete(tx: Tx, call: Call, row: Any) -> None:
    """Delete a router. Raises: Conflict (it has interfaces, or floating addresses use it)."""
    authorize(call, "delete_router", target(call, row._asdict()))
    used = select(func.count()).where(P.device_id == row.id, P.device_owner == INTERFACE)
    if tx.scalar(used):
        raise faults.conflict("RouterInUse", f"Router {row.id} still has ports")
    if row.gw_port_id:
        gateway = rows.by_id(tx, t.ports, row.gw_port_id)
        _check_gateway_free(tx, row, gateway.network_id)
        ports.drop(tx, row.gw_port_id)
    rows.remove(tx, t.routers, row.id)
    notices.changed(tx, call, hosts=[row.host])


def add_interface(tx: Tx, call: Call, row: Any, body: dict[str, Any]) -> dict[str, Any]:
    """Put a router on a subnet (at its gateway address) or give it a port that is there."""
    authorize(call, "add_router_interface", target(call, row._asdict()))
    port_id, subnet_id = body.get("port_id"), body.get("subnet_id")
    if bool(port_id) == bool(subnet_id):
        raise faults.bad(
            "BadRequest",
            "Bad router request: Cannot specify both subnet-id and port-id"
            if port_id
            else "Bad router request: Either subnet_id or port_id must be specified.",
        )
    if port_id:
        port = _adopt(tx, call, row, str(port_id))
    else:
        port = _new_interface(tx, call, row, str(subnet_id))
    rows.change(tx, call, t.routers, row.id, {})
    notices.changed(tx, call, [port.network_id], [row.host])
    return interface_view(tx, row, port)


def interface_view(tx: Tx, row: Any, port: Any) -> dict[str, Any]:
    found = [a.subnet_id for a in tx.all(select(A.subnet_id).where(A.port_id == port.id))]
    return {
        "id": row.id,
        "tenant_id": row.project_id,
        "project_id": row.project_id,
        "port_id": port.id,
        "network_id": port.network_id,
        "subnet_id": found[0] if found else None,
        "subnet_ids": found,
        "tags": [],
    }


def _new_interface(tx: Tx, call: Call, row: Any, subnet_id: str) -> Any:
    from aerostat.services.neutron.db.collections import SUBNETS

    subnet = collection.get(tx, SUBNETS, call.ctx, subnet_id)
    if subnet.gateway_ip is None:
        raise faults.bad(
            "BadRequest", "Bad router request: Subnet for router interface must have a gateway IP."
        )
    _check_disjoint(tx, row, [subnet])
    values = {
        "project_id": row.project_id,
        "device_id": row.id,
        "device_owner": INTERFACE,
        "host": row.host,
        "port_security_enabled": False,
        "fixed_ips": [{"subnet_id": subnet.id, "ip_address": subnet.gateway_ip}],
    }
    key = ports.add(tx, call, network_of(tx, subnet.network_id), values)
    return rows.by_id(tx, t.ports, key)


def _adopt(tx: Tx, call: Call, row: Any, port_id: str) -> Any:
    from aerostat.services.neutron.db.collections import PORTS

    port = collection.get(tx, PORTS, call.ctx, port_id)
    if port.device_id:
        raise faults.conflict(
            "PortInUse",
            f"Unable to complete operation on port {port.id} for network {port.network_id}. "
            f"Port already has an attached device {port.device_id}.",
        )
    held = [a.subnet_id for a in tx.all(select(A.subnet_id).where(A.port_id == port.id))]
    if not held:
        raise faults.bad("BadRequest", "Bad router request: Router port must have an IP address")
    _check_disjoint(tx, row, tx.all(select(t.subnets).where(among(S.id, held))))
    change = {"device_id": row.id, "device_owner": INTERFACE, "port_security_enabled": False}
    rows.change(tx, call, t.ports, port.id, change)
    tx.run(t.port_groups.delete().where(t.port_groups.c.port_id == port.id))
    if row.host:
        from aerostat.services.neutron.domain import binding

        binding.bind(tx, call, port.id, network_of(tx, port.network_id), row.host)
    return rows.by_id(tx, t.ports, port.id)


def _check_disjoint(tx: Tx, row: Any, subnets: Any) -> None:
    for mine in _subnets(tx, row.id):
        for new in subnets:
            one, other = ipaddress.ip_network(mine.cidr), ipaddress.ip_network(new.cidr)
            if mine.id == new.id:
                raise faults.bad(
                    "BadRequest",
                    f"Bad router request: Router already has a port on subnet {new.id}.",
                )
            if one.version == other.version and one.overlaps(other):
                raise faults.bad(
                    "BadRequest",
                    f"Bad router request: Cidr {other} of subnet {new.id} overlaps with cidr "
                    f"{one} of subnet {mine.id}.",
                )


def remove_interface(tx: Tx, call: Call, row: Any, body: dict[str, Any]) -> dict[str, Any]:
    """Take a router off a subnet. Raises: NotFound, Conflict (routes or floating addresses)."""
    authorize(call, "remove_router_interface", target(call, row._asdict()))
    port_id, subnet_id = body.get("port_id"), body.get("subnet_id")
    if not port_id and not subnet_id:
        raise faults.bad(
            "BadRequest", "Bad router request: Either subnet_id or port_id must be specified."
        )
    port = _interface(tx, row, port_id, subnet_id)
    _check_unused(tx, row, port)
    view = interface_view(tx, row, port)
    if subnet_id:
        view["subnet_id"] = subnet_id
    ports.drop(tx, port.id)
    rows.change(tx, call, t.routers, row.id, {})
    notices.changed(tx, call, [port.network_id], [row.host])
    return view


def interfaces(tx: Tx, router_id: str) -> Any:
    """Return the ports by which a router is on subnets."""
    return tx.all(_plugged(router_id).order_by(P.id))


def _plugged(router_id: str) -> Any:
    return select(t.ports).where(P.device_id == router_id, P.device_owner == INTERFACE)


def _interface(tx: Tx, row: Any, port_id: Any, subnet_id: Any) -> Any:
    stmt = _plugged(row.id)
    if subnet_id:
        stmt = stmt.where(P.id.in_(select(A.port_id).where(A.subnet_id == subnet_id)))
    found = tx.first(stmt.where(P.id == port_id) if port_id else stmt)
    if found is None and port_id:
        raise faults.NotFound(
            f"Router {row.id} does not have an interface with id {port_id}",
            code="RouterInterfaceNotFound",
        )
    if found is None:
        raise faults.NotFound(
            f"Router {row.id} has no interface on subnet {subnet_id}",
            code="RouterInterfaceNotFoundForSubnet",
        )
    return found


def _check_unused(tx: Tx, row: Any, port: Any) -> None:
    held = [a.subnet_id for a in tx.all(select(A.subnet_id).where(A.port_id == port.id))]
    subnets = tx.all(select(t.subnets).where(among(S.id, held)))
    nets = [ipaddress.ip_network(s.cidr) for s in subnets]
    if any(ipaddress.ip_address(r["nexthop"]) in net for r in row.routes for net in nets):
        raise faults.conflict(
            "RouterInterfaceInUseByRoute",
            f"Router interface for subnet {held[0]} on router {row.id} cannot be deleted, as it "
            "is required by one or more routes.",
        )
    f = t.floatings.c
    fixed = select(A.ip_address).where(among(A.subnet_id, held))
    used = select(func.count()).where(
        f.router_id == row.id, f.fixed_ip_address.in_(fixed), f.port_id.is_not(None)
    )
    if tx.scalar(used):
        raise faults.conflict(
            "RouterInterfaceInUseByFloatingIP",
            f"Router interface for subnet {held[0]} on router {row.id} cannot be deleted, as it "
            "is required by one or more floating IPs.",
        )


def extra_routes(tx: Tx, call: Call, row: Any, routes: list[dict[str, str]], *, add: bool) -> None:
    """Add or remove some routes and leave the others. Source: api-ref, extraroute-atomic."""
    verb = "add_extraroutes" if add else "remove_extraroutes"
    authorize(call, verb, target(call, row._asdict()))
    others = [r for r in row.routes if r not in routes]
    wanted = others + routes if add else others
    check_routes(tx, call, row.id, wanted)
    rows.change(tx, call, t.routers, row.id, {"routes": wanted})
    notices.changed(tx, call, hosts=[row.host])

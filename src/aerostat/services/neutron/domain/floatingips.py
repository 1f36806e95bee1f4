"""Floating addresses: of an external network, before a port that a router reaches."""

from typing import Any

from sqlalchemy import select

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import collection
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.db.collections import NETWORKS, PORTS
from aerostat.services.neutron.domain import notices, ports, quotas, rows
from aerostat.services.neutron.domain.access import authorize, owner_of, target
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.runtime import Call

A, P, F, R = t.addresses.c, t.ports.c, t.floatings.c, t.routers.c


def create(tx: Tx, call: Call, values: dict[str, Any], given: set[str]) -> str:
    """Make a floating address. Raises: BadRequest, NotFound, Conflict, QuotaExceeded."""
    owner = owner_of(call, values)
    authorize(call, "create_floatingip", target(call, {**values, "project_id": owner}), given)
    quotas.check(tx, call, "floatingip", owner)
    network = collection.get(tx, NETWORKS, call.ctx, values["floating_network_id"])
    if not network.external:
        raise faults.bad(
            "BadRequest",
            f"Bad floatingip request: Network {network.id} is not a valid external network.",
        )
    port_id, fixed = values.pop("port_id", None), values.pop("fixed_ip_address", None)
    address, subnet = values.pop("floating_ip_address", None), values.pop("subnet_id", None)
    key = call.neutron.new_id()
    outer = _outer_port(tx, call, network, key, {"ip_address": address, "subnet_id": subnet})
    address = tx.scalar(select(A.ip_address).where(A.port_id == outer))
    row = {**values, "id": key, "project_id": owner, "floating_ip_address": address}
    rows.add(tx, call, t.floatings, {**row, "floating_port_id": outer, "status": "DOWN"})
    if port_id is not None:
        _associate(tx, call, rows.by_id(tx, t.floatings, key), port_id, fixed)
    elif fixed is not None:
        raise faults.bad(
            "BadRequest",
            "Bad floatingip request: fixed_ip_address cannot be specified without a port_id.",
        )
    return key


def _outer_port(tx: Tx, call: Call, network: Any, key: str, fixed: dict[str, str | None]) -> str:
    asked = [{k: v for k, v in fixed.items() if v is not None}] if any(fixed.values()) else None
    if asked is None:
        c = t.subnets.c
        stmt = select(c.id).where(c.network_id == network.id, c.ip_version == 4)
        ids = [row[0] for row in tx.all(stmt.order_by(c.created_at))]
        if not ids:
            raise faults.bad(
                "BadRequest",
                f"Bad floatingip request: Network {network.id} does not contain any IPv4 subnet.",
            )
        asked = [{"any_of": ",".join(ids)}]
    values = {
        "project_id": "",
        "device_id": key,
        "device_owner": "network:floatingip",
        "port_security_enabled": False,
        "fixed_ips": asked,
        "status": "N/A",
    }
    try:
        return ports.add(tx, call, network, values)
    except faults.Conflict as why:
        if why.code != "IpAddressGenerationFailure":
            raise
        raise faults.conflict(
            "ExternalIpAddressExhausted",
            "External IP address exhausted: no more addresses are on the external network.",
        ) from why


def update(tx: Tx, call: Call, row: Any, values: dict[str, Any]) -> None:
    """Change a floating address; a port of None, or nothing at all, lets go. Raises: as create."""
    authorize(call, "update_floatingip", target(call, row._asdict()), values)
    values = values or {"port_id": None}
    fixed = values.pop("fixed_ip_address", None)
    if "port_id" in values or fixed is not None:
        port_id = values.pop("port_id", row.port_id)
        _let_go(tx, call, row)
        if port_id is not None:
            _associate(tx, call, row, port_id, fixed)
    rows.change(tx, call, t.floatings, row.id, values)


def _let_go(tx: Tx, call: Call, row: Any) -> None:
    host = tx.scalar(select(R.host).where(R.id == row.router_id)) if row.router_id else None
    ports.release_floating(tx, F.id == row.id)
    notices.changed(tx, call, hosts=[host] if host else [])


def _associate(tx: Tx, call: Call, row: Any, port_id: str, fixed: str | None) -> None:
    port = collection.get(tx, PORTS, call.ctx, port_id)
    if port.project_id != row.project_id and not call.ctx.is_admin:
        raise faults.bad(
            "BadRequest",
            f"Bad floatingip request: Port {port.id} is associated with a different tenant than "
            f"Floating IP {row.id} and therefore cannot be bound.",
        )
    held = tx.all(select(t.addresses).where(A.port_id == port.id).order_by(A.place))
    usable = [a for a in held if "." in a.ip_address and fixed in (None, a.ip_address)]
    if not usable:
        text = f"does not have fixed ip {fixed}" if fixed else "has no fixed IPv4 addresses"
        raise faults.bad("BadRequest", f"Bad floatingip request: Port {port.id} {text}.")
    if fixed is None and len(usable) > 1:
        raise faults.bad(
            "BadRequest",
            f"Bad floatingip request: Port {port.id} has multiple fixed IPv4 addresses. "
            "Must provide a specific IPv4 address when assigning a floating IP.",
        )
    inner = usable[0]
    router = _router(tx, row, inner)
    if router is None:
        raise faults.NotFound(
            f"External network {row.floating_network_id} is not reachable from subnet "
            f"{inner.subnet_id}. Therefore, cannot associate Port {port.id} with a Floating IP.",
            code="ExternalGatewayForFloatingIPNotFound",
        )
    other = tx.scalar(
        select(F.floating_ip_address).where(
            F.port_id == port.id, F.fixed_ip_address == inner.ip_address, F.id != row.id
        )
    )
    if other is not None:
        raise faults.conflict(
            "FloatingIPPortAlreadyAssociated",
            f"Cannot associate floating IP {row.floating_ip_address} ({row.id}) with port "
            f"{port.id} using fixed IP {inner.ip_address}, as that fixed IP already has a "
            f"floating IP on external network {row.floating_network_id}.",
        )
    change = {
        "port_id": port.id,
        "fixed_ip_address": inner.ip_address,
        "router_id": router.id,
        "status": "ACTIVE" if router.host else "DOWN",
    }
    rows.change(tx, call, t.floatings, row.id, change)
    notices.changed(tx, call, hosts=[router.host])


def _router(tx: Tx, row: Any, inner: Any) -> Any:
    """Return the router between a fixed address and the external network."""
    gateway = t.ports.alias("gateway")
    stmt = (
        select(t.routers)
        .join_from(t.routers, t.ports, P.device_id == R.id)
        .join(t.addresses, A.port_id == P.id)
        .join(gateway, gateway.c.id == R.gw_port_id)
        .where(
            A.subnet_id == inner.subnet_id,
            P.device_owner == "network:router_interface",
            gateway.c.network_id == row.floating_network_id,
        )
    )
    return tx.first(stmt)


def delete(tx: Tx, call: Call, row: Any) -> None:
    """Delete a floating address."""
    authorize(call, "delete_floatingip", target(call, row._asdict()))
    _let_go(tx, call, row)
    rows.remove(tx, t.floatings, row.id)
    ports.drop(tx, row.floating_port_id)

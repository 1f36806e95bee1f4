"""Ports: a MAC, addresses and groups on a network, bound to a host when something plugs in."""

from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import insert, select
from sqlalchemy import update as sql_update

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import collection
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.db.collections import NETWORKS
from aerostat.services.neutron.domain import (
    addresses,
    binding,
    dhcp,
    notices,
    quotas,
    rows,
    security_groups,
)
from aerostat.services.neutron.domain.access import authorize, network_of, owner_of, target
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.runtime import Call

P = t.ports.c
COLUMNS = {
    "binding:host_id": "host",
    "binding:vnic_type": "vnic_type",
    "binding:profile": "profile",
}
SERVED = (
    "network:router_interface",
    "network:router_gateway",
    "network:floatingip",
    "network:ha_router_replicated_interface",
)
"""Owners whose ports go with another resource, not by themselves."""


def create(tx: Tx, call: Call, values: dict[str, Any], given: set[str]) -> str:
    """Make a port. Raises: NotFound, Forbidden, QuotaExceeded, BadRequest, Conflict."""
    network = collection.get(tx, NETWORKS, call.ctx, values["network_id"])
    owner = owner_of(call, values)
    aim = target(call, {**values, "project_id": owner}, network)
    authorize(call, "create_port", aim, _given(values, given))
    if network.external and not network.shared and network.project_id != call.ctx.project_id:
        authorize(call, "create_port:mac_address", aim)  # only who owns it plugs into it
    quotas.check(tx, call, "port", owner)
    return add(tx, call, network, {**values, "project_id": owner})


def _given(values: dict[str, Any], given: set[str]) -> set[str]:
    precise = any("ip_address" in fixed for fixed in values.get("fixed_ips") or ())
    if precise:
        return (given - {"fixed_ips"}) | {"fixed_ips:ip_address"}
    return given - {"fixed_ips"} if not values.get("fixed_ips") else given


def add(tx: Tx, call: Call, network: Any, values: dict[str, Any]) -> str:
    """Make a port for whoever; `values` may leave out everything but the project."""
    fixed, groups = values.pop("fixed_ips", None), values.pop("security_groups", None)
    row = {**_defaults(network), **{COLUMNS.get(n, n): v for n, v in values.items()}}
    row["network_id"], row["host"] = network.id, row.get("host") or ""
    row["mac_address"] = _mac(tx, call, network.id, row.get("mac_address"))
    groups = _groups(tx, call, row, groups)
    _settle_pairs(call, row)
    key = rows.add(tx, call, t.ports, row)
    place = {n: row[n] for n in ("network_id", "mac_address", "device_owner")}
    addresses.allocate(tx, {"id": key, **place}, fixed, addresses.subnets_of(tx, network.id))
    _join(tx, key, groups)
    good = bool(row["host"]) and binding.bind(tx, call, key, network, row["host"])
    if not row["device_owner"].startswith("network:"):
        dhcp.serve(tx, call, network, row["host"] if good else "")
    notices.changed(tx, call, [network.id], notices.group_hosts(tx, groups))
    return key


def _defaults(network: Any) -> dict[str, Any]:
    return {
        "name": "",
        "admin_state_up": True,
        "status": "DOWN",
        "device_id": "",
        "device_owner": "",
        "vif_type": "unbound",
        "vnic_type": "normal",
        "profile": {},
        "port_security_enabled": network.port_security_enabled,
        "propagate_uplink_status": True,
        "allowed_address_pairs": [],
        "extra_dhcp_opts": [],
        "dns_name": "",
        "dns_domain": "",
        "adopted": False,
        "place": 0,
    }


def _mac(tx: Tx, call: Call, network_id: str, asked: str | None) -> str:
    def used(mac: str) -> bool:
        stmt = select(P.id).where(P.network_id == network_id, P.mac_address == mac)
        return tx.first(stmt) is not None

    if asked is not None:
        if used(asked):
            raise faults.conflict(
                "MacAddressInUse",
                f"Unable to complete operation for network {network_id}. "
                f"The mac address {asked} is in use.",
            )
        return asked
    while True:
        digits = call.neutron.new_id()[:6]
        mac = ":".join((call.config.base_mac, digits[:2], digits[2:4], digits[4:6]))
        if not used(mac):
            return mac


def _groups(tx: Tx, call: Call, row: dict[str, Any], asked: list[str] | None) -> list[str]:
    if not row["port_security_enabled"]:
        if asked:
            raise _no_security()
        return []
    if asked is not None:
        security_groups.check_groups(tx, call, asked)
        security_groups.check_alike(tx, asked)
        return asked
    if row["device_owner"].startswith("network:"):
        return []
    found = security_groups.default_of(tx, call, row["project_id"])
    return [found] if found else []


def _no_security() -> Exception:
    return faults.conflict(
        "PortSecurityPortHasSecurityGroup",
        "Port has security group associated. Cannot disable port security or IP address until "
        "security group is removed.",
    )


def _settle_pairs(call: Call, row: dict[str, Any]) -> None:
    pairs = row["allowed_address_pairs"]
    if not pairs:
        return
    if not row["port_security_enabled"]:
        raise faults.conflict(
            "AddressPairAndPortSecurityRequired",
            "Port Security must be enabled in order to have allowed address pairs on a port.",
        )
    if len(pairs) > call.config.max_allowed_address_pair:
        raise faults.bad(
            "AllowedAddressPairExhausted",
            "The number of allowed address pair exceeds the maximum "
            f"{call.config.max_allowed_address_pair}.",
        )
    whole = [
        {
            "mac_address": pair.get("mac_address") or row["mac_address"],
            "ip_address": pair["ip_address"],
        }
        for pair in pairs
    ]
    if any(pair in whole[:i] for i, pair in enumerate(whole)):
        raise faults.bad("DuplicateAddressPairInRequest", "Request contains duplicate pairs.")
    row["allowed_address_pairs"] = whole


def _join(tx: Tx, key: str, groups: list[str]) -> None:
    for group_id in groups:
        tx.run(insert(t.port_groups), {"port_id": key, "group_id": group_id})


def update(tx: Tx, call: Call, row: Any, values: dict[str, Any]) -> None:
    """Change a port. Raises: Forbidden, NotFound (a group), BadRequest, Conflict."""
    network = network_of(tx, row.network_id)
    aim = target(call, {**row._asdict(), **values}, network)
    aim |= {"project_id": row.project_id, "tenant_id": row.project_id}
    authorize(call, "update_port", aim, _given(values, set(values)))
    fixed, groups = values.pop("fixed_ips", None), values.pop("security_groups", None)
    before = groups_of(tx, row.id)
    change = {COLUMNS.get(name, name): value for name, value in values.items()}
    whole = {**row._asdict(), **change}
    if change.get("mac_address", row.mac_address) != row.mac_address:
        change["mac_address"] = _mac(tx, call, row.network_id, whole["mac_address"])
        whole |= change
    if not whole["port_security_enabled"] and (before if groups is None else groups):
        raise _no_security()
    _settle_pairs(call, whole)
    if "allowed_address_pairs" in change:
        change["allowed_address_pairs"] = whole["allowed_address_pairs"]
    if groups is not None:
        security_groups.check_groups(tx, call, [g for g in groups if g not in before])
        security_groups.check_alike(tx, groups)
        tx.run(sql_delete(t.port_groups).where(t.port_groups.c.port_id == row.id))
        _join(tx, row.id, groups)
    if fixed is not None:
        _move(tx, whole, fixed)
    _rebind(tx, call, row, network, change)
    if "admin_state_up" in change and row.device_owner in binding.SERVED_AT_ONCE and row.host:
        change["status"] = "ACTIVE" if change["admin_state_up"] else "DOWN"
    rows.change(tx, call, t.ports, row.id, change)
    told = notices.group_hosts(tx, {*before, *(groups or ())})
    notices.changed(tx, call, [row.network_id], told | {row.host})


def groups_of(tx: Tx, key: str) -> list[str]:
    c = t.port_groups.c
    return [row[0] for row in tx.all(select(c.group_id).where(c.port_id == key))]


def _move(tx: Tx, port: dict[str, Any], fixed: list[dict[str, str]]) -> None:
    subnets = addresses.subnets_of(tx, port["network_id"])
    addresses.replace(tx, port, fixed, subnets)
    held = {row.ip_address for row in _fixed(tx, port["id"])}
    c = t.floatings.c
    for fip in tx.all(select(c.id, c.fixed_ip_address).where(c.port_id == port["id"])):
        if fip.fixed_ip_address not in held:
            release_floating(tx, c.id == fip.id)


def _fixed(tx: Tx, key: str) -> Any:
    return tx.all(select(t.addresses).where(t.addresses.c.port_id == key))


def _rebind(tx: Tx, call: Call, row: Any, network: Any, change: dict[str, Any]) -> None:
    if "host" not in change:
        return
    host = change.pop("host") or ""
    if host and host != row.host:
        if binding.bind(tx, call, row.id, network, host):
            dhcp.serve(tx, call, network, host)
    elif not host and row.host:
        binding.unbind(tx, row.id)


def release_floating(tx: Tx, condition: Any) -> None:
    """Let the floating addresses that `condition` names point nowhere."""
    stmt = sql_update(t.floatings).where(condition)
    tx.run(stmt.values(port_id=None, fixed_ip_address=None, router_id=None, status="DOWN"))


def delete(tx: Tx, call: Call, row: Any) -> None:
    """Delete a port. Raises: Conflict (it belongs to a router or a floating address)."""
    network = network_of(tx, row.network_id)
    authorize(call, "delete_port", target(call, row._asdict(), network))
    if row.device_owner in SERVED and rows.by_id(tx, _server_of(row), row.device_id) is not None:
        raise faults.conflict(
            "ServicePortInUse",
            f"Port {row.id} cannot be deleted directly via the port API: "
            f"has device owner {row.device_owner}.",
        )
    groups = notices.group_hosts(tx, groups_of(tx, row.id))
    routers = _router_hosts(tx, row.id)
    drop(tx, row.id)
    notices.changed(tx, call, [row.network_id], groups | routers | {row.host})


def _server_of(row: Any) -> Any:
    return t.floatings if row.device_owner == "network:floatingip" else t.routers


def _router_hosts(tx: Tx, port_id: str) -> set[str]:
    stmt = (
        select(t.routers.c.host)
        .join_from(t.floatings, t.routers, t.floatings.c.router_id == t.routers.c.id)
        .where(t.floatings.c.port_id == port_id)
    )
    return {row[0] for row in tx.all(stmt)}


def drop(tx: Tx, key: str) -> None:
    """Remove a port's row and all that hangs on it."""
    release_floating(tx, t.floatings.c.port_id == key)
    tx.run(sql_delete(t.port_groups).where(t.port_groups.c.port_id == key))
    addresses.release(tx, key)
    rows.remove(tx, t.ports, key)

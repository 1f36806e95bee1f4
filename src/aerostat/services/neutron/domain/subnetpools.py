"""Subnet pools: prefixes that subnets are carved from; and address scopes."""

import ipaddress
from typing import Any

import netaddr  # type: ignore[import-untyped]
from sqlalchemy import select

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import collection
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.db.collections import ADDRESS_SCOPES, SUBNETPOOLS
from aerostat.services.neutron.domain import quotas, rows
from aerostat.services.neutron.domain.access import authorize, owner_of, target
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.runtime import Call

C = t.subnetpools.c
LEAST = {4: 8, 6: 64}
MOST = {4: 32, 6: 128}


def create(tx: Tx, call: Call, values: dict[str, Any], given: set[str]) -> str:
    """Make a pool. Raises: BadRequest (prefixes, lengths), QuotaExceeded."""
    owner = owner_of(call, values)
    authorize(call, "create_subnetpool", target(call, {**values, "project_id": owner}), given)
    quotas.check(tx, call, "subnetpool", owner)
    values["prefixes"], version = _prefixes(values["prefixes"])
    values["ip_version"] = version
    values.setdefault("min_prefixlen", LEAST[version])
    values.setdefault("max_prefixlen", MOST[version])
    values.setdefault("default_prefixlen", values["min_prefixlen"])
    _check_lengths(values)
    if values.get("is_default"):
        _check_sole_default(tx, version, "")
    _check_scope(tx, call, {**values, "id": ""})
    return rows.add(tx, call, t.subnetpools, {**values, "project_id": owner})


def _prefixes(asked: list[str]) -> tuple[list[str], int]:
    versions = {ipaddress.ip_network(p).version for p in asked}
    if len(versions) != 1:
        raise faults.bad(
            "PrefixVersionMismatch", "Cannot mix IPv4 and IPv6 prefixes in a subnet pool."
        )
    merged = [str(c) for c in netaddr.cidr_merge(asked)]
    return merged, versions.pop()


def _check_lengths(values: dict[str, Any]) -> None:
    least, most = values["min_prefixlen"], values["max_prefixlen"]
    default = values["default_prefixlen"]
    if not least <= default <= most or most > MOST[values["ip_version"]]:
        raise faults.bad(
            "IllegalSubnetPoolPrefixBounds",
            f"Illegal prefix bounds: min_prefixlen={least}, default_prefixlen={default}, "
            f"max_prefixlen={most}.",
        )


def update(tx: Tx, call: Call, row: Any, values: dict[str, Any]) -> None:
    """Change a pool; prefixes may only grow. Raises: Forbidden, BadRequest."""
    authorize(call, "update_subnetpool", target(call, row._asdict()), values)
    if "prefixes" in values:
        values["prefixes"], _ = _prefixes(values["prefixes"])
        missing = netaddr.IPSet(row.prefixes) - netaddr.IPSet(values["prefixes"])
        if missing:
            raise faults.bad(
                "IllegalSubnetPoolPrefixUpdate",
                "Illegal update to prefixes: existing prefixes must be a subset of the new ones.",
            )
    whole = {**row._asdict(), **values}
    _check_lengths(whole)
    _check_scope_owned(tx, call, row)
    if values.keys() & {"prefixes", "address_scope_id"}:
        _check_scope(tx, call, whole)
    if values.get("is_default"):
        _check_sole_default(tx, row.ip_version, row.id)
    rows.change(tx, call, t.subnetpools, row.id, values)


def _check_sole_default(tx: Tx, version: int, key: str) -> None:
    other = tx.scalar(
        select(C.id).where(C.is_default.is_(True), C.ip_version == version, C.id != key).limit(1)
    )
    if other is not None:
        raise faults.invalid(
            "A default subnetpool for this IP family has already been set. "
            "Only one default may exist per IP family",
            "is_default",
        )


def _check_scope(tx: Tx, call: Call, pool: dict[str, Any]) -> None:
    """Raises: NotFound, BadRequest (another IP version), Conflict (prefixes of another pool)."""
    scope_id = pool.get("address_scope_id")
    if scope_id is None:
        return
    scope = collection.get(tx, ADDRESS_SCOPES, call.ctx, scope_id)
    if scope.ip_version != pool["ip_version"]:
        raise faults.bad(
            "IllegalSubnetPoolIpVersionAssociationToAddressScope",
            f"Illegal subnetpool association: subnetpool {pool['id']} cannot associate with "
            f"address scope {scope_id} because subnetpool ip_version is not {scope.ip_version}.",
        )
    others = select(C.prefixes).where(C.address_scope_id == scope_id, C.id != pool["id"])
    taken = netaddr.IPSet([p for row in tx.all(others.order_by(C.id)) for p in row.prefixes])
    if taken & netaddr.IPSet(pool["prefixes"]):
        raise faults.conflict(
            "AddressScopePrefixConflict",
            "Failed to associate address scope: subnetpools within an address scope must have "
            "unique prefixes.",
        )


def _check_scope_owned(tx: Tx, call: Call, row: Any) -> None:
    """Raises: BadRequest (the pool is in an address scope of others)."""
    scope = rows.by_id(tx, t.address_scopes, row.address_scope_id)
    if scope is not None and not call.ctx.is_admin and scope.project_id != call.ctx.project_id:
        raise faults.bad(
            "IllegalSubnetPoolUpdate",
            f"Illegal subnetpool update : subnetpool {row.id} cannot be updated when associated "
            f"with shared address scope {scope.id}.",
        )


def check_kinship(tx: Tx, network_id: str, pool_id: str | None, version: int) -> None:
    """Return if a subnet may join those that a network has.

    Raises: BadRequest (not of the same pool, nor of the same address scope).
    """
    s = t.subnets.c
    stmt = select(s.subnetpool_id).where(s.network_id == network_id, s.ip_version == version)
    used = {row.subnetpool_id for row in tx.all(stmt.order_by(s.id))}
    scopes = {_scope_of(tx, key) for key in used} - {None}
    if scopes and _scope_of(tx, pool_id) not in scopes:
        raise faults.bad(
            "NetworkAddressScopeAffinityError",
            "Subnets hosted on the same network must participate in the same address scope.",
        )
    if not scopes and used - {pool_id, "prefix_delegation"}:
        raise faults.bad(
            "NetworkSubnetPoolAffinityError",
            "Subnets hosted on the same network must be allocated from the same subnet pool.",
        )


def _scope_of(tx: Tx, pool_id: str | None) -> str | None:
    pool = None if pool_id is None else rows.by_id(tx, t.subnetpools, pool_id)
    return None if pool is None else pool.address_scope_id


def delete(tx: Tx, call: Call, row: Any) -> None:
    """Raises: Conflict (subnets came from it)."""
    authorize(call, "delete_subnetpool", target(call, row._asdict()))
    c = t.subnets.c
    if tx.first(select(c.id).where(c.subnetpool_id == row.id).limit(1)) is not None:
        raise faults.conflict(
            "SubnetPoolDeleteError",
            f"Unable to delete subnet pool {row.id}: Subnet pool has existing allocations.",
        )
    rows.remove(tx, t.subnetpools, row.id)


def default(tx: Tx, version: int) -> str:
    """Return the id of the default pool. Raises: BadRequest (there is none)."""
    found = tx.scalar(select(C.id).where(C.is_default.is_(True), C.ip_version == version))
    if found is None:
        raise faults.bad("BadRequest", f"No default subnetpool found for IPv{version}")
    return str(found)


def carve(tx: Tx, call: Call, pool_id: str, asked: dict[str, Any]) -> str:
    """Return a CIDR of the pool that no subnet has, for the project and network of `asked`.

    Raises: NotFound, BadRequest, Conflict (no room, the pool's quota).
    """
    cidr, length, version = (asked.get(name) for name in ("cidr", "prefixlen", "ip_version"))
    pool = collection.get(tx, SUBNETPOOLS, call.ctx, pool_id)
    if version is not None and version != pool.ip_version:
        raise faults.bad(
            "BadRequest", f"Subnet pool {pool_id} is of IPv{pool.ip_version}, not IPv{version}"
        )
    check_kinship(tx, asked["network_id"], pool.id, pool.ip_version)
    c = t.subnets.c
    stmt = select(c.cidr, c.project_id).where(c.subnetpool_id == pool.id).order_by(c.id)
    found = [(netaddr.IPNetwork(row.cidr), row.project_id) for row in tx.all(stmt)]
    size = netaddr.IPNetwork(cidr).prefixlen if cidr else length or pool.default_prefixlen
    mine = [net.prefixlen for net, owner in found if owner == asked.get("project_id")]
    _check_quota(pool, [*mine, size])
    free = netaddr.IPSet(pool.prefixes) - netaddr.IPSet([net for net, _ in found])
    if cidr is not None:
        if netaddr.IPNetwork(cidr) not in free:
            raise _failed("Cannot allocate requested subnet from the available set of prefixes")
        return str(cidr)
    if not pool.min_prefixlen <= size <= pool.max_prefixlen:
        kind = "Min" if size < pool.min_prefixlen else "Max"
        raise faults.bad(
            f"{kind}PrefixSubnetAllocationError",
            f"Unable to allocate subnet with prefix length {size}, allowed are "
            f"{pool.min_prefixlen} to {pool.max_prefixlen}.",
        )
    for block in sorted(free.iter_cidrs(), key=lambda b: (-b.prefixlen, b.first)):
        if block.prefixlen <= size:
            return f"{block.network}/{size}"
    raise _failed(f"Insufficient prefix space to allocate subnet size /{size}")


def _check_quota(pool: Any, lengths: list[int]) -> None:
    """Raises: Conflict. Quotas count addresses (v4) or /64 networks (v6), as upstream's."""
    unit = {4: 32, 6: 64}[pool.ip_version]
    used = sum(2.0 ** (unit - length) for length in lengths)
    if pool.default_quota is not None and used > pool.default_quota:
        raise faults.conflict(
            "SubnetPoolQuotaExceeded", "Per-tenant subnet pool prefix quota exceeded."
        )


def _failed(why: str) -> Exception:
    return faults.conflict("SubnetAllocationError", f"Failed to allocate subnet: {why}.")


def create_scope(tx: Tx, call: Call, values: dict[str, Any], given: set[str]) -> str:
    owner = owner_of(call, values)
    authorize(call, "create_address_scope", target(call, {**values, "project_id": owner}), given)
    return rows.add(tx, call, t.address_scopes, {**values, "project_id": owner})


def update_scope(tx: Tx, call: Call, row: Any, values: dict[str, Any]) -> None:
    authorize(call, "update_address_scope", target(call, row._asdict()), values)
    if values.get("shared") is False and row.shared:
        raise faults.bad("AddressScopeUpdateError", "Shared address scope can't be unshared.")
    rows.change(tx, call, t.address_scopes, row.id, values)


def delete_scope(tx: Tx, call: Call, row: Any) -> None:
    authorize(call, "delete_address_scope", target(call, row._asdict()))
    if tx.first(select(C.id).where(C.address_scope_id == row.id).limit(1)) is not None:
        raise faults.conflict(
            "AddressScopeInUse", f"Unable to delete address scope {row.id}: it is in use."
        )
    rows.remove(tx, t.address_scopes, row.id)

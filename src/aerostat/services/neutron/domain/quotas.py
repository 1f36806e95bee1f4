"""Quotas: limits are stored, usage is counted."""

from typing import Any

from sqlalchemy import Table, delete, func, insert, select

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.runtime import Call

COUNTED: dict[str, Table] = {
    "network": t.networks,
    "subnet": t.subnets,
    "port": t.ports,
    "router": t.routers,
    "floatingip": t.floatings,
    "security_group": t.groups,
    "security_group_rule": t.rules,
    "subnetpool": t.subnetpools,
    "rbac_policy": t.network_rbacs,
}


def limits(tx: Tx, call: Call, project_id: str) -> dict[str, int]:
    """Return every limit of a project."""
    c = t.quotas.c
    rows = tx.all(select(c.resource, c.limit).where(c.project_id == project_id))
    own = {resource: limit for resource, limit in rows}
    return {**call.config.quotas, **own}


def used(tx: Tx, resource: str, project_id: str) -> int:
    table = COUNTED[resource]
    stmt = select(func.count()).select_from(table).where(table.c.project_id == project_id)
    return int(tx.scalar(stmt))


def check(tx: Tx, call: Call, resource: str, project_id: str, count: int = 1) -> None:
    """Raises: QuotaExceeded (`count` more would be over the limit)."""
    c = t.quotas.c
    limit = tx.scalar(select(c.limit).where(c.project_id == project_id, c.resource == resource))
    if limit is None:
        limit = call.config.quotas.get(resource, -1)
    if limit >= 0 and used(tx, resource, project_id) + count > limit:
        raise faults.over_quota([resource])


def details(tx: Tx, call: Call, project_id: str) -> dict[str, dict[str, Any]]:
    """Return limit, use and reservations of each resource."""
    return {
        name: {"limit": limit, "used": used(tx, name, project_id), "reserved": 0}
        for name, limit in limits(tx, call, project_id).items()
        if name in COUNTED
    }


def overridden(tx: Tx) -> list[str]:
    """Return the projects that have limits of their own."""
    return [row[0] for row in tx.all(select(t.quotas.c.project_id).distinct())]


def put(tx: Tx, project_id: str, values: dict[str, int], force: bool) -> None:
    """Set some limits of a project. Raises: BadRequest (below what it uses, without `force`)."""
    for resource, limit in values.items():
        now = used(tx, resource, project_id) if resource in COUNTED and not force else 0
        if 0 <= limit < now:
            raise faults.bad(
                "HTTPBadRequest",
                f"Quota limit {limit} for {resource} must be greater than or equal to already "
                f"used {now}",
            )
        reset(tx, project_id, resource)
        tx.run(insert(t.quotas).values(project_id=project_id, resource=resource, limit=limit))


def reset(tx: Tx, project_id: str, resource: str | None = None) -> int:
    """Go back to the defaults; return how many limits were overridden."""
    stmt = delete(t.quotas).where(t.quotas.c.project_id == project_id)
    return tx.run(stmt if resource is None else stmt.where(t.quotas.c.resource == resource))

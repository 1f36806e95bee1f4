"""Rows of consumers and what they hold."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from aerostat.kit.db.engine import Tx
from aerostat.services.placement.db import tables as t

C, A, P = t.consumers.c, t.allocations.c, t.providers.c
_HELD = t.allocations.join(t.providers, P.id == A.provider_id)


def consumer(tx: Tx, uuid: str) -> Any | None:
    """Return (uuid, project_id, user_id, consumer_type, generation), or None."""
    columns = (C.uuid, C.project_id, C.user_id, C.consumer_type, C.generation)
    return tx.first(select(*columns).where(C.uuid == uuid))


def of_consumer(tx: Tx, uuid: str) -> dict[str, dict[str, Any]]:
    """Return provider uuid -> {generation, resources}."""
    stmt = select(P.uuid, P.generation, A.resource_class, A.used).select_from(_HELD)
    out: dict[str, dict[str, Any]] = {}
    for provider, generation, name, used in tx.all(stmt.where(A.consumer_uuid == uuid)):
        held = out.setdefault(provider, {"generation": generation, "resources": {}})
        held["resources"][name] = used
    return out


def of_provider(tx: Tx, provider_id: int) -> dict[str, dict[str, Any]]:
    """Return consumer uuid -> {resources, consumer_generation}."""
    joined = t.allocations.join(t.consumers, C.uuid == A.consumer_uuid)
    stmt = select(C.uuid, C.generation, A.resource_class, A.used).select_from(joined)
    out: dict[str, dict[str, Any]] = {}
    for uuid, generation, name, used in tx.all(stmt.where(A.provider_id == provider_id)):
        held = out.setdefault(uuid, {"resources": {}, "consumer_generation": generation})
        held["resources"][name] = used
    return out


def everything(tx: Tx) -> dict[str, dict[str, dict[str, int]]]:
    """Return consumer -> provider -> class -> amount."""
    out: dict[str, dict[str, dict[str, int]]] = {}
    stmt = select(A.consumer_uuid, P.uuid, A.resource_class, A.used).select_from(_HELD)
    for uuid, provider, name, used in tx.all(stmt):
        out.setdefault(uuid, {}).setdefault(provider, {})[name] = used
    return out


def write_consumer(tx: Tx, values: Mapping[str, Any], exists: bool) -> None:
    """Insert or update a consumer; its generation is in `values`."""
    if exists:
        tx.run(update(t.consumers).where(C.uuid == values["uuid"]).values(**values))
    else:
        tx.run(insert(t.consumers).values(**values))


def clear(tx: Tx, uuid: str) -> bool:
    """Take everything from a consumer and forget it; tell whether it held anything."""
    held = tx.run(delete(t.allocations).where(A.consumer_uuid == uuid)) > 0
    tx.run(delete(t.consumers).where(C.uuid == uuid))
    return held


def hold(tx: Tx, uuid: str, provider_id: int, resources: Mapping[str, int]) -> None:
    """Insert what a consumer holds of a provider."""
    rows = [
        {
            "consumer_uuid": uuid,
            "provider_id": provider_id,
            "resource_class": name,
            "used": amount,
        }
        for name, amount in resources.items()
    ]
    tx.run(insert(t.allocations), rows)


def drop_holdings(tx: Tx, uuid: str) -> None:
    """Delete what a consumer holds, keep the consumer."""
    tx.run(delete(t.allocations).where(A.consumer_uuid == uuid))


def usages(
    tx: Tx, project_id: str, user_id: str | None, consumer_type: str | None
) -> dict[str, dict[str, int]]:
    """Return consumer type -> class -> amount (and consumer_count), of one project."""
    where = [C.project_id == project_id]
    if user_id is not None:
        where.append(C.user_id == user_id)
    kind = func.coalesce(C.consumer_type, "unknown")
    if consumer_type not in (None, "all"):
        where.append(kind == consumer_type)
    label = kind if consumer_type != "all" else func.coalesce("all", kind)
    joined = t.allocations.join(t.consumers, C.uuid == A.consumer_uuid)
    stmt = select(label, A.resource_class, func.sum(A.used)).select_from(joined).where(*where)
    out: dict[str, dict[str, int]] = {}
    for name, resource_class, amount in tx.all(stmt.group_by(label, A.resource_class)):
        out.setdefault(name, {})[resource_class] = int(amount)
    counted = select(label, func.count(C.uuid)).where(*where).group_by(label)
    for name, count in tx.all(counted):
        if name in out:
            out[name]["consumer_count"] = count
    return out

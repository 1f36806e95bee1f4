"""What may be done with host aggregates."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import delete as delete_
from sqlalchemy import insert, update

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, NotFound
from aerostat.services.nova.db import hosts as rows
from aerostat.services.nova.db import tables as t
from aerostat.services.nova.db.hosts import Aggregate
from aerostat.services.nova.runtime import Nova


async def find(nova: Nova) -> list[Aggregate]:
    """Return every aggregate."""
    return await nova.db.read(rows.aggregates)


async def get(nova: Nova, id_: str) -> Aggregate:
    """Raises: NotFound."""
    return await nova.db.read(_get, id_)


def _get(tx: Tx, id_: str) -> Aggregate:
    for aggregate in rows.aggregates(tx):
        if id_ in (str(aggregate.id), aggregate.uuid):
            return aggregate
    raise NotFound(f"Aggregate {id_} could not be found.")


async def create(nova: Nova, name: str, zone: str | None) -> Aggregate:
    """Raises: Conflict (name taken)."""

    def write(tx: Tx) -> Aggregate:
        _check_name(tx, name, None)
        uuid = nova.ids()
        metadata = {} if zone is None else {"availability_zone": zone}
        tx.run(
            insert(t.aggregates).values(
                uuid=uuid, name=name, metadata=metadata, hosts=[], created_at=nova.clock.now()
            )
        )
        return _get(tx, uuid)

    return await nova.db.write(write)


def _check_name(tx: Tx, name: str, but: int | None) -> None:
    if any(a.name == name and a.id != but for a in rows.aggregates(tx)):
        raise Conflict(f"Aggregate {name} already exists.")


async def _write(
    nova: Nova, id_: str, values: Callable[[Tx, Aggregate], dict[str, Any]]
) -> Aggregate:
    def write(tx: Tx) -> Aggregate:
        aggregate = _get(tx, id_)
        changed = {**values(tx, aggregate), "updated_at": nova.clock.now()}
        tx.run(update(t.aggregates).where(t.aggregates.c.id == aggregate.id).values(**changed))
        return _get(tx, id_)

    return await nova.db.write(write)


async def change(
    nova: Nova, id_: str, *, metadata: dict[str, Any], name: str | None = None
) -> Aggregate:
    """Rename, and merge metadata; None removes a key.

    Raises: NotFound, Conflict (name taken), BadRequest (a zone change with servers inside).
    """

    def values(tx: Tx, aggregate: Aggregate) -> dict[str, Any]:
        merged = {**aggregate.metadata, **metadata}
        kept = {k: str(v) for k, v in merged.items() if v is not None}
        changed: dict[str, Any] = {"metadata": kept}
        if name is not None:
            _check_name(tx, name, aggregate.id)
            changed["name"] = name
        return changed

    return await _write(nova, id_, values)


async def add_host(nova: Nova, id_: str, host: str) -> Aggregate:
    """Raises: NotFound (aggregate, host), Conflict (it is in, or in another zone)."""

    def values(tx: Tx, aggregate: Aggregate) -> dict[str, Any]:
        rows.host(tx, host)
        if host in aggregate.hosts:
            raise Conflict(f"Cannot add host {host} in aggregate {id_}: host exists")
        zone = aggregate.metadata.get("availability_zone")
        for other in rows.aggregates(tx):
            theirs = other.metadata.get("availability_zone")
            if zone and theirs and theirs != zone and host in other.hosts:
                raise Conflict(f"Cannot add host {host}: it is in availability zone {theirs}")
        return {"hosts": [*aggregate.hosts, host]}

    return await _write(nova, id_, values)


async def remove_host(nova: Nova, id_: str, host: str) -> Aggregate:
    """Raises: NotFound (aggregate, or the host is not in it)."""

    def values(_tx: Tx, aggregate: Aggregate) -> dict[str, Any]:
        if host not in aggregate.hosts:
            raise NotFound(f"Aggregate {id_} has no host {host}.")
        return {"hosts": [h for h in aggregate.hosts if h != host]}

    return await _write(nova, id_, values)


async def delete(nova: Nova, id_: str) -> None:
    """Raises: NotFound, BadRequest (it has hosts)."""

    def write(tx: Tx) -> None:
        aggregate = _get(tx, id_)
        if aggregate.hosts:
            raise BadRequest(f"Cannot remove aggregate {id_}: it is not empty")
        tx.run(delete_(t.aggregates).where(t.aggregates.c.id == aggregate.id))

    await nova.db.write(write)

"""Rows of moves. The only module that names their columns."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct, structs
from sqlalchemy import ColumnElement, insert, or_, select, update

from aerostat.kit.db.among import among
from aerostat.kit.db.engine import Tx
from aerostat.kit.db.pages import page
from aerostat.kit.errors import BadRequest, NotFound
from aerostat.services.nova.db import tables as t
from aerostat.services.nova.model.migration import Migration

C = t.migrations.c
_ALL = select(t.migrations)


class MigrationQuery(Struct, frozen=True, kw_only=True):
    """What a list asks for; `host` is either end, None is no condition. Newest first."""

    equals: dict[str, str] = {}
    host: str | None = None
    changed_since: float | None = None
    changed_before: float | None = None
    marker: str | None = None
    limit: int | None = None


def add(tx: Tx, migration: Migration) -> Migration:
    """Insert a move; return it with its number."""
    values = structs.asdict(migration)
    del values["id"]
    made = tx.connection.execute(insert(t.migrations).values(**values))
    assert made.inserted_primary_key is not None
    return structs.replace(migration, id=made.inserted_primary_key[0])


def get(tx: Tx, uuid: str) -> Migration:
    """Return a move by its uuid. Raises: NotFound."""
    row = tx.first(_ALL.where(C.uuid == uuid))
    if row is None:
        raise NotFound(f"Migration {uuid} could not be found.")
    return Migration(*row)


def change(tx: Tx, uuid: str, now: float, **values: Any) -> None:
    """Write columns of a move."""
    tx.run(update(t.migrations).where(C.uuid == uuid).values(updated_at=now, **values))


def of_server(tx: Tx, server_id: str) -> list[Migration]:
    """Return the moves of a server, newest first."""
    stmt = _ALL.where(C.instance_uuid == server_id).order_by(C.created_at.desc(), C.id.desc())
    return [Migration(*row) for row in tx.all(stmt)]


def open_of_server(tx: Tx, server_id: str) -> list[Migration]:
    """Return the moves of a server that have left something on a host, newest first."""
    return [m for m in of_server(tx, server_id) if not m.over]


def over_among(tx: Tx, uuids: Sequence[str]) -> list[Migration]:
    """Return those of these moves of which nothing is left on any host."""
    found = tx.all(_ALL.where(among(C.uuid, uuids)).order_by(C.id))
    return [m for m in (Migration(*row) for row in found) if m.over]


def last(tx: Tx, server_id: str, status: str) -> Migration | None:
    """Return the newest move of a server, if it is in a status."""
    found = of_server(tx, server_id)
    return found[0] if found and found[0].status == status else None


def left_on(tx: Tx, host: str, status: str, kinds: Sequence[str]) -> list[Migration]:
    """Return the moves away from a host that are in a status, oldest first."""
    stmt = _ALL.where(C.source_compute == host, C.status == status, C.migration_type.in_(kinds))
    return [Migration(*row) for row in tx.all(stmt.order_by(C.created_at, C.id))]


def find(tx: Tx, query: MigrationQuery) -> list[Migration]:
    """Return a page. Raises: BadRequest (marker)."""
    marker = None
    if query.marker is not None:
        try:
            last_seen = get(tx, query.marker)
        except NotFound as why:
            raise BadRequest(f"Marker {query.marker} not found", field="marker") from why
        marker = [last_seen.created_at, last_seen.id]
    stmt = _ALL.where(*_conditions(query))
    sort: list[tuple[ColumnElement[Any], str]] = [(C.created_at, "desc"), (C.id, "desc")]
    return [Migration(*row) for row in page(tx, stmt, sort, marker, query.limit)]


def _conditions(query: MigrationQuery) -> list[ColumnElement[bool]]:
    out: list[ColumnElement[bool]] = [C[name] == value for name, value in query.equals.items()]
    if query.host is not None:
        out.append(or_(C.source_compute == query.host, C.dest_compute == query.host))
    if query.changed_since is not None:
        out.append(C.updated_at >= query.changed_since)
    if query.changed_before is not None:
        out.append(C.updated_at <= query.changed_before)
    return out

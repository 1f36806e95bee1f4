"""Rows of server groups."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import delete, func, insert, select

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import NotFound
from aerostat.services.nova.db import tables as t

C = t.server_groups.c


class ServerGroup(Struct, frozen=True):
    """Servers that are kept together or apart."""

    id: int
    uuid: str
    project_id: str
    user_id: str
    name: str
    policy: str
    rules: dict[str, Any]


def get(tx: Tx, uuid: str, project_id: str | None = None) -> ServerGroup:
    """Raises: NotFound."""
    stmt = select(t.server_groups).where(C.uuid == uuid)
    if project_id is not None:
        stmt = stmt.where(C.project_id == project_id)
    row = tx.first(stmt)
    if row is None:
        raise NotFound(f"Instance group {uuid} could not be found.")
    return ServerGroup(*row)


def find(
    tx: Tx, project_id: str | None, limit: int | None = None, offset: int = 0
) -> Sequence[ServerGroup]:
    """Return the groups of a project, or all."""
    stmt = select(t.server_groups).order_by(C.id).offset(offset)
    if project_id is not None:
        stmt = stmt.where(C.project_id == project_id)
    return [ServerGroup(*row) for row in tx.all(stmt.limit(-1 if limit is None else limit))]


def count(tx: Tx, project_id: str) -> int:
    """Return how many groups a project has."""
    return int(tx.scalar(select(func.count(C.id)).where(C.project_id == project_id)))


def add(tx: Tx, **values: Any) -> ServerGroup:
    """Insert a group."""
    tx.run(insert(t.server_groups).values(**values))
    return get(tx, values["uuid"])


def remove(tx: Tx, uuid: str) -> None:
    """Delete a group; its servers stay."""
    tx.run(delete(t.server_groups).where(C.uuid == uuid))

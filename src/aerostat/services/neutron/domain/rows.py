"""Rows with the standard attributes: made, changed (with a new revision), deleted."""

from typing import Any

from sqlalchemy import Table, delete, insert, select, update

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.runtime import Call


def add(tx: Tx, call: Call, table: Table, values: dict[str, Any]) -> str:
    """Insert a row and return its new id."""
    key = values.setdefault("id", call.neutron.new_id())
    row = {"name": "", "description": "", "revision_number": 1, **values}
    tx.run(insert(table), {**row, "created_at": call.now, "updated_at": call.now})
    return str(key)


def change(tx: Tx, call: Call, table: Table, key: str, values: dict[str, Any]) -> None:
    """Update a row; its revision grows even if nothing else changes."""
    stmt = update(table).where(table.c.id == key)
    tx.run(stmt.values(**values, updated_at=call.now, revision_number=table.c.revision_number + 1))


def remove(tx: Tx, table: Table, key: str) -> None:
    """Delete a row with its tags."""
    tx.run(delete(t.tags).where(t.tags.c.resource_id == key))
    tx.run(delete(table).where(table.c.id == key))


def by_id(tx: Tx, table: Table, key: str | None) -> Any:
    """Return a row, whoever asks; None if there is none."""
    return tx.first(select(table).where(table.c.id == key))

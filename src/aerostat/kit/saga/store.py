"""The saga table of a service: one row an operation, kept as its history afterwards."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Column, Double, Index, MetaData, String, Table, insert, select, update

from aerostat.kit.context import Context
from aerostat.kit.db.columns import Json
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import NotFound
from aerostat.kit.saga.saga import Log


class State(StrEnum):
    """Where a saga is."""

    RUNNING = "running"
    UNDOING = "undoing"
    DONE = "done"
    FAILED = "failed"


UNFINISHED = (State.RUNNING, State.UNDOING)


class Record(msgspec.Struct):
    """A row of the saga table. `fault` is why it is (being) undone: code, message, detail."""

    id: str
    name: str
    key: str
    params: dict[str, Any]
    context: dict[str, Any]
    state: State
    log: Log
    created_at: float
    deadline_at: float
    fault: dict[str, str] | None = None
    updated_at: float | None = None

    def ctx(self) -> Context:
        """Return the identity the saga was started with."""
        return msgspec.convert(self.context, Context)


def saga_table(metadata: MetaData, service: str) -> Table:
    """Declare the saga table of `service`."""
    return Table(
        f"{service}_sagas",
        metadata,
        Column("id", String(36), primary_key=True),
        Column("name", String(64), nullable=False),
        Column("key", String(64), nullable=False),
        Column("params", Json, nullable=False),
        Column("context", Json, nullable=False),
        Column("state", String(16), nullable=False),
        Column("log", Json, nullable=False),
        Column("fault", Json),
        Column("created_at", Double, nullable=False),
        Column("updated_at", Double),
        Column("deadline_at", Double, nullable=False),
        Index(f"ix_{service}_sagas_state", "state"),
        Index(f"ix_{service}_sagas_key", "key", "created_at"),
    )


class Store:
    """Transaction functions over one saga table."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def insert(self, tx: Tx, record: Record) -> None:
        """Add a saga."""
        tx.run(insert(self.table), msgspec.to_builtins(record))

    def save(self, tx: Tx, record: Record, now: float) -> None:
        """Write what changes while a saga runs."""
        tx.run(
            update(self.table)
            .where(self.table.c.id == record.id)
            .values(
                state=record.state,
                log=msgspec.to_builtins(record.log),
                fault=record.fault,
                updated_at=now,
            )
        )

    def get(self, tx: Tx, saga_id: str) -> Record:
        """Return a saga. Raises: NotFound."""
        row = tx.first(select(self.table).where(self.table.c.id == saga_id))
        if row is None:
            raise NotFound(f"No saga {saga_id}.")
        return _record(row)

    def unfinished(self, tx: Tx, key: str | None = None) -> list[Record]:
        """Return what is not over, oldest first, of one key or of all."""
        stmt = select(self.table).where(self.table.c.state.in_(UNFINISHED))
        if key is not None:
            stmt = stmt.where(self.table.c.key == key)
        return _records(tx.all(stmt.order_by(self.table.c.created_at, self.table.c.id)))

    def of_key(self, tx: Tx, key: str) -> list[Record]:
        """Return the history of one resource, newest first."""
        stmt = select(self.table).where(self.table.c.key == key)
        return _records(tx.all(stmt.order_by(self.table.c.created_at.desc())))


def _record(row: Any) -> Record:
    return msgspec.convert({str(k): v for k, v in row._mapping.items()}, Record)


def _records(rows: Sequence[Any]) -> list[Record]:
    return [_record(row) for row in rows]

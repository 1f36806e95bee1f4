"""The saga table of a service: one row an operation, kept as its history afterwards.

A second, small table holds the workers that run sagas, each with a counter that it moves on.
"""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from aerostat.kit.context import Context
from aerostat.kit.db.among import among
from aerostat.kit.db.columns import Json
from aerostat.kit.db.engine import Tx, urgent
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
    """A row of the saga table. `fault` is why it is (being) undone: code, message, detail.

    `owner` is the worker that runs it; only that one may write it. "" waits for a worker.
    """

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
    owner: str = ""

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
        Column("owner", String(36), nullable=False, server_default=""),
        Index(f"ix_{service}_sagas_state", "state"),
        Index(f"ix_{service}_sagas_key", "key", "created_at"),
    )


def worker_table(metadata: MetaData, service: str) -> Table:
    """Declare the table of the workers that run the sagas of `service`."""
    return Table(
        f"{service}_saga_workers",
        metadata,
        Column("id", String(36), primary_key=True),
        Column("beat", Integer, nullable=False),
    )


class Lost(Exception):
    """The saga has another owner now: this worker must not touch it any more."""


class Store:
    """Transaction functions over the two tables."""

    def __init__(self, metadata: MetaData, service: str) -> None:
        self.table = saga_table(metadata, service)
        self.workers = worker_table(metadata, service)

    def insert(self, tx: Tx, record: Record) -> None:
        """Add a saga."""
        tx.run(insert(self.table), msgspec.to_builtins(record))

    def save(self, tx: Tx, record: Record, now: float) -> None:
        """Write what changes while a saga runs. Raises: Lost (the owner is another one)."""
        changed = tx.run(
            update(self.table)
            .where(self.table.c.id == record.id, self.table.c.owner == record.owner)
            .values(
                state=record.state,
                log=msgspec.to_builtins(record.log),
                fault=record.fault,
                updated_at=now,
            )
        )
        if changed == 0:
            raise Lost(record.id)

    def turn_round(self, tx: Tx, record: Record, now: float) -> None:
        """Have a saga undone, whoever owns it."""
        values = {"state": State.UNDOING, "fault": record.fault, "updated_at": now}
        tx.run(update(self.table).where(self.table.c.id == record.id).values(**values))

    def give(self, tx: Tx, saga_ids: Collection[str], owner: str) -> None:
        """Make `owner` the owner of sagas."""
        tx.run(update(self.table).where(among(self.table.c.id, saga_ids)).values(owner=owner))

    def keys(self, tx: Tx, worker: str | None = None) -> list[str]:
        """Return the keys of unfinished sagas, oldest first.

        With `worker`: of those that are its own, or have no owner that is a worker.
        """
        c = self.table.c
        stmt = select(c.key).where(c.state.in_(UNFINISHED))
        if worker is not None:
            others = self.workers.c.id != worker
            stmt = stmt.where(c.owner.not_in(select(self.workers.c.id).where(others)))
        return list(dict.fromkeys(row[0] for row in tx.all(stmt.order_by(c.created_at, c.id))))

    def worker_ids(self, tx: Tx) -> set[str]:
        """Return the workers that nobody has buried."""
        return {row[0] for row in tx.all(select(self.workers.c.id))}

    @urgent
    def beat(self, tx: Tx, worker: str) -> bool:
        """Move a worker's counter on; tell whether it had one."""
        c = self.workers.c
        if tx.run(update(self.workers).where(c.id == worker).values(beat=c.beat + 1)):
            return True
        tx.run(insert(self.workers), {"id": worker, "beat": 0})
        return False

    def beats(self, tx: Tx) -> dict[str, int]:
        """Return everybody's counter."""
        c = self.workers.c
        return {row.id: row.beat for row in tx.all(select(c.id, c.beat))}

    def bury(self, tx: Tx, workers: Collection[str]) -> None:
        """Forget workers that are dead or have stopped; what they owned waits for others."""
        c = self.table.c
        tx.run(
            update(self.table)
            .where(c.state.in_(UNFINISHED), among(c.owner, workers))
            .values(owner="")
        )
        tx.run(delete(self.workers).where(among(self.workers.c.id, workers)))

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

"""Rows of tasks."""

from typing import Any

from sqlalchemy import delete, insert, select, update

from aerostat.kit.db.engine import Tx
from aerostat.services.glance.db import tables as t
from aerostat.services.glance.model.task import FAILURE, PENDING, PROCESSING, Task

C = t.tasks.c
_SELECT = select(*(C[name] for name in Task.__struct_fields__))


def find(tx: Tx, task_id: str) -> Task | None:
    """Return the task, or None."""
    row = tx.first(_SELECT.where(C.id == task_id))
    return None if row is None else Task(*row)


def listed(tx: Tx, limit: int, equal: dict[str, Any]) -> list[Task]:
    """Return the newest tasks whose columns equal what is given."""
    stmt = _SELECT.where(*(C[name] == value for name, value in equal.items()))
    return [Task(*row) for row in tx.all(stmt.order_by(C.created_at.desc(), C.id).limit(limit))]


def add(tx: Tx, task: Task) -> None:
    """Insert a task, and drop those that have expired."""
    tx.run(delete(t.tasks).where(C.expires_at < task.created_at))
    tx.run(insert(t.tasks).values(**{n: getattr(task, n) for n in Task.__struct_fields__}))


def change(tx: Tx, task_id: str, values: dict[str, Any]) -> None:
    """Write columns of a task."""
    tx.run(update(t.tasks).where(C.id == task_id).values(**values))


def fail_unfinished(tx: Tx, image_id: str, now: float) -> None:
    """Mark what a dead process was at with an image as failed."""
    stmt = update(t.tasks).where(C.image_id == image_id, C.status.in_((PENDING, PROCESSING)))
    tx.run(stmt.values(status=FAILURE, message="The service was restarted.", updated_at=now))

"""Rows of tasks."""

from typing import Any

from sqlalchemy import ColumnElement, delete, insert, select, update

from aerostat.kit.db.engine import Tx
from aerostat.kit.db.pages import page, sort_columns
from aerostat.kit.errors import BadRequest
from aerostat.services.glance.db import tables as t
from aerostat.services.glance.model.task import FAILURE, PENDING, PROCESSING, Task, TaskListing

C = t.tasks.c
SORT_KEYS: dict[str, ColumnElement[Any]] = {
    name: C[name] for name in ("id", "type", "status", "created_at", "updated_at", "expires_at")
}
_SELECT = select(*(C[name] for name in Task.__struct_fields__))


def find(tx: Tx, task_id: str) -> Task | None:
    """Return the task, or None."""
    row = tx.first(_SELECT.where(C.id == task_id))
    return None if row is None else Task(*row)


def listed(tx: Tx, wanted: TaskListing) -> list[Task]:
    """Return a page of tasks. Raises: BadRequest (sort key, marker)."""
    stmt = _SELECT.where(*(C[name] == value for name, value in wanted.equal.items()))
    sort = sort_columns(*wanted.order, SORT_KEYS, [("created_at", "desc"), ("id", "desc")])
    after = None
    if wanted.marker is not None:
        last = find(tx, wanted.marker)
        if last is None:
            raise BadRequest(f"Task {wanted.marker} could not be found", field="marker")
        after = [getattr(last, c.name) for c, _ in sort]
    return [Task(*row) for row in page(tx, stmt, sort, after, wanted.limit)]


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

"""Transactions on their way: queued by `write`, run by an engine's writer, settled in the loop."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict


@dataclass(slots=True)
class Job:
    """A transaction function that waits to be run."""

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    done: "asyncio.Future[Any]"


@dataclass(slots=True)
class Finished:
    """A job that was committed with its result, or undone with a reason."""

    job: Job
    tx: Tx | None = None
    result: Any = None
    why: Exception | None = None


def settle(finished: list[Finished]) -> None:
    """Tell the callers; runs in the event loop, after the commit."""
    for one in finished:
        if one.why is None and one.tx is not None:
            one.tx.committed()
        if one.job.done.done():  # The caller went away; the transaction stands.
            continue
        if one.why is None:
            one.job.done.set_result(one.result)
        else:
            one.job.done.set_exception(as_fault(one.why))


def as_fault(why: Exception) -> Exception:
    """Return a broken constraint as a Conflict, anything else as it is."""
    if isinstance(why, IntegrityError):
        fault = Conflict("A resource with these values exists already.", detail=str(why.orig))
        fault.__cause__ = why
        return fault
    return why

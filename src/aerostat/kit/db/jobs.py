"""Transactions on their way: queued by `write`, run by an engine's writer, settled in the loop."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict, Fault, Unavailable


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
    """Return a broken constraint as a Conflict, a broken disk as Unavailable, else `why`."""
    fault: Fault
    if isinstance(why, IntegrityError):
        fault = Conflict("A resource with these values exists already.", detail=str(why.orig))
    elif _disk_broke(why):
        fault = Unavailable("The database cannot be written.", detail=str(why))
    else:
        return why
    fault.__cause__ = why
    return fault


DISK_CODES = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
)
"""What SQLite says when the disk, not the statement, is the matter."""


def _disk_broke(why: Exception) -> bool:
    code = getattr(getattr(why, "orig", why), "sqlite_errorcode", None)
    return code is not None and code & 0xFF in DISK_CODES

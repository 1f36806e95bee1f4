"""The database of a simulated cloud: SQLite in memory, commits that take time, fail or get lost.

A transaction happens at one instant between the call and its answer. Whoever dies before that
instant has changed nothing; whoever dies after it has, without ever being told.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import StaticPool

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict, Unavailable
from aerostat.kit.log import bound
from aerostat.sim.chance import Chance, Faults
from aerostat.sim.process import Process

T = TypeVar("T")

_compiled: dict[Any, Any] = {}
"""SQL compiled once for every simulation of this program; statements never change."""


class Disk:
    """What outlives every process."""

    def __init__(self, template: bytes | None = None) -> None:
        self.raw = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        if template is not None:
            self.raw.deserialize(template)
        self.raw.execute("PRAGMA foreign_keys=ON")
        engine = create_engine("sqlite://", creator=lambda: self.raw, poolclass=StaticPool)
        self.connection: Connection = engine.connect().execution_options(
            isolation_level="AUTOCOMMIT", compiled_cache=_compiled
        )
        self.connection.begin()  # SQLAlchemy is never to commit: BEGIN and COMMIT are ours.

    def read(self, fn: Callable[..., T], *args: Any) -> T:
        """Return `fn(tx, *args)`, at once: for the simulation itself."""
        self.raw.execute("BEGIN")
        try:
            return fn(Tx(self.connection), *args)
        finally:
            self.raw.execute("ROLLBACK")

    def write(self, fn: Callable[..., T], args: tuple[Any, ...]) -> tuple[Tx, T]:
        """Commit `fn(tx, *args)`, at once; whatever it raises undoes all it did."""
        tx = Tx(self.connection)
        self.raw.execute("BEGIN")
        try:
            result = fn(tx, *args)
            self.raw.execute("COMMIT")
        except BaseException as why:
            self.raw.execute("ROLLBACK")
            if isinstance(why, IntegrityError):
                text = "A resource with these values exists already."
                raise Conflict(text, detail=str(why.orig)) from why
            raise
        return tx, result

    def rehearse(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Run `fn` and undo it: a transaction function may be run again."""
        self.raw.execute("BEGIN")
        try:
            fn(Tx(self.connection), *args)
        except Exception:
            return  # It will say so again.
        finally:
            self.raw.execute("ROLLBACK")

    def close(self) -> None:
        """Forget everything."""
        self.connection.close()
        self.connection.engine.dispose()
        self.raw.close()


class _InTurn:
    """Calls things later, in the order they were asked for: a process has one writer."""

    def __init__(self) -> None:
        self._last_at = 0.0

    def later(self, delay: float, fn: Callable[..., None], *args: Any) -> None:
        """Call `fn` in `delay` seconds, or once those before it have been called."""
        loop = asyncio.get_running_loop()
        self._last_at = max(loop.time() + delay, self._last_at + 1e-9)
        loop.call_at(self._last_at, fn, *args)


class SimDatabase:
    """A process's way to the disk (kit.db.engine.Database): a file, or a server if `split`."""

    def __init__(
        self, disk: Disk, process: Process, faults: Callable[[], Faults], chance: Chance
    ) -> None:
        self._disk, self._process = disk, process
        self._faults, self._chance = faults, chance
        self._commits, self._answers = _InTurn(), _InTurn()

    @property
    def shared(self) -> bool:
        """Whether other processes write to it too."""
        return self._faults().split

    async def read(self, fn: Callable[..., T], *args: Any) -> T:
        """Return `fn(tx, *args)` on one snapshot; in the split shape that takes time."""
        if self._faults().split:
            await asyncio.sleep(self._chance.about(self._faults().latency_s / 4))
        return self._disk.read(fn, *args)

    async def write(self, fn: Callable[..., T], *args: Any) -> T:
        """Return `fn(tx, *args)` once it is durable, whether or not the caller waits."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._commits.later(self._delay(), self._commit, fn, args, done)
        return await done

    def _delay(self) -> float:
        return self._chance.about(self._faults().latency_s)

    def _commit(
        self, fn: Callable[..., T], args: tuple[Any, ...], done: "asyncio.Future[T]"
    ) -> None:
        what = _described(fn)
        if not self._process.tick():
            self._process.note("db.died", f"before {what}")
            return
        if self._chance.happens(self._faults().rehearse):
            self._disk.rehearse(fn, args)
        if self._chance.happens(self._faults().write_fails):
            self._process.note("db.failed", what)
            self._answers.later(self._delay(), _fail, done, Unavailable("The database went away."))
            return
        try:
            tx, result = self._disk.write(fn, args)
        except Exception as why:
            self._process.note("db.refused", f"{what} {type(why).__name__}")
            self._answers.later(self._delay(), _fail, done, why)
            return
        self._process.note("db.committed", what)
        if not self._process.tick():
            self._process.note("db.died", f"after {what}")
        elif self._chance.happens(self._faults().reply_of_write_lost):
            self._process.note("db.reply_lost", what)
            self._answers.later(self._delay(), _fail, done, Unavailable("The database went away."))
        else:
            self._answers.later(self._delay(), _settle, done, tx, result)

    async def close(self) -> None:
        """Nothing to let go of."""


def _described(fn: Callable[..., Any]) -> str:
    """Return what a transaction is, and for which saga."""
    saga = bound.get()
    about = f" {saga['saga']} {saga['saga_id'][:8]}" if "saga_id" in saga else ""
    return f"{getattr(fn, '__qualname__', '?')}{about}"


def _settle(done: "asyncio.Future[T]", tx: Tx, result: T) -> None:
    tx.committed()
    if not done.done():
        done.set_result(result)


def _fail(done: "asyncio.Future[Any]", why: Exception) -> None:
    if not done.done():
        done.set_exception(why)

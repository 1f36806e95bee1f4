"""SQLite: reads run in the loop on a snapshot, writes are committed together, one fsync a batch.

A transaction function takes some hundred microseconds here, so it runs in the event loop itself;
only the commit, which waits for the disk, goes to a thread. What arrives while one batch is
being committed makes up the next (group commit). Measured in docs/rfd/0003-database.md.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from aerostat.kit.db.engine import Tx
from aerostat.kit.db.jobs import Finished, Job, settle

T = TypeVar("T")

BATCH_MAX = 256
"""Transactions that share one commit at the most."""

PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=10000",
    "PRAGMA cache_size=-16000",
    "PRAGMA temp_store=MEMORY",
)


class SqliteDatabase:
    """One file, one writer, one reader, both in the loop's thread."""

    shared = False

    def __init__(self, path: Path | str) -> None:
        self._reader, self._read_raw = _connect(str(path))
        self._writer, self._write_raw = _connect(str(path))
        self._jobs: asyncio.Queue[Job | None] = asyncio.Queue()
        self._commit_thread = ThreadPoolExecutor(1, "sqlite-commit")
        self._task: asyncio.Task[None] | None = None

    async def read(self, fn: Callable[..., T], *args: Any) -> T:
        """Return `fn(tx, *args)` on one snapshot."""
        self._read_raw.execute("BEGIN")
        try:
            return fn(Tx(self._reader), *args)
        finally:
            self._read_raw.execute("ROLLBACK")

    async def write(self, fn: Callable[..., T], *args: Any) -> T:
        """Return `fn(tx, *args)` once it is durable.

        Raises: Conflict (a constraint of the schema), and whatever `fn` raises.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._write_batches(), name="sqlite-writer")
        job = Job(fn, args, asyncio.get_running_loop().create_future())
        self._jobs.put_nowait(job)
        result: T = await job.done
        return result

    async def close(self) -> None:
        """Finish what is queued and let go of the file."""
        if self._task is not None:
            self._jobs.put_nowait(None)
            await self._task
        self._commit_thread.shutdown()
        for conn in (self._reader, self._writer):
            conn.close()
            conn.engine.dispose()

    async def _write_batches(self) -> None:
        loop = asyncio.get_running_loop()
        while (job := await self._jobs.get()) is not None:
            self._write_raw.execute("BEGIN IMMEDIATE")
            finished = [self._run_one(job)]
            while len(finished) < BATCH_MAX and not self._jobs.empty():
                following = self._jobs.get_nowait()
                if following is None:
                    self._jobs.put_nowait(None)
                    break
                finished.append(self._run_one(following))
            try:
                await loop.run_in_executor(self._commit_thread, self._write_raw.execute, "COMMIT")
            except sqlite3.Error as why:
                self._write_raw.execute("ROLLBACK")
                finished = [Finished(one.job, why=why) for one in finished]
            settle(finished)

    def _run_one(self, job: Job) -> Finished:
        raw, tx = self._write_raw, Tx(self._writer)
        raw.execute("SAVEPOINT job")
        try:
            result = job.fn(tx, *job.args)
            raw.execute("RELEASE job")
        except Exception as why:
            raw.execute("ROLLBACK TO job")
            raw.execute("RELEASE job")
            return Finished(job, why=why)
        return Finished(job, tx, result)


def _connect(path: str) -> tuple[Connection, sqlite3.Connection]:
    engine: Engine = create_engine(
        f"sqlite:///{path}",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def prepare(raw: sqlite3.Connection, _record: object) -> None:
        for pragma in PRAGMAS:
            raw.execute(pragma)

    conn = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    conn.begin()  # SQLAlchemy is never to commit: BEGIN and COMMIT are ours.
    raw = conn.connection.dbapi_connection
    assert isinstance(raw, sqlite3.Connection)
    return conn, raw

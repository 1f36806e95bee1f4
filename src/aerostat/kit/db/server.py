"""PostgreSQL and MariaDB: reads in a few threads, writes in one that commits a batch at a time.

A process has one writer: what its transactions would otherwise fight about (counting a quota,
taking an address) they do one after the other, and what arrives while a batch is committed makes
up the next. Between processes the database keeps them apart (SERIALIZABLE); who loses a deadlock
or a serialisation is run again, which also is what Galera's certification asks for. Measured in
docs/rfd/0005-engines.md.
"""

import asyncio
import contextlib
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError

from aerostat.kit.db import dialects
from aerostat.kit.db.engine import Tx
from aerostat.kit.db.hosts import Hosts, urls_of
from aerostat.kit.db.jobs import Finished, Job, settle
from aerostat.kit.errors import Unavailable

T = TypeVar("T")

BATCH_MAX = 32
"""Transactions that share one commit at the most; longer ones collide more with other processes."""

READERS = 4
"""Threads, and connections, that read."""

RETRY_S = (0.005, 0.5)
"""First and longest wait before a transaction is run again, before jitter."""

PATIENCE_S = 8.0
"""How long a transaction is tried again while the database is away or others keep winning."""


class ServerDatabase:
    """One database, as one process of several uses it; `url` may name several servers."""

    shared = True

    def __init__(self, url: str, *, readers: int = READERS) -> None:
        self._dialect = dialects.of(urls_of(url))
        hosts = Hosts(self._dialect.urls)
        self._read_engine = _engine(self._dialect, hosts, readers, writing=False)
        self._write_engine = _engine(self._dialect, hosts, 1, writing=True)
        self._readers = ThreadPoolExecutor(readers, "db-read")
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._urgent: deque[Job] = deque()
        self._writer: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def read(self, fn: Callable[..., T], *args: Any) -> T:
        """Return `fn(tx, *args)` on one snapshot.

        Raises: Unavailable (no connection for 8 s), and whatever `fn` raises.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read, fn, args)

    async def write(self, fn: Callable[..., T], *args: Any) -> T:
        """Return `fn(tx, *args)` once it is durable.

        Raises: Conflict (a constraint of the schema), Unavailable (no connection for 8 s, or one
        lost during the commit: whether it stands is unknown), and whatever `fn` raises.
        """
        loop = asyncio.get_running_loop()
        if self._writer is None:
            self._loop = loop
            self._writer = threading.Thread(target=self._write_batches, name="db-write")
            self._writer.daemon = True
            self._writer.start()
        job = Job(fn, args, loop.create_future())
        if getattr(fn, "urgent", False):
            self._urgent.append(job)
            self._jobs.put(_WAKE)
        else:
            self._jobs.put(job)
        result: T = await job.done
        return result

    async def close(self) -> None:
        """Finish what is queued and let go of the connections."""
        if self._writer is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
        self._read_engine.dispose()
        self._write_engine.dispose()

    def _read(self, fn: Callable[..., T], args: tuple[Any, ...]) -> T:
        patience = _Patience(self._dialect)
        while True:
            try:
                with self._read_engine.connect() as conn:
                    try:
                        return fn(Tx(conn), *args)
                    except DBAPIError as why:
                        self._let_go(conn, why)
                        raise
                    finally:
                        _roll_back(conn)
            except DBAPIError as why:
                patience.wait_after(why)

    def _let_go(self, conn: Connection, why: DBAPIError) -> None:
        """Never use a connection again whose server does not serve."""
        if self._dialect.lost(why) and not conn.invalidated:
            conn.invalidate()

    def _write_batches(self) -> None:
        assert self._loop is not None
        ending = False
        while not ending:
            batch, ending = self._next()
            self._hurry()
            finished = self._together(batch) or [self._after_urgent(job) for job in batch]
            self._loop.call_soon_threadsafe(settle, finished)

    def _next(self) -> tuple[list[Job], bool]:
        """Wait for jobs; tell whether they are the last ones."""
        batch: list[Job] = []
        waiting = self._jobs.get()
        with contextlib.suppress(queue.Empty):
            while waiting is not None:
                if waiting is not _WAKE:
                    batch.append(waiting)
                if len(batch) == BATCH_MAX:
                    break
                waiting = self._jobs.get_nowait()
        return batch, waiting is None

    def _hurry(self) -> None:
        """Run what is urgent."""
        assert self._loop is not None
        while self._urgent:
            self._loop.call_soon_threadsafe(settle, [self._alone(self._urgent.popleft())])

    def _after_urgent(self, job: Job) -> Finished:
        self._hurry()
        return self._alone(job)

    def _together(self, batch: list[Job]) -> list[Finished] | None:
        """Commit several jobs at once; None if one of them would not: then each goes alone."""
        if len(batch) < 2:
            return None
        try:
            return self._commit(batch)
        except _InDoubt as why:
            return [Finished(job, why=why) for job in batch]
        except Exception:
            return None

    def _alone(self, job: Job) -> Finished:
        patience, again = _Patience(self._dialect), True
        while True:
            try:
                return self._commit([job])[0]
            except IntegrityError as why:
                # It may be another process's row, which `fn` will see the next time.
                if not again:
                    return Finished(job, why=why)
                again = False
            except DBAPIError as why:
                try:
                    patience.wait_after(why)
                except Exception as fault:
                    return Finished(job, why=fault)
            except Exception as why:
                return Finished(job, why=why)

    def _commit(self, jobs: list[Job]) -> list[Finished]:
        """Run jobs in one transaction. Raises: _InDoubt, and whatever a job raises."""
        with self._write_engine.connect() as conn:
            try:
                finished = [_run(conn, job) for job in jobs]
            except BaseException as why:
                if isinstance(why, DBAPIError):
                    self._let_go(conn, why)
                _roll_back(conn)
                raise
            try:
                conn.commit()
            except DBAPIError as why:
                if self._dialect.lost(why):
                    self._let_go(conn, why)
                    raise _InDoubt("The database went away.", detail=str(why.orig)) from why
                _roll_back(conn)
                raise
        return finished


_WAKE = object()
"""Among the jobs: there is an urgent one."""


class _InDoubt(Unavailable):
    """The connection was lost during a commit: whether it stands is unknown."""


class _Patience:
    """Decides whether a transaction that failed is worth another try, and waits before it."""

    def __init__(self, dialect: dialects.Dialect) -> None:
        self._dialect = dialect
        self._began = time.monotonic()
        self._wait_s = RETRY_S[0]

    def wait_after(self, why: DBAPIError) -> None:
        """Return after a while. Raises: Unavailable, or `why` if another try would not help."""
        if not self._dialect.lost(why) and not self._dialect.collided(why):
            raise why
        if time.monotonic() - self._began > PATIENCE_S:
            raise Unavailable("The database is out of reach.", detail=str(why.orig)) from why
        time.sleep(self._wait_s * random.uniform(0.5, 1.5))
        self._wait_s = min(self._wait_s * 2, RETRY_S[1])


def _run(conn: Connection, job: Job) -> Finished:
    tx = Tx(conn)
    return Finished(job, tx, job.fn(tx, *job.args))


def _roll_back(conn: Connection) -> None:
    with contextlib.suppress(DBAPIError):
        conn.rollback()


def _engine(dialect: dialects.Dialect, hosts: Hosts, size: int, *, writing: bool) -> Engine:
    engine = create_engine(
        dialect.urls[0],
        pool_size=size,
        max_overflow=0,
        pool_reset_on_return=None,
        pool_recycle=1800,
    )
    dbapi: Any = engine.dialect.loaded_dbapi

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, record: Any, _args: object, _params: object) -> Any:
        def to(url: URL) -> Any:
            args, params = engine.dialect.create_connect_args(url)
            raw = engine.dialect.connect(*args, **{**params, **dialect.connect_args()})
            try:
                dialect.prepare(raw, writing=writing)
            except dbapi.Error:
                raw.close()
                raise
            return raw

        raw, number = hosts.connect(to, dbapi.Error)
        record.info.update(server=number, since=time.monotonic())
        return raw

    @event.listens_for(engine, "checkout")
    def check(_raw: object, record: Any, _fairy: object) -> None:
        if not hosts.preferred(record.info["server"], record.info["since"]):
            raise DisconnectionError("A better server may be there.")

    return engine

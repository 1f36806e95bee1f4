"""Runs sagas: forwards while all goes well, backwards when a step fails, on again after a crash.

Sagas of one key (one server) run one after the other, in the order they were started; all that are
unfinished have one owner among the workers (owners.py). An engine that was not resumed runs none:
it records them and wakes a worker.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from aerostat.kit.bus.endpoint import Bus
from aerostat.kit.clock import Clock
from aerostat.kit.context import Context
from aerostat.kit.db.engine import Database, Tx
from aerostat.kit.errors import (
    BY_CODE,
    Conflict,
    DeadlineExceeded,
    Fault,
    Unavailable,
    kind_of,
)
from aerostat.kit.ids import IdSource
from aerostat.kit.log import Logger, bound
from aerostat.kit.saga.owners import BEAT_S, HOLD_S, Owners, Waker, saga_worker
from aerostat.kit.saga.saga import Event, Log, Run, Saga, Step
from aerostat.kit.saga.store import UNFINISHED, Lost, Record, State, Store

S = TypeVar("S")
P = TypeVar("P")

log = Logger("saga")

TICK_S = 1e-5
"""Between the starts of two sagas of a key at least; a double tells such times apart."""

LOOKS_MAX = 64
"""Keys that a search takes up at once: of thousands the transactions would hold up all others."""

ADRIFT_S = 1.0
"""Between two looks for sagas that nobody runs."""

RETRY_S = (0.1, 5.0)
"""First and longest wait before a step or an undo is tried again."""


class Probe(Protocol):
    """Stands at every step, for tests: may raise a Fault (the step fails) or `Crash`."""

    async def before(self, saga: str, step: str, undo: bool) -> None: ...

    async def after(self, saga: str, step: str, undo: bool) -> None: ...

    def repeats(self, saga: str, step: str) -> int: ...


class Crash(BaseException):
    """The process dies here: nothing more is recorded."""


class Cancelled(Conflict):
    """The operation was given up for another one."""

    code = "cancelled"


class _Unsaved(Exception):
    """What a step did could not be written down: go on from what is recorded."""


@dataclass(slots=True)
class _Work:
    saga: Saga[Any]
    record: Record
    run: Run[Any]


class Engine(Generic[S]):
    """The sagas of one service. Steps get the service as their first argument.

    `sagas`: each with its deadline, in seconds from its start to giving up and undoing.
    """

    def __init__(
        self,
        db: Database,
        store: Store,
        sagas: Mapping[Saga[Any], float],
        clock: Clock,
        ids: IdSource,
        *,
        bus: Bus | None = None,
    ) -> None:
        self.store = store
        self.probe: Probe | None = None
        self._db, self._clock, self._ids = db, clock, ids
        self._sagas = {saga.name: saga for saga in sagas}
        self._deadlines = sagas
        self._service: S | None = None
        self._waker = Waker(bus, saga_worker(store.table.name))
        self._owners = Owners(db, store, clock, ids(), self._waker)
        self._queues: dict[str, deque[Record]] = {}
        self._known: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._steps: dict[str, asyncio.Task[Any]] = {}
        self._looks: set[asyncio.Task[None]] = set()
        self._tending: list[asyncio.Task[None]] = []
        self._searched_at = clock.monotonic()
        self._given_up: set[str] = set()

    async def resume(self, service: S) -> int:
        """Run sagas from now on, first of all what is unfinished; return how many keys that were.

        Among several workers this one takes what has no owner, and what dead ones leave.
        """
        self._service = service
        self._waker.serve(self._look_soon, self._owners.me)
        if not self._owners.alone:
            await self._owners.prove()
            for work in (self._beat, self._hold, self._tend):
                self._tending.append(asyncio.create_task(work(), name=f"saga{work.__name__}"))
        keys = await self._db.read(self.store.keys, None if self._owners.alone else self._owners.me)
        for key in keys:
            await self._look(key)
        return len(keys)

    def start(self, tx: Tx, saga: Saga[P], params: P, ctx: Context, key: str) -> str:
        """Record a saga about `key` in the caller's transaction; it runs once that is durable."""
        now, before = self._clock.now(), self.store.unfinished(tx, key)
        me = self._owners.me if self._service is not None else ""
        record = Record(
            id=self._ids(),
            name=saga.name,
            key=key,
            params=msgspec.to_builtins(params),
            context=_carried(ctx),
            state=State.RUNNING,
            log=Log(),
            # They run in this order, whoever's clock was ahead.
            created_at=max([now, *(r.created_at + TICK_S for r in before)]),
            deadline_at=now + self._deadlines[saga],
            owner=self._owners.other_owner(before) or me,
        )
        self.store.insert(tx, record)
        tx.after_commit(lambda: self._enqueue(record))
        return record.id

    def cancel(self, tx: Tx, key: str) -> None:
        """Make every unfinished saga of `key` turn round, once the transaction is durable."""
        for record in self.store.unfinished(tx, key):
            if record.state == State.RUNNING:
                record.state = State.UNDOING
                record.fault = _described(Cancelled("The operation was cancelled."))
                self.store.turn_round(tx, record, self._clock.now())
                tx.after_commit(lambda r=record: self._cancelled(r))  # type: ignore[misc]

    async def idle(self, key: str | None = None) -> None:
        """Wait until no saga (of `key`) runs here."""
        while tasks := [t for k, t in self._tasks.items() if key in (None, k)]:
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """Stop where everything is; another worker, or the next start, goes on from there."""
        self._service = None  # From now on nothing is taken up.
        tasks = [*self._tasks.values(), *self._looks, *self._tending]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._tending:
            try:
                await self._db.write(self.store.bury, [self._owners.me])
            except Fault as why:  # The others will find out by themselves.
                log.info("saga.not_released", reason=why.message)

    def _enqueue(self, record: Record) -> None:
        if self._service is None or record.owner != self._owners.me:
            self._waker.tell(record.owner, record.key)
        elif record.id not in self._known:
            self._known.add(record.id)
            self._queues.setdefault(record.key, deque()).append(record)
            if record.key not in self._tasks:
                task = asyncio.create_task(self._drain(record.key), name=f"saga-{record.key}")
                self._tasks[record.key] = task

    def _cancelled(self, record: Record) -> None:
        if record.id in self._known:
            self._given_up.add(record.id)
            if (step := self._steps.get(record.id)) is not None:
                step.cancel()
        elif record.owner != self._owners.me:
            self._waker.tell(record.owner, record.key)

    async def _beat(self) -> None:
        """Prove that this worker lives, however long all else takes."""
        while True:
            try:
                async with asyncio.timeout(HOLD_S - BEAT_S):
                    if not await self._owners.prove():
                        self._drop_all()
            except Exception as why:  # The engine: the database may be away for a while.
                log.warning("saga.not_proved", reason=repr(why))
            await asyncio.sleep(BEAT_S)

    async def _tend(self) -> None:
        """Bury the dead, take up what nobody runs."""
        while True:
            try:
                await self._look_round()
            except Exception as why:  # The engine: the database may be away for a while.
                log.warning("saga.unseen", reason=repr(why))
            await asyncio.sleep(BEAT_S)

    async def _look_round(self) -> None:
        await self._owners.look()
        if dead := self._owners.dead():
            log.warning("saga.workers_died", workers=sorted(dead))
            await self._db.write(self.store.bury, dead)
        elif self._clock.monotonic() - self._searched_at < ADRIFT_S:
            return
        self._searched_at = self._clock.monotonic()
        keys = await self._db.read(self.store.keys, self._owners.me)
        adrift = [key for key in keys if key not in self._queues]
        for key in adrift[: max(LOOKS_MAX - len(self._looks), 0)]:
            self._look_soon(key)

    async def _hold(self) -> None:
        """Let go of everything as soon as another worker may have it."""
        while True:
            await asyncio.sleep(BEAT_S)
            await self._owners.hear()
            if not self._owners.holds:
                self._drop_all()

    def _drop_all(self) -> None:
        """Let go of every saga: another worker may have them."""
        if self._tasks:
            log.warning("saga.dropped", keys=len(self._tasks))
        for task in self._tasks.values():
            task.cancel()

    def _look_soon(self, key: str) -> None:
        if self._service is None:
            return
        task = asyncio.create_task(self._look(key), name=f"saga-look-{key}")
        self._looks.add(task)
        task.add_done_callback(self._looks.discard)

    async def _look(self, key: str) -> None:
        """Run what is unfinished of a key, or wake the worker that does."""
        records, owner = await self._db.write(self._owners.claim, key)
        for record in records:
            if record.id in self._known and record.state == State.UNDOING:
                self._cancelled(record)
            self._enqueue(record)
        if owner not in ("", self._owners.me):
            self._waker.tell(owner, key)

    async def _drain(self, key: str) -> None:
        queue = self._queues[key]
        try:
            while queue or await self._more(key):
                await self._finish(queue[0])
                self._known.discard(queue.popleft().id)
        except Crash:
            log.warning("saga.crashed", key=key)
        except Lost:
            log.warning("saga.lost", key=key)
        finally:
            self._known.difference_update(record.id for record in queue)
            del self._tasks[key], self._queues[key]

    async def _more(self, key: str) -> bool:
        """Queue what others have left for this worker meanwhile; tell whether there is any."""
        if not self._owners.alone:
            records = await self._db.read(self.store.unfinished, key)
            for record in records:
                if record.owner == self._owners.me:
                    self._enqueue(record)
        return bool(self._queues[key])

    async def _finish(self, record: Record) -> None:
        """Drive a saga to its end, from what is recorded if our own bookkeeping fails.

        Raises: Lost (another worker has it now).
        """
        wait = RETRY_S[0]
        while True:
            try:
                if record.owner != self._owners.me:
                    raise Lost(record.id)
                await self._drive(record)
                return
            except Lost:
                raise
            except Exception as why:  # The engine: a full disk must not lose an operation.
                log.error("saga.broke", why=why, saga_id=record.id, wait_s=wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, RETRY_S[1])
                record = await self._recorded(record)

    async def _recorded(self, record: Record) -> Record:
        """Return what is recorded of a saga, as soon as that can be read."""
        while True:
            try:
                return await self._db.read(self.store.get, record.id)
            except Unavailable as why:
                log.warning("saga.unread", saga_id=record.id, reason=why.message)
                await asyncio.sleep(RETRY_S[0])

    async def _drive(self, record: Record) -> None:
        if record.state not in UNFINISHED:
            return
        saga, log_ = self._sagas[record.name], record.log
        params, ctx = msgspec.convert(record.params, saga.params), record.ctx()
        run: Run[Any] = Run(
            record.key, params, ctx, log_, began=record.created_at, ends=record.deadline_at
        )
        bound.set({"request_id": ctx.request_id, "saga_id": record.id, "saga": record.name})
        work = _Work(saga, record, run)
        if record.state == State.RUNNING:
            fault = await self._forward(work)
            if fault is None:
                return
            await self._turn_round(record, fault)
        await self._backward(work)

    async def _forward(self, work: _Work) -> Fault | None:
        for step in work.saga.steps:
            if step.name in work.run.log.results:
                continue
            try:
                await self._step_forward(work, step)
            except Fault as why:
                return why
        return None

    async def _step_forward(self, work: _Work, step: Step[Any, Any]) -> None:
        record, run = work.record, work.run
        event = Event(step.name, self._clock.now())
        run.log.events.append(event)
        try:
            result = await self._try(record, step, run)
            event.finished_at, event.result = self._clock.now(), "Success"
            run.log.results[step.name] = msgspec.to_builtins(result)
            if step is work.saga.steps[-1]:
                record.state = State.DONE
            try:
                await self._db.write(self._save_step, work, step, result)
            except Unavailable as why:
                raise _Unsaved(step.name) from why
            took_ms = round((self._clock.now() - event.started_at) * 1000, 2)
            log.info("saga.step", step=step.name, key=record.key, took_ms=took_ms)
        except Fault as why:  # Also when the rows would not have it: a failed step all the same.
            event.finished_at, event.result = self._clock.now(), "Error"
            event.message = why.message
            record.state = State.RUNNING
            raise

    async def _try(self, record: Record, step: Step[Any, Any], run: Run[Any]) -> Any:
        """Run a step until it succeeds, fails for good, is given up, or time is over."""
        wait, reason = RETRY_S[0], None
        while True:
            if record.id in self._given_up:
                raise Cancelled("The operation was cancelled.")
            try:
                return await self._once(record, step, run)
            except Fault as why:
                left = record.deadline_at - self._clock.now()
                if reason is not None and isinstance(why, DeadlineExceeded):
                    why = reason  # That time ran out says less than what it ran out on.
                if not why.retryable or left <= 0:
                    raise why from None
                reason = why
                log.info(
                    "saga.retry",
                    step=step.name,
                    reason=why.message,
                    detail=why.detail,
                    wait_s=wait,
                )
                await asyncio.sleep(min(wait, left))
                wait = min(wait * 2, RETRY_S[1])

    async def _once(self, record: Record, step: Step[Any, Any], run: Run[Any]) -> Any:
        if not self._owners.holds:
            raise Lost(record.id)
        left = max(0.0, record.deadline_at - self._clock.now())
        task = asyncio.ensure_future(self._act(record, step, run))
        self._steps[record.id] = task
        try:
            async with asyncio.timeout(left):
                return await task
        except TimeoutError as why:
            raise DeadlineExceeded(f"{step.name} took too long.") from why
        except asyncio.CancelledError:
            if record.id in self._given_up:
                raise Cancelled("The operation was cancelled.") from None
            raise
        finally:
            self._steps.pop(record.id, None)

    async def _act(self, record: Record, step: Step[Any, Any], run: Run[Any]) -> Any:
        probe = self.probe
        try:
            if probe is not None:
                await probe.before(record.name, step.name, False)
            for _ in range(probe.repeats(record.name, step.name) if probe else 1):
                result = await step.fn(self._service, run)
            if probe is not None:
                await probe.after(record.name, step.name, False)
            return result
        except Fault:
            raise
        except Exception as why:  # The engine: a bug in a step undoes the saga, it hangs nothing.
            log.error("saga.step_broke", why=why, step=step.name)
            raise Fault("An unexpected error occurred.", detail=repr(why)) from why

    def _save_step(self, tx: Tx, work: _Work, step: Step[Any, Any], result: Any) -> None:
        recorded = self.store.get(tx, work.record.id)
        if recorded.owner != self._owners.me:
            raise Lost(work.record.id)
        if recorded.state == State.UNDOING:
            raise Cancelled("The operation was cancelled.")
        if step.record_fn is not None:
            step.record_fn(tx, work.run, result)
        if work.record.state == State.DONE and work.saga.succeeded_fn is not None:
            work.saga.succeeded_fn(tx, work.run)
        self.store.save(tx, work.record, self._clock.now())

    async def _turn_round(self, record: Record, fault: Fault) -> None:
        log.info("saga.undoing", reason=fault.message, code=fault.code, detail=fault.detail)
        record.state = State.UNDOING
        record.fault = _described(fault)
        await self._db.write(self.store.save, record, self._clock.now())

    async def _backward(self, work: _Work) -> None:
        log_ = work.run.log
        finished = [s for s in work.saga.steps if s.name in log_.results]
        # The step after them is undone too: it may have done half its work.
        for step in reversed(work.saga.steps[: len(finished) + 1]):
            if step.name not in log_.undone:
                if step.undo_fn is not None:
                    await self._undo(work.record, step, work.run)
                log_.undone.append(step.name)
        work.record.state = State.FAILED
        await self._db.write(self._save_failed, work)
        self._given_up.discard(work.record.id)

    async def _undo(self, record: Record, step: Step[Any, Any], run: Run[Any]) -> None:
        assert step.undo_fn is not None
        wait, probe = RETRY_S[0], self.probe
        while True:
            if not self._owners.holds:
                raise Lost(record.id)
            try:
                if probe is not None:
                    await probe.before(record.name, step.name, True)
                for _ in range(probe.repeats(record.name, step.name) if probe else 1):
                    await step.undo_fn(self._service, run)
                if probe is not None:
                    await probe.after(record.name, step.name, True)
                return
            except Exception as why:  # The engine: an undo is tried until it succeeds.
                log.error("saga.undo_failed", why=why, step=step.name, wait_s=wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, RETRY_S[1])

    def _save_failed(self, tx: Tx, work: _Work) -> None:
        if work.saga.failed_fn is not None:
            work.saga.failed_fn(tx, work.run, fault_of(work.record))
        self.store.save(tx, work.record, self._clock.now())


def fault_of(record: Record) -> Fault:
    """Return why a saga was undone."""
    said = record.fault or {}
    kind = BY_CODE.get(said.get("kind", ""), Fault)
    return kind(said.get("message", ""), code=said.get("code"), detail=said.get("detail", ""))


def _described(fault: Fault) -> dict[str, str]:
    return {
        "kind": kind_of(fault),
        "code": fault.code,
        "message": fault.message,
        "detail": fault.detail,
    }


def _carried(ctx: Context) -> dict[str, Any]:
    carried: dict[str, Any] = msgspec.to_builtins(ctx)
    carried["token"] = ""  # A saga acts for itself; a stored token would be a stored secret.
    carried["roles"] = list(ctx.roles)
    return carried

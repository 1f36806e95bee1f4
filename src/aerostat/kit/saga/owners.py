"""Which worker runs which saga, when several processes share the database.

A worker proves that it lives by moving a counter in the database on; the others watch the counter
by their own monotonic clocks, so that no two clocks need to agree. Who does not get its counter
moved stops before anybody may take its sagas over: HOLD_S < LEASE_S.

A process that was killed is noticed sooner: its connection to the bus ends with it. Whoever is
neither heard of in the database nor on the bus for BRIEF_S is dead; for its part a worker stops
that could not make itself heard on either for as long.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from aerostat.kit.bus.endpoint import Bus, Endpoint
from aerostat.kit.clock import Clock
from aerostat.kit.db.engine import Database, Tx
from aerostat.kit.errors import Fault, Unavailable
from aerostat.kit.log import Logger
from aerostat.kit.saga.store import Record, Store

log = Logger("saga")

BEAT_S = 0.25
"""Between two moves of the counter."""

BRIEF_S = 0.75
"""How long a worker may be heard of neither in the database nor on the bus."""

HOLD_S = 3.0
"""A worker whose counter has not moved for this long gives up what it owns."""

LEASE_S = 4.5
"""Another worker's counter that has not moved for this long belongs to a dead one."""

WAKE_TIMEOUT_S = 5.0


class SagaWorker(Protocol):
    """A worker, as whoever starts or cancels a saga sees it."""

    async def wake(self, *, key: str) -> None:
        """Look at the sagas of `key` now; a missed call costs a second, nothing else."""
        ...


def saga_worker(service: str) -> Endpoint[SagaWorker]:
    """Return the endpoint of the workers of a service."""
    return Endpoint(f"{service}-sagas", SagaWorker)


class Owners:
    """This worker among the others. `alone`: there are no others, and nothing is to be proved."""

    def __init__(self, db: Database, store: Store, clock: Clock, me: str, waker: "Waker") -> None:
        self.me, self.alone = me, not db.shared
        self._db, self._store, self._clock, self._waker = db, store, clock, waker
        self._moved: dict[str, tuple[int, float]] = {}
        self._gone: dict[str, float] = {}
        self._proved_at = self._looked_at = clock.monotonic()
        self._heard_at = float("-inf")

    @property
    def holds(self) -> bool:
        """Whether nobody can have taken over what this worker owns."""
        now = self._clock.monotonic()
        limit_s = HOLD_S if now - self._heard_at < BRIEF_S else BRIEF_S
        return self.alone or now - self._proved_at < limit_s

    async def prove(self) -> bool:
        """Move the counter on; tell whether the others still knew this worker."""
        began = self._clock.monotonic()
        known = await self._db.write(self._store.beat, self.me)
        self._proved_at = began
        return known

    async def hear(self) -> None:
        """Look whether this worker is on the bus, where the others look for it."""
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(BEAT_S):
                if await self._waker.hears(self.me):
                    self._heard_at = began
        except (Fault, TimeoutError) as why:  # Nobody can tell.
            log.debug("saga.bus_unheard", reason=repr(why))

    async def look(self) -> None:
        """Look at the others' counters, and on the bus for those whose counters stand still."""
        beats = await self._db.read(self._store.beats)
        now = self._clock.monotonic()
        if now - self._looked_at > BRIEF_S:  # Nobody could be seen meanwhile: begin again.
            self._moved, self._gone = {}, {}
        self._looked_at = now
        self._moved = {
            worker: self._moved[worker]
            if worker in self._moved and self._moved[worker][0] == beat
            else (beat, now)
            for worker, beat in beats.items()
        }
        await self._listen()

    async def _listen(self) -> None:
        still = {w for w, (_, moved_at) in self._moved.items() if moved_at < self._looked_at}
        self._gone = {w: since for w, since in self._gone.items() if w in still}
        try:
            async with asyncio.timeout(BEAT_S):
                for worker in still - {self.me}:
                    if await self._waker.hears(worker):
                        self._gone.pop(worker, None)
                    else:
                        self._gone.setdefault(worker, self._clock.monotonic())
        except (Fault, TimeoutError) as why:  # Nobody can tell.
            log.debug("saga.bus_unheard", reason=repr(why))
            self._gone = {}

    def dead(self) -> set[str]:
        """Return the workers whose counters stand still, and those that are not there at all."""
        now = self._clock.monotonic()
        late = {w for w, (_, moved_at) in self._moved.items() if now - moved_at > LEASE_S}
        silent = {w for w, (_, moved_at) in self._moved.items() if now - moved_at > BRIEF_S}
        gone = {w for w, since in self._gone.items() if now - since > BRIEF_S}
        return (late | silent & gone) - {self.me}

    def claim(self, tx: Tx, key: str) -> tuple[list[Record], str]:
        """Take the unfinished sagas of `key`; all of them have one owner, which runs them in turn.

        Returns them if that owner is this worker, and the owner. A worker that was buried, or has
        stopped, owns nothing and takes nothing.
        """
        records = self._store.unfinished(tx, key)
        alive = {self.me} if self.alone else self._store.worker_ids(tx)
        owner = max({r.owner for r in records} & alive - {self.me}, default=self.me)
        if owner not in alive:
            return [], ""
        if adrift := [record.id for record in records if record.owner != owner]:
            self._store.give(tx, adrift, owner)
        for record in records:
            record.owner = owner
        return (records if owner == self.me else []), owner

    def other_owner(self, records: list[Record]) -> str:
        """Return the worker that runs these sagas of one key, "" if none but this one does."""
        return "" if self.alone else max({r.owner for r in records} - {self.me}, default="")


class Waker:
    """Tells workers to look at a key, and does not wait for it."""

    def __init__(self, bus: Bus | None, endpoint: Endpoint[SagaWorker]) -> None:
        self._bus, self._endpoint = bus, endpoint
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, wake: Callable[[str], object], me: str) -> None:
        """Let `wake(key)` be called by others, as any worker and as this one."""
        if self._bus is not None:
            woken = _Woken(wake)
            self._endpoint.serve(self._bus, woken)
            self._endpoint.serve(self._bus, woken, me, passing=True)

    async def hears(self, worker: str) -> bool:
        """Tell whether a worker is on the bus. Raises: Unavailable (nobody can tell)."""
        if self._bus is None:
            raise Unavailable("There is no bus.")
        return await self._bus.served(f"{self._endpoint.name}@{worker}")

    def tell(self, owner: str, key: str) -> None:
        """Wake the owner of a key, any worker if it has none."""
        if self._bus is not None:
            task = asyncio.create_task(self._tell(self._bus, owner, key), name=f"wake-{key}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _tell(self, bus: Bus, owner: str, key: str) -> None:
        args = (owner,) if owner else ()
        try:
            await self._endpoint.at(bus, *args, timeout_s=WAKE_TIMEOUT_S).wake(key=key)
        except Fault as why:
            log.debug("saga.wake_unheard", owner=owner, key=key, reason=why.message)


class _Woken:
    def __init__(self, wake: Callable[[str], object]) -> None:
        self._wake = wake

    async def wake(self, *, key: str) -> None:
        self._wake(key)

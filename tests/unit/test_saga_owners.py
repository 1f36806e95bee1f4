"""Several workers over one database: each saga has one owner, and none is lost with its owner."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import MetaData, Table

from aerostat.kit.bus.embedded import EmbeddedBus
from aerostat.kit.clock import SystemClock
from aerostat.kit.context import system_context
from aerostat.kit.db.engine import Tx
from aerostat.kit.db.sqlite import SqliteDatabase
from aerostat.kit.ids import new_uuid
from aerostat.kit.saga import owners
from aerostat.kit.saga.engine import Engine
from aerostat.kit.saga.saga import Run, Saga
from aerostat.kit.saga.store import UNFINISHED, State, Store


class P(msgspec.Struct):
    name: str


class World:
    """What a worker acts on: it notes its steps, and waits at a gate while one is shut."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self.notes = name, notes
        self.gate, self.reached = asyncio.Event(), asyncio.Event()
        self.gate.set()


class JumpingClock(SystemClock):
    """The machine's clock, moved on by `ahead_s`."""

    ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


saga = Saga("note", P)


@saga.step
async def note(world: World, run: Run[P]) -> None:
    world.reached.set()
    await world.gate.wait()
    world.notes.append(f"{world.name}:{run.p.name}")


@note.undo
async def strike(world: World, run: Run[P]) -> None:
    world.notes.append(f"{world.name}:not {run.p.name}")


metadata = MetaData()
store = Store(metadata, "test")


class Workers:
    """Engines over one database and one bus."""

    def __init__(self, folder: Path) -> None:
        self.db, self.bus = SqliteDatabase(folder / "db"), EmbeddedBus()
        self.db.shared = True  # type: ignore[misc]
        self.notes: list[str] = []
        self.engines: list[Engine[World]] = []

    async def open(self) -> None:
        def create(tx: Tx) -> None:
            tables: list[Table] = [store.table, store.workers]
            metadata.create_all(tx.connection, tables=tables)

        await self.db.write(create)

    def engine(self, bus: Any = None) -> tuple[Engine[World], JumpingClock]:
        clock = JumpingClock()
        made: Engine[World] = Engine(self.db, store, {saga: 60.0}, clock, new_uuid, bus=bus)
        self.engines.append(made)
        return made, clock

    async def pair(
        self,
    ) -> tuple[tuple[Engine[World], JumpingClock], tuple[Engine[World], JumpingClock], World]:
        """Return two workers that run, and the first one's world, with its gate shut."""
        one, two = self.engine(), self.engine()
        first = World("one", self.notes)
        first.gate.clear()
        await one[0].resume(first)
        await two[0].resume(World("two", self.notes))
        return one, two, first

    async def start(self, engine: Engine[World], name: str, key: str = "k") -> str:
        ctx = system_context("req-test")
        return await self.db.write(lambda tx: engine.start(tx, saga, P(name), ctx, key))

    async def ended(self, saga_id: str) -> State:
        # The row is what counts, and nothing tells of its changes.
        while (record := await self.db.read(store.get, saga_id)).state in UNFINISHED:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return record.state

    async def close(self) -> None:
        for engine in self.engines:
            await engine.close()
        await self.bus.close()
        await self.db.close()


async def test_who_records_a_saga_need_not_run_it(tmp_path: Path) -> None:
    workers = Workers(tmp_path)
    await workers.open()
    api, _ = workers.engine(workers.bus)
    conductor, _ = workers.engine(workers.bus)
    await conductor.resume(World("conductor", workers.notes))
    ids = [await workers.start(api, str(number)) for number in range(3)]
    assert [await workers.ended(id_) for id_ in ids] == [State.DONE] * 3
    assert workers.notes == ["conductor:0", "conductor:1", "conductor:2"]
    await workers.close()


async def test_all_sagas_of_a_key_go_to_one_worker(tmp_path: Path) -> None:
    workers = Workers(tmp_path)
    await workers.open()
    (one, _), (two, _), first = await workers.pair()
    ids = [await workers.start(one, "a")]
    await first.reached.wait()
    ids += [await workers.start(two, "b"), await workers.start(two, "other", "k2")]
    assert await workers.ended(ids[2]) == State.DONE
    assert workers.notes == ["two:other"]
    first.gate.set()
    assert [await workers.ended(id_) for id_ in ids] == [State.DONE] * 3
    assert workers.notes == ["two:other", "one:a", "one:b"]
    await workers.close()


async def test_sagas_run_in_the_order_they_were_recorded_whatever_the_clocks_say(
    tmp_path: Path,
) -> None:
    workers = Workers(tmp_path)
    await workers.open()
    (ahead, clock), (other, _) = workers.engine(), workers.engine()
    clock.ahead_s = 30
    ids = [await workers.start(ahead, "a"), await workers.start(other, "b")]
    await other.resume(World("other", workers.notes))
    assert [await workers.ended(id_) for id_ in ids] == [State.DONE] * 2
    assert workers.notes == ["other:a", "other:b"]
    await workers.close()


async def test_who_cancels_need_not_be_the_owner(tmp_path: Path) -> None:
    workers = Workers(tmp_path)
    await workers.open()
    (one, _), (api, _) = workers.engine(workers.bus), workers.engine(workers.bus)
    first = World("one", workers.notes)
    first.gate.clear()
    await one.resume(first)
    id_ = await workers.start(one, "a")
    await first.reached.wait()
    await workers.db.write(lambda tx: api.cancel(tx, "k"))
    assert await workers.ended(id_) == State.FAILED
    assert workers.notes == ["one:not a"]
    await workers.close()


async def test_a_dead_workers_saga_goes_on_elsewhere(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("aerostat.kit.saga.engine.BEAT_S", 0.02)
    monkeypatch.setattr("aerostat.kit.saga.owners.LEASE_S", 0.2)
    workers = Workers(tmp_path)
    await workers.open()
    (one, one_clock), _, first = await workers.pair()
    id_ = await workers.start(one, "a")
    await first.reached.wait()
    for task in one._tending:
        task.cancel()  # It lives, but cannot prove it any more.
    await asyncio.sleep(0)
    one_clock.ahead_s += owners.HOLD_S
    assert await workers.ended(id_) == State.DONE
    assert workers.notes == ["two:a"]
    first.gate.set()  # The old owner's step ends after all: it must not write.
    await one.idle()
    assert workers.notes == ["two:a", "one:a"]
    await workers.close()


async def test_a_stopping_worker_hands_over(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("aerostat.kit.saga.engine.BEAT_S", 0.02)
    workers = Workers(tmp_path)
    await workers.open()
    (one, _), _, first = await workers.pair()
    id_ = await workers.start(one, "a")
    await first.reached.wait()
    await one.close()
    assert await workers.ended(id_) == State.DONE
    assert workers.notes == ["two:a"]
    await workers.close()


async def test_a_saga_of_nobody_that_is_known_is_taken_up(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("aerostat.kit.saga.engine.BEAT_S", 0.02)
    workers = Workers(tmp_path)
    await workers.open()
    (one, _), (two, _) = workers.engine(workers.bus), workers.engine()
    await one.resume(World("one", workers.notes))
    await one.close()
    # It says that it is one's, and one has been buried: as if its transaction had come last.
    id_ = await workers.start(one, "a")
    await workers.db.write(lambda tx: store.give(tx, [id_], one._owners.me))
    one._look_soon("k")  # A late wake-up finds a stopped worker.
    await two.resume(World("two", workers.notes))
    assert await workers.ended(id_) == State.DONE
    assert workers.notes == ["two:a"]
    await workers.close()


async def test_a_search_takes_up_some_at_a_time(tmp_path: Path, monkeypatch: Any) -> None:
    """Thousands of transactions at once would keep this worker's own from coming in time."""
    monkeypatch.setattr("aerostat.kit.saga.engine.LOOKS_MAX", 2)
    monkeypatch.setattr("aerostat.kit.saga.engine.BEAT_S", 0.02)
    monkeypatch.setattr("aerostat.kit.saga.engine.ADRIFT_S", 0.02)
    workers = Workers(tmp_path)
    await workers.open()
    (one, _), (two, _) = workers.engine(workers.bus), workers.engine()
    await two.resume(World("two", workers.notes))
    most, look = 0, two._look

    async def counted(key: str) -> None:
        nonlocal most
        most = max(most, len(two._looks))
        await look(key)

    two._look = counted  # type: ignore[method-assign]
    ids = [await workers.start(one, name, key=name) for name in "abcdefgh"]
    for id_ in ids:
        assert await workers.ended(id_) == State.DONE
    assert sorted(workers.notes) == [f"two:{name}" for name in "abcdefgh"]
    assert most <= 2
    await workers.close()


class Ears:
    """A bus on which workers come and go."""

    def __init__(self) -> None:
        self.there: set[str] = set()

    def serve(self, address: str, _methods: Any, *, passing: bool = False) -> None:
        self.there.add(address.partition("@")[2])

    async def served(self, address: str) -> bool:
        return address.partition("@")[2] in self.there

    async def call(self, *_: Any) -> Any:
        return None


async def watched(tmp_path: Path) -> tuple[Workers, Engine[World], JumpingClock, Any, Ears]:
    """Return one worker that looks, by its own clock, at another one that never beats again."""
    workers, ears = Workers(tmp_path), Ears()
    await workers.open()
    (one, clock), (two, _) = workers.engine(ears), workers.engine(ears)
    for engine in (one, two):
        engine._waker.serve(lambda _: None, engine._owners.me)
        await engine._owners.prove()

    async def look(times: int) -> set[str]:
        for _ in range(times):
            clock.ahead_s += owners.BEAT_S
            await one._owners.prove()
            await one._owners.look()
        return one._owners.dead()

    return workers, two, clock, look, ears


async def test_who_is_neither_in_the_database_nor_on_the_bus_is_dead_soon(tmp_path: Path) -> None:
    workers, two, _, look, ears = await watched(tmp_path)
    assert await look(8) == set()  # It is on the bus.
    ears.there.discard(two._owners.me)
    assert await look(3) == set()  # A moment is not enough.
    assert await look(3) == {two._owners.me}
    await two._owners.prove()
    assert await look(1) == set()
    ears.there.add(two._owners.me)
    assert await look(int(owners.LEASE_S / owners.BEAT_S) - 1) == set()
    assert await look(3) == {two._owners.me}
    await workers.close()


async def test_what_could_not_be_seen_does_not_count(tmp_path: Path) -> None:
    workers, two, clock, look, ears = await watched(tmp_path)
    ears.there.discard(two._owners.me)
    assert await look(2) == set()
    clock.ahead_s += 100  # The database was away.
    assert await look(2) == set()
    assert await look(5) == {two._owners.me}
    await workers.close()


async def test_a_worker_that_nobody_hears_lets_go_soon(tmp_path: Path) -> None:
    workers, ears = Workers(tmp_path), Ears()
    await workers.open()
    one, clock = workers.engine(ears)
    one._waker.serve(lambda _: None, one._owners.me)
    await one._owners.prove()
    await one._owners.hear()
    clock.ahead_s += owners.BRIEF_S / 2
    await one._owners.hear()
    clock.ahead_s += owners.BRIEF_S * 0.9
    assert one._owners.holds  # It is on the bus.
    clock.ahead_s += owners.BRIEF_S * 0.2
    assert not one._owners.holds
    await workers.close()

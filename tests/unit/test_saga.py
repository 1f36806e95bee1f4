"""The saga engine: forwards, backwards, and on again after a crash."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import MetaData

from aerostat.kit.clock import SystemClock
from aerostat.kit.context import system_context
from aerostat.kit.db.engine import Tx
from aerostat.kit.db.sqlite import SqliteDatabase
from aerostat.kit.errors import Fault
from aerostat.kit.ids import new_uuid
from aerostat.kit.saga.engine import Crash, Engine
from aerostat.kit.saga.saga import Run, Saga
from aerostat.kit.saga.store import State, Store


class P(msgspec.Struct):
    name: str


class World:
    def __init__(self) -> None:
        self.things: set[str] = set()
        self.ended: list[str] = []


saga = Saga("make", P)


@saga.step
async def one(world: World, run: Run[P]) -> str:
    world.things.add("one")
    return run.p.name


@one.undo
async def not_one(world: World, run: Run[P]) -> None:
    world.things.discard("one")


@saga.step
async def two(world: World, run: Run[P]) -> None:
    assert run[one] == run.p.name
    world.things.add("two")


@two.undo
async def not_two(world: World, run: Run[P]) -> None:
    world.things.discard("two")


metadata = MetaData()
store = Store(metadata, "test")


class Probe:
    def __init__(self, where: tuple[str, str], how: str) -> None:
        self.where, self.how = where, how

    async def before(self, saga: str, step: str, undo: bool) -> None:
        self._act(("before", step), undo)

    async def after(self, saga: str, step: str, undo: bool) -> None:
        self._act(("after", step), undo)

    def repeats(self, saga: str, step: str) -> int:
        return 2 if self.how == "twice" else 1

    def _act(self, at: tuple[str, str], undo: bool) -> None:
        if at == self.where and not undo and self.how in ("fail", "crash"):
            raise Fault("injected") if self.how == "fail" else Crash()


async def _run(
    path: Path, world: World, probe: Probe | None
) -> tuple[Engine[World], SqliteDatabase]:
    db = SqliteDatabase(path / "db")
    await db.write(lambda tx: metadata.create_all(tx.connection))
    engine: Engine[World] = Engine(db, store, {saga: 10.0}, SystemClock(), new_uuid)
    engine.probe = probe
    await engine.resume(world)
    return engine, db


@pytest.mark.parametrize("step", ["one", "two"])
@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("how", ["fail", "crash", "twice"])
async def test_every_step_every_way(tmp_path: Path, step: str, side: str, how: str) -> None:
    world = World()
    engine, db = await _run(tmp_path, world, Probe((side, step), how))
    saga_id = await db.write(
        lambda tx: engine.start(tx, saga, P("x"), system_context("req-1"), "key")
    )
    await engine.idle()
    if how == "crash":
        assert (await db.read(store.get, saga_id)).state == State.RUNNING
        await engine.close()
        await db.close()
        engine, db = await _run(tmp_path, world, None)
        await engine.idle()
    record = await db.read(store.get, saga_id)
    assert record.state == (State.FAILED if how == "fail" else State.DONE)
    assert world.things == (set() if how == "fail" else {"one", "two"})
    await db.close()


async def test_cancel_undoes_a_running_saga(tmp_path: Path) -> None:
    world, reached = World(), asyncio.Event()

    class Stuck(Probe):
        async def after(self, saga: str, step: str, undo: bool) -> None:
            if step == "two" and not undo:
                reached.set()
                await asyncio.Event().wait()

    engine, db = await _run(tmp_path, world, Stuck(("", ""), ""))

    def begin(tx: Tx) -> str:
        return engine.start(tx, saga, P("x"), system_context("req-1"), "key")

    saga_id = await db.write(begin)
    await reached.wait()
    await db.write(engine.cancel, "key")
    await engine.idle()
    record = await db.read(store.get, saga_id)
    assert record.state == State.FAILED
    assert record.fault is not None
    assert record.fault["code"] == "cancelled"
    assert world.things == set()
    await db.close()

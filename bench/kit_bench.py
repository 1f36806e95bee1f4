"""What the kit's parts cost: transactions with and without company, calls over the bus.

usage: python bench/kit_bench.py
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import uvloop
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select

from aerostat.kit.bus.embedded import EmbeddedBus
from aerostat.kit.bus.endpoint import Endpoint
from aerostat.kit.db.engine import Tx
from aerostat.kit.db.sqlite import SqliteDatabase

metadata = MetaData()
things = Table(
    "things", metadata, Column("id", Integer, primary_key=True), Column("name", String(36))
)


class Echo(Protocol):
    """Answers with what it was told."""

    async def echo(self, *, server_id: str) -> str: ...


class EchoHere:
    """The answering side."""

    async def echo(self, *, server_id: str) -> str:
        return server_id


async def rate(act: Callable[[], Awaitable[object]], count: int, company: int) -> float:
    """Return how many times a second `act` is done, by `company` callers at once."""

    async def worker() -> None:
        for _ in range(count // company):
            await act()

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(company)))
    return count / (time.perf_counter() - started)


async def database(folder: Path) -> None:
    """Measure reads and durable writes."""
    db = SqliteDatabase(folder / "db")
    await db.write(lambda tx: metadata.create_all(tx.connection))

    def add(tx: Tx) -> None:
        tx.run(insert(things).values(name="x"))

    def show(tx: Tx) -> object:
        return tx.first(select(things).where(things.c.id == 1))

    for company in (1, 16, 64):
        print(
            f"durable writes, {company:>2} at once "
            f"{await rate(lambda: db.write(add), 3200, company):10.0f} /s"
        )
    print(f"reads of one row          {await rate(lambda: db.read(show), 10000, 1):10.0f} /s")
    await db.close()


async def bus(folder: Path) -> None:
    """Measure calls in process and over the socket."""
    echo: Endpoint[Echo] = Endpoint("echo", Echo)
    here, there = EmbeddedBus(), EmbeddedBus()
    echo.serve(there, EchoHere(), "far")
    echo.serve(here, EchoHere(), "near")
    await here.listen(folder / "bus")
    there.connect(folder / "bus")
    await here.connected()
    for where in ("near", "far"):
        stub = echo.at(here, where)
        for company in (1, 32):
            done = await rate(lambda: stub.echo(server_id="x" * 36), 20000, company)  # noqa: B023
            print(f"calls {where:<4}, {company:>2} at once       {done:10.0f} /s")
    await there.close()
    await here.close()


async def main() -> None:
    """Measure everything once."""
    with tempfile.TemporaryDirectory() as folder:
        await database(Path(folder))
        await bus(Path(folder))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())

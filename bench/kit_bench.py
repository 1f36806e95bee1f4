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

from aerostat.assembly.engines import MariaDb, PostgreSql, RabbitMq
from aerostat.kit.bus.embedded import EmbeddedBus
from aerostat.kit.bus.endpoint import Endpoint
from aerostat.kit.bus.rabbit import RabbitBus
from aerostat.kit.db.engine import Database, Tx
from aerostat.kit.db.server import ServerDatabase
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


async def database(name: str, db: Database) -> None:
    """Measure reads and durable writes."""
    await db.write(lambda tx: metadata.create_all(tx.connection))

    def add(tx: Tx) -> None:
        tx.run(insert(things).values(name="x"))

    def show(tx: Tx) -> object:
        return tx.first(select(things).where(things.c.id == 1))

    for company in (1, 16, 64):
        writes = await rate(lambda: db.write(add), 3200, company)
        reads = await rate(lambda: db.read(show), 6400, company)
        print(f"{name:<10} {company:>2} at once: {writes:8.0f} writes/s {reads:8.0f} reads/s")
    await db.close()


async def rabbit(url: str) -> None:
    """Measure calls over RabbitMQ, and a reply's way back."""
    echo: Endpoint[Echo] = Endpoint("echo", Echo)
    here, there = RabbitBus([url]), RabbitBus([url])
    echo.serve(there, EchoHere(), "far")
    for one in (there, here):
        one.connect()
        await one.connected()
    far = echo.at(here, "far")
    await far.echo(server_id="x" * 36)
    for company in (1, 32):
        found = await rate(lambda: far.echo(server_id="x" * 36), 1600, company)
        print(f"RabbitMQ, {company:>2} callers {found:10.0f} calls/s")
    await here.close()
    await there.close()


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
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        await database("SQLite", SqliteDatabase(folder / "db"))
        for title, made in (("PostgreSQL", PostgreSql), ("MariaDB", MariaDb)):
            server = made(folder / title)
            server.start()
            await database(title, ServerDatabase(server.url))
            server.kill()
        await bus(folder)
        broker = RabbitMq(folder / "rabbitmq")
        broker.start()
        await rabbit(broker.url)
        broker.kill()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())

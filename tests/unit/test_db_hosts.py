"""A database of several servers: who is connected to, and what a death costs."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import URL, Column, Integer, MetaData, Table, insert, select
from tests.folders import open_folder

from aerostat.assembly.copies import GaleraCluster, PostgresPair
from aerostat.kit.db import hosts
from aerostat.kit.db.hosts import Hosts, urls_of
from aerostat.kit.db.server import ServerDatabase
from aerostat.kit.errors import BadRequest, Conflict, Unavailable

metadata = MetaData()
things = Table("things", metadata, Column("id", Integer, primary_key=True, autoincrement=False))


@pytest.mark.parametrize(
    ("url", "places"),
    [
        ("postgresql://u:p@a:1,b:2/name", ["a:1", "b:2"]),
        ("postgresql://u:p@a,b/name", ["a:None", "b:None"]),
        ("mariadb://u:p%40x@a:3306/name?charset=utf8mb4", ["a:3306"]),
    ],
)
def test_a_url_may_name_several_hosts(url: str, places: list[str]) -> None:
    found = urls_of(url)
    assert [f"{u.host}:{u.port}" for u in found] == places
    assert {(u.username, u.database) for u in found} == {("u", "name")}


def test_what_is_no_url_is_refused() -> None:
    with pytest.raises(BadRequest):
        urls_of("somewhere")


def test_the_first_server_that_does_is_used_and_gone_back_to(monkeypatch: Any) -> None:
    dead = {"a"}
    tried: list[str] = []

    def connect(url: URL) -> str:
        tried.append(str(url.host))
        if url.host in dead:
            raise OSError(url.host)
        return str(url.host)

    servers = Hosts(urls_of("postgresql://u:p@a,b,c/n"))
    assert servers.connect(connect, OSError) == ("b", 1)
    assert servers.connect(connect, OSError) == ("b", 1)
    assert tried == ["a", "b", "b"]
    dead.clear()
    monkeypatch.setattr(hosts, "AVOID_S", 0.0)
    assert not servers.preferred(1, 0.0)
    assert servers.connect(connect, OSError) == ("a", 0)
    dead.update("abc")
    with pytest.raises(OSError, match="c"):
        servers.connect(connect, OSError)


@pytest.fixture(params=["postgresql", "mariadb"])
def copies(request: Any) -> Iterator[PostgresPair | GaleraCluster]:
    with open_folder("copies") as folder:
        made = PostgresPair(folder) if request.param == "postgresql" else GaleraCluster(folder)
        try:
            made.start()
            yield made
        finally:
            made.kill()


async def test_what_was_confirmed_is_there_when_the_server_in_use_dies(
    copies: PostgresPair | GaleraCluster,
) -> None:
    db = ServerDatabase(copies.url)
    await db.write(lambda tx: metadata.create_all(tx.connection))
    killed = asyncio.Event()
    confirmed: list[int] = []
    unknown: list[int] = []

    async def add(number: int) -> None:
        try:
            await db.write(lambda tx: tx.run(insert(things), {"id": number}))
            confirmed.append(number)
        except (Unavailable, Conflict):  # Nobody knows, or it was there after all.
            unknown.append(number)
        if len(confirmed) == 50:
            killed.set()

    async def strike() -> None:
        await killed.wait()
        await asyncio.to_thread(copies.nodes[0].kill)
        if isinstance(copies, PostgresPair):
            await asyncio.to_thread(copies.promote)

    await asyncio.gather(strike(), *(add(number) for number in range(1, 400)))
    there = await db.read(lambda tx: {row.id for row in tx.all(select(things))})
    assert set(confirmed) <= there <= set(confirmed) | set(unknown)
    assert len(unknown) <= 32  # One batch was being committed.
    await db.close()

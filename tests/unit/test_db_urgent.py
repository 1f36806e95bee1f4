"""What must not come too late is written before all that waits, on every server."""

import asyncio
import threading

import pytest
from sqlalchemy import text
from tests.servers import new_database

from aerostat.kit.db.engine import Tx, urgent
from aerostat.kit.db.server import BATCH_MAX, ServerDatabase


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
async def test_urgent_writes_overtake(kind: str) -> None:
    db = ServerDatabase(new_database(kind))
    order: list[str] = []
    began, go = threading.Event(), threading.Event()

    def first(tx: Tx) -> None:
        began.set()
        go.wait()
        order.append("first")

    def plain(tx: Tx, number: int) -> None:
        tx.run(text("select 1"))
        order.append(f"plain {number}")

    @urgent
    def beat(tx: Tx) -> str:
        tx.run(text("select 1"))
        order.append("urgent")
        return "seen"

    writes = [asyncio.create_task(db.write(first))]
    assert await asyncio.to_thread(began.wait, 10)
    count = 3 * BATCH_MAX + 1
    writes += [asyncio.create_task(db.write(plain, number)) for number in range(count)]
    seen = asyncio.create_task(db.write(beat))
    await asyncio.sleep(0)  # All of them are in the queue.
    go.set()
    assert await seen == "seen"
    await asyncio.gather(*writes)
    assert order == ["first", "urgent", *(f"plain {number}" for number in range(count))]
    assert await db.write(beat) == "seen"  # Nothing else waits.
    await db.close()

"""The number in the database that grows with everything that may change what a token is worth.

A process remembers what it looked up; several processes over one database must all forget at
once. Each change bumps the number in its own transaction, so the row's lock orders the changes,
and a process that is not alone reads it before it trusts its memory.
"""

import asyncio

from sqlalchemy import BigInteger, Integer, column, select, table, update

from aerostat.kit.db.engine import Database, Tx

ROW = table("keystone_generation", column("id", Integer), column("value", BigInteger))
_BUMP = update(ROW).where(ROW.c.id == 1).values(value=ROW.c.value + 1)
_READ = select(ROW.c.value).where(ROW.c.id == 1)


def bump(tx: Tx) -> int:
    """Return the number that this transaction's change has."""
    tx.run(_BUMP)
    return read(tx)


def read(tx: Tx) -> int:
    """Return the number of the last change."""
    return int(tx.scalar(_READ) or 0)


class Watch:
    """Reads the number for many at once: who asks waits for a read that begins after the asking.

    While one read is under way all who come share the next, so a thousand validations that
    arrive together cost one or two reads, and none relies on what was read before it came.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._reading = asyncio.Lock()
        self._next: asyncio.Task[int] | None = None

    async def current(self) -> int:
        """Return the number as it is now. Raises: what reading the database raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._read(), name="keystone-generation")
        return await asyncio.shield(self._next)

    async def _read(self) -> int:
        async with self._reading:
            self._next = None  # Whoever comes from now on needs another read.
            return await self._db.read(read)

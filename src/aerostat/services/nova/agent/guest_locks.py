"""One operation at a time on each guest; locks exist only while somebody wants them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class GuestLocks:
    """A fair lock per guest."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._wanted: dict[str, int] = {}

    @asynccontextmanager
    async def hold(self, server_id: str) -> AsyncIterator[None]:
        """Be the only one to work on the guest."""
        lock = self._locks.setdefault(server_id, asyncio.Lock())
        self._wanted[server_id] = self._wanted.get(server_id, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._wanted[server_id] -= 1
            if not self._wanted[server_id]:
                del self._wanted[server_id], self._locks[server_id]

    def held(self, server_id: str) -> bool:
        """Tell whether an operation on the guest is under way."""
        return server_id in self._locks

    async def settled(self, server_id: str) -> None:
        """Return when no operation on the guest is under way."""
        if self.held(server_id):
            async with self.hold(server_id):
                pass

"""Waits for a guest to reach a state: events wake it, and it looks for itself before it trusts."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Set

from aerostat.services.nova.model.guest import PowerState


class StateWaiter:
    """`until` returns on the event that brings a wanted state, or when time is up."""

    def __init__(self, look: Callable[[str], Awaitable[PowerState]]) -> None:
        self._look = look
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def tell(self, server_id: str) -> None:
        """Something happened to the guest."""
        for event in self._waiting.get(server_id, ()):
            event.set()

    async def until(self, server_id: str, wanted: Set[PowerState], timeout_s: float) -> bool:
        """Tell whether the guest reached one of the `wanted` states within `timeout_s`."""
        event = asyncio.Event()
        self._waiting[server_id].add(event)
        try:
            async with asyncio.timeout(timeout_s):
                while await self._look(server_id) not in wanted:
                    await event.wait()
                    event.clear()
        except TimeoutError:
            return False
        finally:
            self._waiting[server_id].discard(event)
            if not self._waiting[server_id]:
                del self._waiting[server_id]
        return True

"""Carries guests' states to the control plane: none is lost while it is away.

An event only says that there is something to look at: what is told is the state at the moment of
telling, so that whatever comes late (an old event, a list made before it) is set right again.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aerostat.kit.errors import Fault, NotFound
from aerostat.kit.log import Logger
from aerostat.services.nova.agent.endpoint import ComputeControl
from aerostat.services.nova.agent.guest_locks import GuestLocks
from aerostat.services.nova.model.guest import PowerState

log = Logger("nova.lifecycle")
REPORTS_AT_ONCE_MAX = 16


Look = Callable[[str], Awaitable[PowerState]]
"""Returns the power state of a guest. Raises: NotFound, Unavailable."""


class Reporter:
    """Reports in order per guest. What happens during an operation is told when it has ended.

    So a reboot is not seen as a guest that went down, only as one that runs.
    """

    def __init__(
        self,
        host: str,
        control: ComputeControl,
        locks: GuestLocks,
        look: Look,
        *,
        retry_s: float,
    ) -> None:
        self._host, self._control, self._locks = host, control, locks
        self._look, self._retry_s = look, retry_s
        self._changed: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(REPORTS_AT_ONCE_MAX)

    def report(self, server_id: str) -> None:
        """Tell the control plane how the guest is, now or as soon as it listens."""
        self._changed.add(server_id)
        if server_id not in self._tasks:
            task = asyncio.create_task(self._deliver(server_id), name=f"lifecycle-{server_id}")
            self._tasks[server_id] = task

    def forget(self, server_id: str) -> None:
        """The guest is gone for good: nothing about it matters any more."""
        self._changed.discard(server_id)

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver(self, server_id: str) -> None:
        try:
            while server_id in self._changed:
                await self._locks.settled(server_id)
                if server_id not in self._changed:
                    return
                self._changed.discard(server_id)
                if not await self._sent(server_id):
                    self._changed.add(server_id)
                    await asyncio.sleep(self._retry_s)
        finally:
            del self._tasks[server_id]

    async def _look_at(self, server_id: str) -> PowerState:
        try:
            return await self._look(server_id)
        except NotFound:  # What is not there is off.
            return PowerState.SHUTDOWN

    async def _sent(self, server_id: str) -> bool:
        """Tell whether the report needs no repeating."""
        try:
            async with self._slots:
                state = await self._look_at(server_id)
                return await self._control.lifecycle(
                    host=self._host, server_id=server_id, power_state=state
                )
        except Fault as why:
            log.warning("lifecycle.unheard", server_id=server_id, code=why.code)
            return not why.retryable

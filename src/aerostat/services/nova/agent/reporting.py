"""Carries guests' states to the control plane: none is lost while it is away, the newest wins."""

import asyncio

from aerostat.kit.errors import Fault
from aerostat.kit.log import Logger
from aerostat.services.nova.agent.endpoint import ComputeControl
from aerostat.services.nova.agent.guest_locks import GuestLocks
from aerostat.services.nova.model.guest import PowerState

log = Logger("nova.lifecycle")
REPORTS_AT_ONCE_MAX = 16


class Reporter:
    """Reports in order per guest. What happens during an operation is told when it has ended.

    So a reboot is not seen as a guest that went down, only as one that runs.
    """

    def __init__(
        self, host: str, control: ComputeControl, locks: GuestLocks, *, retry_s: float
    ) -> None:
        self._host, self._control, self._locks = host, control, locks
        self._retry_s = retry_s
        self._newest: dict[str, PowerState] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(REPORTS_AT_ONCE_MAX)

    def report(self, server_id: str, state: PowerState) -> None:
        """Tell the control plane, now or as soon as it listens."""
        self._newest[server_id] = state
        if server_id not in self._tasks:
            task = asyncio.create_task(self._deliver(server_id), name=f"lifecycle-{server_id}")
            self._tasks[server_id] = task

    def forget(self, server_id: str) -> None:
        """The guest is gone for good: nothing about it matters any more."""
        self._newest.pop(server_id, None)

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver(self, server_id: str) -> None:
        try:
            while server_id in self._newest:
                await self._locks.settled(server_id)
                state = self._newest.pop(server_id, None)
                if state is not None and not await self._sent(server_id, state):
                    self._newest.setdefault(server_id, state)
                    await asyncio.sleep(self._retry_s)
        finally:
            del self._tasks[server_id]

    async def _sent(self, server_id: str, state: PowerState) -> bool:
        """Tell whether the report needs no repeating."""
        try:
            async with self._slots:
                await self._control.lifecycle(
                    host=self._host, server_id=server_id, power_state=state
                )
        except Fault as why:
            log.warning("lifecycle.unheard", server_id=server_id, code=why.code)
            return not why.retryable
        return True

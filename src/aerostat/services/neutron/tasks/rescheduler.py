"""Moves networks and routers off hosts whose agents died; every copy may do it."""

import asyncio

from aerostat.kit.errors import Fault
from aerostat.kit.log import Logger
from aerostat.services.neutron.domain import rescheduling
from aerostat.services.neutron.domain.control import system_call
from aerostat.services.neutron.runtime import NeutronService

log = Logger("neutron.rescheduler")

PERIOD_S = 10.0


class Rescheduler:
    """Looks at the agents every ten seconds."""

    def __init__(self, neutron: NeutronService) -> None:
        self._neutron = neutron
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="neutron-rescheduler")

    async def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(PERIOD_S)
            try:
                await self.look()
            except Fault as why:
                log.warning("rescheduler.failed", reason=why.message)

    async def look(self) -> list[str]:
        """Move what has to be moved; return the ids of the networks and routers."""
        call = system_call(self._neutron)
        if not await self._neutron.db.read(rescheduling.stranded, call):
            return []
        moved = await self._neutron.db.write(rescheduling.reschedule, call)
        if moved:
            log.warning("rescheduler.moved", resources=moved)
        return moved

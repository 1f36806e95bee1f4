"""Says for nova's own processes that they are alive, as hosts say it for theirs."""

import asyncio
from collections.abc import Collection

from aerostat.kit.errors import Fault
from aerostat.kit.log import Logger
from aerostat.services.nova.db import hosts
from aerostat.services.nova.runtime import Nova

log = Logger("nova.presence")

BEAT_S = 10.0
SHOWN = ("nova-scheduler", "nova-conductor")
"""The binaries that the list of services has, beside nova-compute. Source: api-ref, services."""


class Presence:
    """The heartbeat of the roles of one process."""

    def __init__(self, nova: Nova, host: str, roles: Collection[str]) -> None:
        self._nova, self._host = nova, host
        self._binaries = [name for name in SHOWN if name in roles]
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the list shows the services from now on."""
        if self._binaries:
            self._task = asyncio.create_task(self._beat(), name="nova-presence")

    async def stop(self) -> None:
        """Fall silent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _beat(self) -> None:
        nova = self._nova
        while True:
            try:
                for binary in self._binaries:
                    await nova.db.write(
                        hosts.seen, self._host, binary, nova.ids(), nova.clock.now()
                    )
            except Fault as why:
                log.warning("presence.not_written", reason=why.message)
            await asyncio.sleep(BEAT_S)

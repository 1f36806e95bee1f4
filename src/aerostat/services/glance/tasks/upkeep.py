"""What glance does of its own accord: says its work is alive, undoes that of the dead, scrubs."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aerostat.kit.errors import Fault, Unavailable
from aerostat.kit.log import Logger
from aerostat.services.glance.domain import caching, leases, scrubbing
from aerostat.services.glance.runtime import Glance

log = Logger("glance.upkeep")
BEATS_PER_LEASE = 4
WAIT_S = 1.0


class Upkeep:
    """Runs for as long as the API does. Every copy of glance-api has one; they share the work."""

    def __init__(self, glance: Glance) -> None:
        self._glance = glance
        self._tasks: list[asyncio.Task[None]] = []

    async def before(self) -> None:
        """Sweep a staging folder of this copy's own, before the API takes anything in.

        Waits for whoever owns the rows.
        """
        while self._glance.db.shared:
            try:
                return await leases.recover(self._glance)
            except Unavailable as why:
                log.warning("upkeep.waits", detail=why.detail or why.message)
                await asyncio.sleep(WAIT_S)

    def start(self) -> None:
        """Begin."""
        config = self._glance.config
        for work, every_s in (
            (leases.beat, config.lease_s / BEATS_PER_LEASE),
            (leases.bury, config.lease_s),
            (scrubbing.scrub, config.wakeup_time),
            (caching.tidy, config.cache_prefetcher_interval),
        ):
            self._tasks.append(asyncio.create_task(self._repeat(work, every_s)))

    async def stop(self) -> None:
        """Stop, once the work of this process is done or undone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._glance.close()

    async def _repeat(self, work: Callable[[Glance], Awaitable[Any]], every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await work(self._glance)
            except Fault as why:
                log.warning("upkeep.failed", code=why.code, detail=why.detail or why.message)

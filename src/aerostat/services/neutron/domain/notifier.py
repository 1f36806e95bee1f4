"""Carries revisions to hosts: the newest one wins; a lost one does no harm, agents poll too."""

import asyncio
from functools import partial

from aerostat.kit.bus.endpoint import Bus
from aerostat.kit.errors import Fault
from aerostat.kit.log import Logger
from aerostat.services.neutron.agent.endpoint import network_host

log = Logger("neutron.notifier")
TIMEOUT_S = 5.0


class Notifier:
    """A `Notify` over the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._newest: dict[str, int] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __call__(self, hosts: set[str], revision: int) -> None:
        for host in hosts:
            self._newest[host] = max(revision, self._newest.get(host, 0))
            if host not in self._tasks:
                task = asyncio.create_task(self._tell(host))
                self._tasks[host] = task
                task.add_done_callback(partial(self._done, host))

    def _done(self, host: str, _task: object) -> None:
        self._tasks.pop(host, None)

    async def _tell(self, host: str) -> None:
        stub = network_host.at(self._bus, host, timeout_s=TIMEOUT_S)
        told = -1
        while told != self._newest[host]:
            told = self._newest[host]
            try:
                await stub.changed(revision=told)
            except Fault as why:
                log.debug("notifier.lost", host=host, revision=told, reason=why.message)

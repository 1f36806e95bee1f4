"""Carries revisions to hosts: the newest one wins; a lost one does no harm, agents poll too."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from aerostat.kit.bus.endpoint import Bus, Endpoint
from aerostat.kit.errors import Fault
from aerostat.kit.log import Logger
from aerostat.services.neutron.agent.endpoint import NetworkHost, apart, network_host

log = Logger("neutron.notifier")
TIMEOUT_S = 5.0
APART_S = 30.0
"""So long is it remembered which agents of a host are apart; a new one polls meanwhile."""


class Notifier:
    """A `Notify` over the bus; `ask(host)` names the agents that are told by themselves."""

    def __init__(self, bus: Bus, ask: Callable[[str], Awaitable[list[str]]]) -> None:
        self._bus, self._ask = bus, ask
        self._apart: dict[str, list[str]] = {}
        self._newest: dict[str, int] = {}
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def __call__(self, hosts: set[str], revision: int) -> None:
        for host in sorted(hosts):  # Not as it hashes: a seed replays the order.
            self._newest[host] = max(revision, self._newest.get(host, 0))
            self._begin((host, network_host.name), self._tell(host, network_host))
            if host not in self._apart:
                self._begin((host, ""), self._look(host))
            self._tell_apart(host)

    def _begin(self, key: tuple[str, str], work: Coroutine[Any, Any, None]) -> None:
        """Do it, unless that is being done already."""
        if key in self._tasks:
            work.close()
            return
        task = self._tasks[key] = asyncio.create_task(work)
        task.add_done_callback(partial(self._done, key))

    def _done(self, key: tuple[str, str], _task: object) -> None:
        self._tasks.pop(key, None)

    async def _look(self, host: str) -> None:
        try:
            self._apart[host] = await self._ask(host)
        except Fault as why:
            log.debug("notifier.apart_unknown", host=host, reason=why.message)
            return
        asyncio.get_running_loop().call_later(APART_S, self._apart.pop, host, None)
        self._tell_apart(host)

    def _tell_apart(self, host: str) -> None:
        for binary in self._apart.get(host, ()):
            self._begin((host, binary), self._tell(host, apart[binary]))

    async def _tell(self, host: str, end: Endpoint[NetworkHost]) -> None:
        stub = end.at(self._bus, host, timeout_s=TIMEOUT_S)
        told = -1
        while told != self._newest[host]:
            told = self._newest[host]
            try:
                await stub.changed(revision=told)
            except Fault as why:
                log.debug("notifier.lost", host=host, revision=told, reason=why.message)

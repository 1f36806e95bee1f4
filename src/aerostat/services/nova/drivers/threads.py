"""Where a driver blocks: a small pool for files, and threads that may never come back."""

import asyncio
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aerostat.kit.errors import Unavailable
from aerostat.services.nova.model.guest import SILENT

T = TypeVar("T")
WRITERS_MAX = 2


def blocking_pool(name: str) -> ThreadPoolExecutor:
    """Return a pool of WRITERS_MAX threads; they start when first used."""
    return ThreadPoolExecutor(WRITERS_MAX, thread_name_prefix=name)


class Threads:
    """Calls of a library that may hang, each in a thread of its own, `at_once` at most.

    The threads are daemons: one that hangs keeps no process from ending. It keeps its place; who
    finds none free for `patience_s`, if that is given, is told that the hypervisor is silent.
    """

    def __init__(self, name: str, at_once: int, patience_s: float | None = None) -> None:
        self._name, self._patience_s = name, patience_s
        self._at_once, self._free = at_once, asyncio.Semaphore(at_once)
        self._numbers = itertools.count(1)
        self.running = 0

    async def run(self, job: Callable[..., T], *args: Any) -> T:
        """Return `job(*args)`. Who is cancelled leaves it running.

        Raises: Unavailable (too many calls hang), and what the job raises.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                await self._free.acquire()
        except TimeoutError as why:
            detail = f"{self._at_once} calls of {self._name} hang"
            raise Unavailable(
                "The hypervisor does not answer.", code=SILENT, detail=detail
            ) from why
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            result, fault = None, None
            try:
                result = job(*args)
            except BaseException as why:  # Whatever it is, it is the caller's.
                fault = why
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._settle, outcome, result, fault)

        self.running += 1
        name = f"{self._name}-{next(self._numbers)}"
        threading.Thread(target=work, name=name, daemon=True).start()
        return await outcome

    def _settle(
        self, outcome: "asyncio.Future[Any]", result: Any, fault: BaseException | None
    ) -> None:
        self.running -= 1
        self._free.release()
        if outcome.done():
            return
        if fault is None:
            outcome.set_result(result)
        else:
            outcome.set_exception(fault)

"""An event loop whose time jumps to the next timer: minutes of the cloud in a second of ours.

Nothing here waits, no thread is started, no socket opened. What a dead process still had in the
queue is dropped, as `kill -9` drops it: neither `finally` nor `except` of its code runs again.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")

Alive = Callable[[Context], bool]
"""Tells whether the process that a callback belongs to still lives."""


class Stalled(Exception):
    """Nothing is ready and no timer runs: whoever waits would wait for ever."""


class SimLoop(asyncio.BaseEventLoop):
    """Runs callbacks in the order they became due. `think_s` delays work given to executors."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, alive: Alive, think_s: Callable[[], float]) -> None:
        super().__init__()
        self._alive, self._think_s = alive, think_s
        self._now = 0.0
        self.steps = 0

    def time(self) -> float:
        """Return the simulated seconds since the loop was made."""
        return self._now

    def _run_once(self) -> None:
        timers, ready = self._scheduled, self._ready
        if not ready:
            while timers and timers[0].cancelled():
                heapq.heappop(timers)
            if not timers:
                raise Stalled("nothing is ready and no timer runs")
            self._now = max(self._now, timers[0].when())
        while timers and timers[0].when() <= self._now:
            ready.append(heapq.heappop(timers))
        for _ in range(len(ready)):
            handle = ready.popleft()
            # A handle runs in the context it was made in, and that knows its process.
            if not handle.cancelled() and self._alive(handle._context):  # type: ignore[attr-defined]
                self.steps += 1
                handle._run()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Leave it where it is: it is dropped when its time comes."""

    def _process_events(self, events: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps in a selector."""

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        """Run `func` here, a little later: there are no threads."""
        future: asyncio.Future[T] = self.create_future()

        def run() -> None:
            if future.done():
                return
            try:
                future.set_result(func(*args))
            except Exception as why:  # An executor hands on whatever is raised.
                future.set_exception(why)
                if isinstance(why, AssertionError):
                    raise

        self.call_later(self._think_s(), run)
        return future

    async def create_server(self, *_args: Any, **options: Any) -> Any:
        """Return a server that nobody reaches."""
        return NoServer(options.get("sock"))


class NoServer:
    """Stands in for a listening server."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def close(self) -> None:
        """Let go of the socket."""
        if self._sock is not None:
            self._sock.close()

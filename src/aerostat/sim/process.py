"""Simulated processes: whatever runs belongs to one, and dies with it at once."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any, Optional

from aerostat.kit.log import Logger
from aerostat.sim.trace import Trace

log = Logger("sim")

owner: ContextVar[Optional["Process"]] = ContextVar("owner", default=None)
"""The process that the running code belongs to; None is the simulation itself."""


def lives(context: Context) -> bool:
    """Tell whether code of this context may still run (sim.loop.Alive)."""
    process = context.get(owner)
    return process is None or process.alive


class Process:
    """One start of a program; a restart is another Process.

    `fuse`: so many more points of interest (a commit, a message) until it dies, None for never.
    """

    def __init__(self, name: str, died: Callable[["Process"], None], trace: Trace) -> None:
        self.name, self._died, self._trace = name, died, trace
        self.alive = True
        self.fuse: int | None = None
        self.on_death: list[Callable[[], None]] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._context = Context()
        self._context.run(owner.set, self)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str = "") -> "asyncio.Task[Any]":
        """Run `work` in this process."""
        loop = asyncio.get_running_loop()
        return self._context.copy().run(loop.create_task, work, name=name or None)

    def main(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run `work`; the process ends if that fails."""

        async def run() -> None:
            try:
                await work
            except Exception as why:  # The process's edge: a program that fails at its start exits.
                log.error("process.failed", why=why, process=self.name)
                self.kill()

        self.spawn(run(), self.name)

    def run(self, fn: Callable[..., None], *args: Any) -> None:
        """Call `fn` in this process, now."""
        self._context.copy().run(fn, *args)

    def note(self, event: str, what: str = "") -> None:
        """Write into the trace what this process did."""
        self._trace(self.name, event, what)

    def adopt(self, task: "asyncio.Task[Any]") -> None:
        """Hold a task of this process: a frozen one must not be collected before the end."""
        if len(self._tasks) > 200:
            self._tasks = [t for t in self._tasks if not t.done()]
        self._tasks.append(task)

    def tick(self) -> bool:
        """Pass a point of interest; tell whether the process outlives it."""
        if self.alive and self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                self.kill()
        return self.alive

    def kill(self) -> None:
        """kill -9: nothing of it ever runs again."""
        if not self.alive:
            return
        self.alive = False
        for told in self.on_death:
            told()
        self._died(self)

    def bury(self) -> None:
        """Let go of frozen coroutines, after the end of the simulation."""
        for task in self._tasks:
            if not task.done():
                try:
                    task.get_coro().close()
                except RuntimeError:  # It awaited once more in a `finally`.
                    continue
        self._tasks.clear()


def outside(work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    """Run `work` in no process, whoever asks for it."""
    return Context().run(asyncio.get_running_loop().create_task, work)


def task_factory(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> "asyncio.Task[Any]":
    """Make a task of the process that the running code belongs to."""
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # Many are, and shall be.
    process = owner.get()
    if process is not None:
        process.adopt(task)
    return task

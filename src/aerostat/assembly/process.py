"""Runs a role until it is told to stop."""

import asyncio
import gc
import os
import signal
from typing import Protocol

import uvloop

from aerostat.assembly import places
from aerostat.assembly.inspection import Inspection, Probe
from aerostat.assembly.roles import CONTROL, NODE, Roles, metrics_place
from aerostat.assembly.settings import Settings
from aerostat.kit import log
from aerostat.kit.errors import Unavailable
from aerostat.kit.http.serve import HttpServer
from aerostat.kit.metrics import Metrics


class Role(Protocol):
    """Something that a process runs; `parts` tell whether what it needs is well."""

    def parts(self) -> dict[str, Probe]: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


def make(roles: Roles, settings: Settings) -> list[Role]:
    """Return what plays the roles; importing it only here keeps the others' libraries out."""
    parts: list[Role] = []
    if control := roles & set(CONTROL):
        from aerostat.assembly.control import Control

        parts.append(Control(settings, control))
    if node := roles & set(NODE):
        from aerostat.assembly.node import Node

        parts.append(Node(settings, node))
    return parts


def run(roles: Roles, settings: Settings) -> None:
    """Run roles in this process until SIGTERM or SIGINT."""
    log.setup(settings.log_level)
    if roles <= set(CONTROL):  # Nobody else has business with databases, keys and images.
        os.umask(0o077)
    places.check(roles, settings)
    metrics = Metrics()
    log.observers.append(metrics.observe)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(roles, settings, metrics))


GC_THRESHOLDS = (100_000, 20, 50)
"""Fewer looks at long-lived objects than Python's defaults: full ones cost 80 ms here."""


def _settle_garbage() -> None:
    """Leave all that start-up made out of garbage collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _inspection(
    roles: list[Role], settings: Settings, port: int, metrics: Metrics, started: asyncio.Event
) -> HttpServer:
    def parts() -> dict[str, Probe]:
        if not started.is_set():
            return {"start": _still_starting}
        return {name: probe for role in roles for name, probe in role.parts().items()}

    return HttpServer(Inspection(metrics, parts), settings.metrics_listen, port)


async def _still_starting() -> None:
    raise Unavailable("The process is still starting.")


async def _run(named: Roles, settings: Settings, metrics: Metrics) -> None:
    roles = make(named, settings)
    stop, started = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    inspection: HttpServer | None = None
    if settings.metrics_port:
        port = settings.own_port(settings.metrics_port) + metrics_place(named)
        inspection = _inspection(roles, settings, port, metrics, started)
        await inspection.start()
    # A role may wait for another process while it starts: that must not keep it from stopping.
    starting, stopping = asyncio.create_task(_start(roles)), asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        return
    await starting
    started.set()
    _settle_garbage()
    await stopping
    for role in reversed(roles):
        await role.stop()
    if inspection is not None:
        await inspection.stop()


async def _start(roles: list[Role]) -> None:
    for role in roles:
        await role.start()

"""Ports that are plugged into and out of a running server."""

from msgspec import Struct

from aerostat.contracts.network import BoundPort
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault
from aerostat.kit.saga.saga import Run, Saga
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.server import TaskState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.failing import undo_there
from aerostat.services.nova.sagas.moving import fault_of, now_of
from aerostat.services.nova.sagas.server_create import host_of


class Params(Struct, frozen=True):
    """The server, its host, and a port that is the server's already."""

    server_id: str
    host: str | None
    port: BoundPort


attach = Saga("attach_interface", Params)


@attach.step
async def attach_interface(nova: Nova, run: Run[Params]) -> None:
    """Have the port wired and plug it; plugging twice is fine."""
    if run.p.host is not None:
        await nova.network.wire(server_id=run.p.server_id, host=run.p.host)
        host = host_of(nova, run.p.host, 120)
        await host.attach_interface(server_id=run.p.server_id, port=run.p.port)


@attach_interface.undo
async def take_out(nova: Nova, run: Run[Params]) -> None:
    """Unplug it and give it back."""
    if run.p.host is not None:
        await undo_there(nova, run, run.p.host, _unplug(nova, run.p, run.p.host))
    await _give_back(nova, run.p)


async def _unplug(nova: Nova, p: Params, host: str) -> None:
    await host_of(nova, host, 120).detach_interface(server_id=p.server_id, port=p.port)


async def _give_back(nova: Nova, p: Params) -> None:
    await nova.network.detach_port(server_id=p.server_id, port_id=p.port.port_id)


detach = Saga("detach_interface", Params)


@detach.step
async def detach_interface(nova: Nova, run: Run[Params]) -> None:
    """Unplug the port, then delete it or let go of it; absence is fine."""
    if run.p.host is not None:
        await _unplug(nova, run.p, run.p.host)
    await _give_back(nova, run.p)


@attach.failed
@detach.failed
def failed(tx: Tx, run: Run[Params], why: Fault) -> None:
    """The server goes on without it, or with it; why is in its actions."""
    server = rows.get(tx, run.p.server_id)
    if server.task_state != TaskState.DELETING:
        now = now_of(run) if run.log.events else server.updated_at
        rows.change(tx, server.uuid, now, fault=fault_of(now, why))

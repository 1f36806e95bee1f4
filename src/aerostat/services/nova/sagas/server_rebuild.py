"""Rebuild a server: the same server, ports and host, with a fresh disk from an image."""

from msgspec import Struct

from aerostat.contracts.network import BoundPort
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault
from aerostat.kit.saga.saga import Run, Saga
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.guest import GuestImage, PowerState
from aerostat.services.nova.model.server import Server, VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.failing import fail, undo_there
from aerostat.services.nova.sagas.server_create import guest_of, host_of, image_of, with_tickets


class Params(Struct, frozen=True):
    """The server, its host, and whether it was off before; its row has the new image."""

    server_id: str
    host: str
    stopped: bool


saga = Saga("rebuild", Params)


async def _server(nova: Nova, run: Run[Params]) -> Server:
    return await nova.db.read(rows.get, run.p.server_id)


@saga.step
async def destroy(nova: Nova, run: Run[Params]) -> None:
    """Remove the guest and its disks; an absent guest is fine."""
    await host_of(nova, run.p.host, 120).destroy(server_id=run.p.server_id)


@saga.step
async def networking(nova: Nova, run: Run[Params]) -> list[BoundPort]:
    """Have the ports that there are wired again."""
    ports = await nova.network.ports(server_id=run.p.server_id)
    if ports:
        await nova.network.wire(server_id=run.p.server_id, host=run.p.host)
    return ports


@saga.step
async def block_device_mapping(nova: Nova, run: Run[Params]) -> GuestImage | None:
    """Find what the root disk is made of; only reads."""
    server = await _server(nova, run)
    return await image_of(nova, server.image_id, server.project_id, run.ctx.is_admin)


@saga.step
async def spawning(nova: Nova, run: Run[Params]) -> None:
    """Start the guest; a guest that runs already is left as it is."""
    server = await _server(nova, run)
    image = await with_tickets(nova, run[block_device_mapping])
    spec = guest_of(nova, server, run[networking], image)
    await host_of(nova, run.p.host, nova.config.build_timeout_s).spawn(spec=spec)


@spawning.undo
async def remove(nova: Nova, run: Run[Params]) -> None:
    """Remove what there is of the guest: the server is in ERROR, with its ports and claim."""
    work = host_of(nova, run.p.host, 60).destroy(server_id=run.p.server_id)
    await undo_there(nova, run, run.p.host, work)


@saga.step
async def stopping(nova: Nova, run: Run[Params]) -> None:
    """A server that was off is off again; stopping twice is fine."""
    if run.p.stopped:
        await host_of(nova, run.p.host, 60).stop(server_id=run.p.server_id, timeout_s=0)


@saga.succeeded
def done(tx: Tx, run: Run[Params]) -> None:
    """The server is what it was before, with another disk."""
    off = run.p.stopped
    rows.change(
        tx,
        run.p.server_id,
        run.now,
        vm_state=VmState.STOPPED if off else VmState.ACTIVE,
        power_state=PowerState.SHUTDOWN if off else PowerState.RUNNING,
        task_state=None,
        fault=None,
        launched_at=run.now,
    )


@saga.failed
def failed(tx: Tx, run: Run[Params], why: Fault) -> None:
    """The server is in ERROR and says why; a server that is being deleted stays as it is."""
    fail(tx, run, why, vm_state=VmState.ERROR)

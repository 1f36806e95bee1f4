"""Evacuate a server: its host is down, so another one takes it, with its disks if they are shared.

What is left of it on the old host is removed when that comes back (evacuated_cleanup).
Source: compute api-ref, "Evacuate Server".
"""

from msgspec import Struct

from aerostat.contracts.network import BoundPort
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault
from aerostat.kit.saga.saga import Run, Saga
from aerostat.services.nova.db import moves
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.flavor import Flavor
from aerostat.services.nova.model.migration import MigrationStatus
from aerostat.services.nova.model.server import TaskState, VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.failing import undo_there
from aerostat.services.nova.sagas.moving import (
    failed_at,
    fault_of,
    guest_at,
    moves_of,
    now_of,
    power_of,
    zone_of,
)
from aerostat.services.nova.sagas.scheduling import claim_on, moving, select_host
from aerostat.services.nova.sagas.server_create import host_of
from aerostat.services.nova.sagas.server_resize import connect


class Params(Struct, frozen=True):
    """The server, its move, and its dead host. `start`: whether the guest shall run again."""

    server_id: str
    migration_id: str
    source: str
    start: bool
    host: str | None = None
    force: bool = False


class Refuge(Struct, frozen=True):
    """Where the server goes; `shared`: its disks are there already."""

    host: str
    zone: str
    shared: bool


saga = Saga("evacuate", Params)


@saga.step
async def migrate_server(nova: Nova, run: Run[Params]) -> None:
    """Let the move hold what the server holds of the dead host; then nothing is left."""
    await nova.placement.transfer(from_id=run.p.server_id, to_id=run.p.migration_id)


@migrate_server.undo
async def swap_back(nova: Nova, run: Run[Params]) -> None:
    """Let the server hold what it held; a claim on a new host goes with that."""
    await nova.placement.transfer(from_id=run.p.migration_id, to_id=run.p.server_id)


@saga.step
async def scheduling(nova: Nova, run: Run[Params]) -> Refuge:
    """Claim another host, and see whether the disks can be reached from there."""
    server = await nova.db.read(rows.get, run.p.server_id)
    flavor = Flavor(**server.flavor)
    wish = moving(server, flavor=flavor, host=run.p.host, ignore=[run.p.source])
    if run.p.force and run.p.host is not None:
        host = await claim_on(nova, wish, run.p.host)
    else:
        host = await select_host(nova, wish)
    shared = await moves_of(nova, host).has_files(server_id=server.uuid)
    return Refuge(host, await zone_of(nova, host), shared)


@scheduling.record
def chosen(tx: Tx, run: Run[Params], found: Refuge) -> None:
    """Write down where the server goes."""
    status = MigrationStatus.PRE_MIGRATING
    moves.change(tx, run.p.migration_id, now_of(run), dest_compute=found.host, status=status)


@saga.step
async def networking(nova: Nova, run: Run[Params]) -> list[BoundPort]:
    """Bind the ports to the new host and have them wired there."""
    return await connect(nova, run.p.server_id, run[scheduling].host)


@networking.undo
async def come_back(nova: Nova, run: Run[Params]) -> None:
    """Bind the ports to the dead host again: nobody can wire them there."""
    await nova.network.move_ports(server_id=run.p.server_id, host=run.p.source)


@saga.step
async def rebuild_instance(nova: Nova, run: Run[Params]) -> None:
    """Start the guest over its disks, or over new ones; a guest that is there stays as it is."""
    server, found = await nova.db.read(rows.get, run.p.server_id), run[scheduling]
    flavor, admin = Flavor(**server.flavor), run.ctx.is_admin
    spec = await guest_at(nova, server, flavor, run[networking], is_admin=admin)
    if found.shared:
        there = moves_of(nova, found.host, nova.config.build_timeout_s)
        await there.adopt(spec=spec, start=run.p.start)
        return
    host = host_of(nova, found.host, nova.config.build_timeout_s)
    await host.spawn(spec=spec)
    if not run.p.start:
        await host.stop(server_id=server.uuid, timeout_s=0)


@rebuild_instance.undo
async def remove(nova: Nova, run: Run[Params]) -> None:
    """Remove the guest over there; disks that are shared stay."""
    found = run[scheduling]
    there = moves_of(nova, found.host)
    work = there.forget_guest(server_id=run.p.server_id, keep_files=found.shared)
    await undo_there(nova, run, found.host, work)


@saga.succeeded
def done(tx: Tx, run: Run[Params]) -> None:
    """The server is the new host's; the old one has still to clean up."""
    now, found = now_of(run), run[scheduling]
    moves.change(tx, run.p.migration_id, now, status=MigrationStatus.DONE)
    state = VmState.ACTIVE if run.p.start else VmState.STOPPED
    rows.change(
        tx,
        run.p.server_id,
        now,
        host=found.host,
        availability_zone=found.zone,
        vm_state=state,
        power_state=power_of(state),
        task_state=None,
        launched_at=now,
        fault=None,
    )


@saga.failed
def failed(tx: Tx, run: Run[Params], why: Fault) -> None:
    """The server is in ERROR on its dead host; it may be evacuated again."""
    now = failed_at(tx, run)
    moves.change(tx, run.p.migration_id, now, status=MigrationStatus.ERROR)
    if rows.get(tx, run.p.server_id).task_state != TaskState.DELETING:
        fault = fault_of(now, why)
        rows.change(tx, run.p.server_id, now, vm_state=VmState.ERROR, task_state=None, fault=fault)

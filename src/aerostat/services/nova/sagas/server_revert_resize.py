"""Revert a resize: the server is back on its old host with its old disks and flavor."""

from msgspec import Struct

from aerostat.contracts.network import BoundPort
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault, NoValidHost, Unavailable
from aerostat.kit.saga.saga import Run, Saga
from aerostat.services.nova.db import moves
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.migration import MigrationStatus
from aerostat.services.nova.model.server import VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.moving import (
    failed_at,
    fault_of,
    flavor_columns,
    given_up,
    moves_of,
    now_of,
    power_of,
    read,
    was_on,
    zone_of,
)
from aerostat.services.nova.sagas.server_create import Chosen, host_of
from aerostat.services.nova.sagas.server_resize import connect


class Params(Struct, frozen=True):
    """The server, its finished move, and both hosts; nothing is undone, it is only repeated."""

    server_id: str
    migration_id: str
    source: str
    dest: str


saga = Saga("revertResize", Params)


@saga.step
async def revert_resize(nova: Nova, run: Run[Params]) -> None:
    """Remove the guest from the new host; on the old host, taking the disks back does that."""
    if run.p.dest != run.p.source:
        await host_of(nova, run.p.dest, 120).destroy(server_id=run.p.server_id)


@saga.step
async def networking(nova: Nova, run: Run[Params]) -> list[BoundPort]:
    """Bind the ports to the old host and have them wired there."""
    return await connect(nova, run.p.server_id, run.p.source)


@saga.step
async def finish_revert_resize(nova: Nova, run: Run[Params]) -> Chosen:
    """Put the disks back and start the guest if it ran; where there is no room, wait for some."""
    _, migration = await read(nova, run.p.server_id, run.p.migration_id)
    source = moves_of(nova, run.p.source)
    try:
        await source.take_back(server_id=run.p.server_id, start=was_on(migration))
    except NoValidHost as why:  # The new host has it no more: there is no other way.
        raise Unavailable(why.message, detail=why.detail) from why
    return Chosen(run.p.source, await zone_of(nova, run.p.source))


@saga.step
async def swap(nova: Nova, run: Run[Params]) -> None:
    """Let the server hold of the old host what the move has held for it, and nothing else."""
    await nova.placement.transfer(from_id=run.p.migration_id, to_id=run.p.server_id)


@saga.succeeded
def reverted(tx: Tx, run: Run[Params]) -> None:
    """The server is what it was."""
    now, chosen = now_of(run), run[finish_revert_resize]
    migration = moves.get(tx, run.p.migration_id)
    moves.change(tx, migration.uuid, now, status=MigrationStatus.REVERTED)
    rows.change(
        tx,
        run.p.server_id,
        now,
        host=chosen.host,
        availability_zone=chosen.zone,
        vm_state=migration.old_vm_state,
        task_state=None,
        power_state=power_of(migration.old_vm_state),
        launched_at=now,
        **flavor_columns(migration.flavor(old=True)),
    )


@saga.failed
def failed(tx: Tx, run: Run[Params], why: Fault) -> None:
    """The server is in ERROR; the old host still has its disks."""
    now = failed_at(tx, run)
    moves.change(tx, run.p.migration_id, now, status=MigrationStatus.FINISHED)
    if not given_up(why):
        fault = fault_of(now, why)
        rows.change(tx, run.p.server_id, now, vm_state=VmState.ERROR, task_state=None, fault=fault)

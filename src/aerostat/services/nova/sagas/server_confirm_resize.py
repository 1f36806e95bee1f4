"""Confirm a resize: the old host forgets the server."""

from msgspec import Struct

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault
from aerostat.kit.saga.saga import Run, Saga
from aerostat.services.nova.db import moves
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.guest import PowerState
from aerostat.services.nova.model.migration import MigrationStatus
from aerostat.services.nova.model.server import VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.moving import failed_at, fault_of, given_up, moves_of, now_of


class Params(Struct, frozen=True):
    """The server, its finished move, and the host it came from."""

    server_id: str
    migration_id: str
    source: str


saga = Saga("confirmResize", Params)


@saga.step
async def confirm_resize(nova: Nova, run: Run[Params]) -> None:
    """Remove the disks that were set aside; absent ones are fine."""
    await moves_of(nova, run.p.source).forget_aside(server_id=run.p.server_id)


@saga.step
async def release(nova: Nova, run: Run[Params]) -> None:
    """Give back what the move held of the old host."""
    await nova.placement.release(consumer_id=run.p.migration_id)


@saga.succeeded
def confirmed(tx: Tx, run: Run[Params]) -> None:
    """The server is at rest on its new host."""
    now = now_of(run)
    moves.change(tx, run.p.migration_id, now, status=MigrationStatus.CONFIRMED)
    off = rows.get(tx, run.p.server_id).power_state == PowerState.SHUTDOWN
    state = VmState.STOPPED if off else VmState.ACTIVE
    rows.change(tx, run.p.server_id, now, vm_state=state, task_state=None)


@saga.failed
def failed(tx: Tx, run: Run[Params], why: Fault) -> None:
    """The old host could not be cleaned: confirming may be asked for again."""
    now = failed_at(tx, run)
    moves.change(tx, run.p.migration_id, now, status=MigrationStatus.FINISHED)
    if not given_up(why):
        rows.change(tx, run.p.server_id, now, fault=fault_of(now, why))

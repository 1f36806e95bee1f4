"""Resize or migrate a server: its disks go to a host with room, and wait there for a verdict.

The old host keeps its copy and its claim until the resize is confirmed or reverted.
Source: compute api-guide, "Resize" and "Migrate"; nova spec "migration allocations".
"""

from msgspec import Struct

from aerostat.contracts.network import BoundPort
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Fault
from aerostat.kit.saga.saga import Run, Saga
from aerostat.services.nova.db import leftovers, moves
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.migration import MigrationStatus
from aerostat.services.nova.model.server import TaskState, VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.failing import try_there, undo_there
from aerostat.services.nova.sagas.moving import (
    flavor_columns,
    guest_at,
    moves_of,
    now_of,
    power_of,
    read,
    stay,
    was_on,
    zone_of,
)
from aerostat.services.nova.sagas.scheduling import moving, select_host
from aerostat.services.nova.sagas.server_create import Chosen, host_of


class Params(Struct, frozen=True):
    """The server and its move. `host`: where an administrator wants it; `ignore`: not there."""

    server_id: str
    migration_id: str
    source: str
    host: str | None = None
    ignore: list[str] = []


saga = Saga("resize", Params)


@saga.step
async def migrate_server(nova: Nova, run: Run[Params]) -> None:
    """Let the move hold what the server holds of the old host; the second time nothing is left."""
    await nova.placement.transfer(from_id=run.p.server_id, to_id=run.p.migration_id)


@migrate_server.undo
async def swap_back(nova: Nova, run: Run[Params]) -> None:
    """Let the server hold what it held; a claim on a new host goes with that."""
    await nova.placement.transfer(from_id=run.p.migration_id, to_id=run.p.server_id)


@saga.step
async def prep_resize(nova: Nova, run: Run[Params]) -> Chosen:
    """Claim a host for the new flavor; claiming again replaces the claim, so does swapping back.

    It has no undo of its own: undoes are repeated from the last step on after a crash, and must
    not release what the server has got back by then.
    """
    server, migration = await read(nova, run.p.server_id, run.p.migration_id)
    old, new = migration.flavor(old=True), migration.flavor(old=False)
    if new.root_gb < old.root_gb or new.ephemeral_gb < old.ephemeral_gb:
        raise BadRequest("Resize error: Unable to resize disk down.", field="flavorRef")
    wish = moving(server, flavor=new, host=run.p.host, ignore=run.p.ignore)
    host = await select_host(nova, wish)
    return Chosen(host, await zone_of(nova, host))


@prep_resize.record
def prepared(tx: Tx, run: Run[Params], chosen: Chosen) -> None:
    """Write down where the server goes."""
    now = now_of(run)
    status = MigrationStatus.MIGRATING
    moves.change(tx, run.p.migration_id, now, dest_compute=chosen.host, status=status)
    rows.change(tx, run.p.server_id, now, task_state=TaskState.RESIZE_MIGRATING)


@saga.step
async def resize_instance(nova: Nova, run: Run[Params]) -> None:
    """Stop the guest and put its disks aside; what is aside stays so."""
    patience = nova.config.shutdown_timeout_s
    source = moves_of(nova, run.p.source, patience + 60)
    await source.set_aside(server_id=run.p.server_id, timeout_s=patience)


@resize_instance.undo
async def stay_there(nova: Nova, run: Run[Params]) -> None:
    """Put the disks back and start the guest if it ran, unless it may run on the new host."""
    await undo_there(nova, run, run.p.source, _take_back(nova, run))


async def _take_back(nova: Nova, run: Run[Params]) -> None:
    _, migration = await read(nova, run.p.server_id, run.p.migration_id)
    unknown = await nova.db.read(leftovers.of_server, run.p.server_id)
    alone = run[prep_resize].host not in unknown
    source = moves_of(nova, run.p.source)
    await source.withdraw(server_id=run.p.server_id)
    await source.take_back(server_id=run.p.server_id, start=was_on(migration) and alone)


@resize_instance.record
def left(tx: Tx, run: Run[Params], _nothing: None) -> None:
    """The source is done."""
    now = now_of(run)
    moves.change(tx, run.p.migration_id, now, status=MigrationStatus.POST_MIGRATING)
    rows.change(tx, run.p.server_id, now, task_state=TaskState.RESIZE_MIGRATED)


@saga.step
async def networking(nova: Nova, run: Run[Params]) -> list[BoundPort]:
    """Bind the ports to the new host and have them wired there."""
    return await connect(nova, run.p.server_id, run[prep_resize].host)


@networking.undo
async def come_back(nova: Nova, run: Run[Params]) -> None:
    """Bind the ports to the old host again; its agent wires them when it can."""
    ports = await nova.network.move_ports(server_id=run.p.server_id, host=run.p.source)
    if ports:
        work = nova.network.wire(server_id=run.p.server_id, host=run.p.source)
        await try_there(nova, run, run.p.source, work)


@networking.record
def connected(tx: Tx, run: Run[Params], _ports: list[BoundPort]) -> None:
    """The disks come next."""
    rows.change(tx, run.p.server_id, now_of(run), task_state=TaskState.RESIZE_FINISH)


async def connect(nova: Nova, server_id: str, host: str) -> list[BoundPort]:
    """Bind the server's ports to a host alone and have them wired there; may be repeated."""
    ports = await nova.network.move_ports(server_id=server_id, host=host)
    if ports:
        await nova.network.wire(server_id=server_id, host=host)
    return ports


@saga.step
async def finish_resize(nova: Nova, run: Run[Params]) -> None:
    """Take the disks over and start the guest; a guest that is there stays as it is."""
    server, migration = await read(nova, run.p.server_id, run.p.migration_id)
    new, admin = migration.flavor(old=False), run.ctx.is_admin
    spec = await guest_at(nova, server, new, run[networking], is_admin=admin)
    source = moves_of(nova, run.p.source)
    offer = await source.offer(server_id=server.uuid, aside=True)
    target = moves_of(nova, run[prep_resize].host, nova.config.migration_timeout_s)
    await target.take_over(spec=spec, offer=offer, start=was_on(migration))
    await source.withdraw(server_id=server.uuid)


@finish_resize.undo
async def destroy(nova: Nova, run: Run[Params]) -> None:
    """Remove what the new host has got; on the old host, taking the disks back does that."""
    host = run[prep_resize].host
    if host != run.p.source:
        work = host_of(nova, host, 120).destroy(server_id=run.p.server_id)
        await undo_there(nova, run, host, work)


@saga.succeeded
def resized(tx: Tx, run: Run[Params]) -> None:
    """The server waits for its owner's verdict."""
    now, chosen = now_of(run), run[prep_resize]
    migration = moves.get(tx, run.p.migration_id)
    moves.change(tx, migration.uuid, now, status=MigrationStatus.FINISHED)
    rows.change(
        tx,
        run.p.server_id,
        now,
        host=chosen.host,
        availability_zone=chosen.zone,
        vm_state=VmState.RESIZED,
        task_state=None,
        power_state=power_of(migration.old_vm_state),
        launched_at=now,
        fault=None,
        **flavor_columns(migration.flavor(old=False)),
    )


@saga.failed
def failed(tx: Tx, run: Run[Params], why: Fault) -> None:
    """Everything is as it was."""
    stay(tx, run, why)


def _also(name: str) -> Saga[Params]:
    other = Saga(name, Params)
    other.steps, other.succeeded_fn, other.failed_fn = saga.steps, resized, failed
    return other


migrate = _also("migrate")
"""A cold migration: a resize to the same flavor, under the name that it has as an action."""

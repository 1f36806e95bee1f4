"""Live-migrate a server: the guest goes on running while it changes hosts.

Until its memory is over there, whatever fails leaves it running where it was. From then on there
is no way back: what would be an undo finishes the move instead.
Source: compute api-guide, "Live migration"; nova spec "neutron multiple port bindings".
"""

from msgspec import Struct, structs

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Fault
from aerostat.kit.saga.engine import Cancelled
from aerostat.kit.saga.saga import Run, Saga
from aerostat.services.nova.db import leftovers, moves
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.flavor import Flavor
from aerostat.services.nova.model.guest import GuestSpec
from aerostat.services.nova.model.migration import MigrationStats, MigrationStatus
from aerostat.services.nova.model.moving import DiskOffer, LiveTarget
from aerostat.services.nova.model.server import Server, TaskState, VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.failing import try_there, undo_there
from aerostat.services.nova.sagas.moving import (
    failed_at,
    fault_of,
    guest_at,
    moves_of,
    now_of,
    zone_of,
)
from aerostat.services.nova.sagas.scheduling import claim_on, moving, select_host
from aerostat.services.nova.sagas.server_resize import connect

GIVEN_UP = ("migration_aborted", Cancelled.code)


class Params(Struct, frozen=True):
    """The server and its move. `host`: where an administrator wants it, `force`: unasked.

    `block_migration`: whether disks are carried; None lets the hosts find out.
    """

    server_id: str
    migration_id: str
    source: str
    host: str | None = None
    force: bool = False
    block_migration: bool | None = None


class Destination(Struct, frozen=True):
    """Where the server goes, as that host described itself."""

    host: str
    zone: str
    target: LiveTarget


saga = Saga("live-migration", Params)


@saga.step
async def migrate_server(nova: Nova, run: Run[Params]) -> None:
    """Let the move hold what the server holds of the old host; the second time nothing is left."""
    await nova.placement.transfer(from_id=run.p.server_id, to_id=run.p.migration_id)


@migrate_server.undo
async def swap_back(nova: Nova, run: Run[Params]) -> None:
    """Let the server hold what it held; a move that was finished after all holds nothing."""
    await nova.placement.transfer(from_id=run.p.migration_id, to_id=run.p.server_id)


@saga.step
async def check_can_live_migrate_destination(nova: Nova, run: Run[Params]) -> Destination:
    """Claim a host that can receive the guest; one that cannot is passed over."""
    server = await nova.db.read(rows.get, run.p.server_id)
    offer = await moves_of(nova, run.p.source).offer(server_id=server.uuid, aside=False)
    ignored = [run.p.source]
    while True:
        host = await _claim(nova, run, server, ignored)
        try:
            target = await _ask(nova, run, host, offer)
        except BadRequest:
            if run.p.host is not None:
                raise
            ignored.append(host)
            continue
        return Destination(host, await zone_of(nova, host), target)


async def _claim(nova: Nova, run: Run[Params], server: Server, ignored: list[str]) -> str:
    flavor = Flavor(**server.flavor)
    wish = moving(server, flavor=flavor, host=run.p.host, ignore=ignored)
    if run.p.force and run.p.host is not None:
        return await claim_on(nova, wish, run.p.host)
    return await select_host(nova, wish)


async def _ask(nova: Nova, run: Run[Params], host: str, offer: DiskOffer) -> LiveTarget:
    """Return the target that a host is. Raises: BadRequest (it cannot, or not so)."""
    spec = await _guest(nova, run, None)
    target = await moves_of(nova, host).live_target(spec=spec, offer=offer)
    if run.p.block_migration and target.shared:
        raise BadRequest(
            f"{host} is not on local storage: Block migration can not be used with shared storage."
        )
    if run.p.block_migration is False and not target.shared:
        raise BadRequest(
            f"{host} is not on shared storage: Shared storage live-migration requires either "
            "shared storage or boot-from-volume with no local disks."
        )
    return target


async def _guest(nova: Nova, run: Run[Params], host: str | None) -> GuestSpec:
    """Return the guest as it is, or with the ports that it will have on `host`."""
    server = await nova.db.read(rows.get, run.p.server_id)
    if host is None:
        ports = await nova.network.ports(server_id=server.uuid)
    else:
        ports = await nova.network.prepare_ports(server_id=server.uuid, host=host)
    flavor, admin = Flavor(**server.flavor), run.ctx.is_admin
    return await guest_at(nova, server, flavor, ports, is_admin=admin)


@check_can_live_migrate_destination.undo
async def withdraw(nova: Nova, run: Run[Params]) -> None:
    """Offer nothing any more; the claim goes with swapping back."""
    work = moves_of(nova, run.p.source).withdraw(server_id=run.p.server_id)
    await try_there(nova, run, run.p.source, work)


@check_can_live_migrate_destination.record
def chosen(tx: Tx, run: Run[Params], found: Destination) -> None:
    """Write down where the server goes."""
    status = MigrationStatus.PREPARING
    moves.change(tx, run.p.migration_id, now_of(run), dest_compute=found.host, status=status)


@saga.step
async def pre_live_migration(nova: Nova, run: Run[Params]) -> LiveTarget:
    """Have network and disks ready over there; what is there already is used again."""
    found = run[check_can_live_migrate_destination]
    spec = await _guest(nova, run, found.host)
    if spec.ports:
        await nova.network.wire(server_id=run.p.server_id, host=found.host)
    offer = await moves_of(nova, run.p.source).offer(server_id=run.p.server_id, aside=False)
    target = moves_of(nova, found.host, nova.config.migration_timeout_s)
    await target.live_prepare(spec=spec, offer=offer, shared=found.target.shared)
    return structs.replace(found.target, ports=spec.ports)


@pre_live_migration.undo
async def rollback_live_migration_at_destination(nova: Nova, run: Run[Params]) -> None:
    """Remove what was made ready, unless the guest runs there after all, or may do so."""
    found, server_id = run[check_can_live_migrate_destination], run.p.server_id
    if (await nova.db.read(rows.get, server_id)).host == found.host:
        return
    await nova.network.move_ports(server_id=server_id, host=run.p.source)
    if run.p.source in await nova.db.read(leftovers.of_server, server_id):
        await nova.db.write(leftovers.leave, found.host, server_id, nova.clock.now())
        return
    there = moves_of(nova, found.host)
    work = there.forget_guest(server_id=server_id, keep_files=found.target.shared)
    await undo_there(nova, run, found.host, work)


@pre_live_migration.record
def ready(tx: Tx, run: Run[Params], _target: LiveTarget) -> None:
    """The memory comes next."""
    moves.change(tx, run.p.migration_id, now_of(run), status=MigrationStatus.RUNNING)


@saga.step
async def live_migration(nova: Nova, run: Run[Params]) -> MigrationStats:
    """Carry the guest; one that has gone already is left so."""
    target = run[pre_live_migration]
    source = moves_of(nova, run.p.source, nova.config.live_migration_timeout_s)
    return await source.live_migrate(
        server_id=run.p.server_id, target=target, copy_disks=not target.shared
    )


@live_migration.undo
async def stay_or_land(nova: Nova, run: Run[Params]) -> None:
    """Give it up; if the guest had left already, finish its move."""
    server_id, source = run.p.server_id, run.p.source
    if (await nova.db.read(rows.get, server_id)).host == source:
        await undo_there(nova, run, source, _give_up(nova, run))
        if (await nova.db.read(rows.get, server_id)).host == source:
            return
    host = run[check_can_live_migrate_destination].host
    await nova.network.move_ports(server_id=server_id, host=host)
    await undo_there(nova, run, host, _arrive(nova, run))
    await undo_there(nova, run, source, _leave(nova, run))
    await nova.placement.release(consumer_id=run.p.migration_id)


async def _give_up(nova: Nova, run: Run[Params]) -> None:
    if not await moves_of(nova, run.p.source).live_abort(server_id=run.p.server_id):
        await nova.db.write(lambda tx: _moved(tx, run, nova.clock.now()))


@live_migration.record
def carried(tx: Tx, run: Run[Params], stats: MigrationStats) -> None:
    """The server is another host's from here on."""
    now = now_of(run)
    _moved(tx, run, now)
    values = structs.asdict(stats)
    status = MigrationStatus.POST_MIGRATING
    moves.change(tx, run.p.migration_id, now, stats=values, status=status)


def _moved(tx: Tx, run: Run[Params], now: float) -> None:
    found = run[check_can_live_migrate_destination]
    rows.change(tx, run.p.server_id, now, host=found.host, availability_zone=found.zone)


@saga.step
async def post_live_migration(nova: Nova, run: Run[Params]) -> None:
    """Let the network follow, keep the guest there, forget it here; all may be repeated."""
    await _arrive(nova, run)
    await _leave(nova, run)
    await nova.placement.release(consumer_id=run.p.migration_id)


async def _arrive(nova: Nova, run: Run[Params]) -> None:
    host = run[check_can_live_migrate_destination].host
    await connect(nova, run.p.server_id, host)
    spec = await _guest(nova, run, None)
    await moves_of(nova, host).live_arrived(spec=spec)


async def _leave(nova: Nova, run: Run[Params]) -> None:
    source, shared = moves_of(nova, run.p.source), run[pre_live_migration].shared
    await source.withdraw(server_id=run.p.server_id)
    await source.forget_guest(server_id=run.p.server_id, keep_files=shared)


@saga.succeeded
def completed(tx: Tx, run: Run[Params]) -> None:
    """The server runs over there."""
    now = now_of(run)
    moves.change(tx, run.p.migration_id, now, status=MigrationStatus.COMPLETED)
    rows.change(tx, run.p.server_id, now, task_state=None)


@saga.failed
def failed(tx: Tx, run: Run[Params], why: Fault) -> None:
    """The server runs where it was, or, when the guest had gone already, over there.

    It is in ERROR if the old host could not be asked which it is.
    """
    now, server = failed_at(tx, run), rows.get(tx, run.p.server_id)
    status = MigrationStatus.CANCELLED if why.code in GIVEN_UP else MigrationStatus.ERROR
    if server.host != run.p.source:
        status = MigrationStatus.COMPLETED
    moves.change(tx, run.p.migration_id, now, status=status)
    if server.task_state == TaskState.MIGRATING:
        stayed = server.host == run.p.source
        unknown = stayed and run.p.source in leftovers.of_server(tx, server.uuid)
        state = VmState.ERROR if unknown else server.vm_state
        fault = fault_of(now, why)
        rows.change(tx, server.uuid, now, vm_state=state, task_state=None, fault=fault)

"""Moves of servers that cannot wait for their guests to be off: live migration, evacuation."""

from msgspec import Struct

from aerostat.kit.context import Context, system_context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest
from aerostat.kit.ids import request_id
from aerostat.services.nova.db import leftovers, moves
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.domain import resizing, states
from aerostat.services.nova.domain.resizing import Move
from aerostat.services.nova.domain.servers import project_of
from aerostat.services.nova.model.flavor import Flavor
from aerostat.services.nova.model.migration import MigrationStatus, MigrationType
from aerostat.services.nova.model.server import TaskState, VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas import (
    evacuated_cleanup,
    server_evacuate,
    server_live_migrate,
)
from aerostat.services.nova.sagas.moving import is_up

RUNNING = (VmState.ACTIVE, VmState.PAUSED)
EVACUABLE = (VmState.ACTIVE, VmState.STOPPED, VmState.ERROR)


class LiveWish(Struct, frozen=True):
    """Where a running server shall go. `block_migration` None: the hosts find out."""

    host: str | None
    block_migration: bool | None
    force: bool = False


async def migrate(nova: Nova, ctx: Context, uuid: str, wish: LiveWish) -> None:
    """Start moving a running server.

    Raises: NotFound, Conflict (locked, wrong state), BadRequest (host).
    """

    def write(tx: Tx) -> None:
        server = rows.get(tx, uuid, project_of(ctx))
        states.check(server, ctx, "os-migrateLive", RUNNING)
        source = states.host_of(server, "os-migrateLive")
        resizing.check_destination(tx, server, wish.host)
        _check_up(tx, nova, source)
        kind, status = MigrationType.LIVE_MIGRATION, MigrationStatus.QUEUED
        flavor = Flavor(**server.flavor)
        move = Move(kind=kind, status=status, flavor=flavor, host=wish.host)
        migration = resizing.begin(tx, nova, ctx, server, move)
        rows.change(tx, uuid, nova.clock.now(), task_state=TaskState.MIGRATING)
        params = server_live_migrate.Params(
            uuid, migration.uuid, source, wish.host, wish.force, wish.block_migration
        )
        nova.sagas.start(tx, server_live_migrate.saga, params, ctx, uuid)

    await nova.db.write(write)


def _check_up(tx: Tx, nova: Nova, host: str) -> None:
    if not is_up(tx, nova, host):
        raise BadRequest(f"Compute service of {host} is unavailable at this time.")


class EvacuateWish(Struct, frozen=True):
    """Where a server of a dead host shall go. `stopped`: it is not started over there."""

    host: str | None
    force: bool = False
    stopped: bool = False


async def evacuate(nova: Nova, ctx: Context, uuid: str, wish: EvacuateWish) -> None:
    """Start building a server of a dead host on another one.

    Raises: NotFound, Conflict (locked, wrong state), BadRequest (host; its host is up).
    """

    def write(tx: Tx) -> None:
        server = rows.get(tx, uuid, project_of(ctx))
        states.check(server, ctx, "evacuate", EVACUABLE)
        source = states.host_of(server, "evacuate")
        if wish.host == source:
            raise BadRequest("The target host can't be the same one.", field="host")
        resizing.check_destination(tx, server, wish.host)
        if is_up(tx, nova, source):
            raise BadRequest(f"Compute service of {source} is still in use.")
        states.check_alone(tx, nova, server, "evacuate")
        kind, status = MigrationType.EVACUATION, MigrationStatus.ACCEPTED
        flavor = Flavor(**server.flavor)
        move = Move(kind=kind, status=status, flavor=flavor, host=wish.host)
        migration = resizing.begin(tx, nova, ctx, server, move)
        rows.change(tx, uuid, nova.clock.now(), task_state=TaskState.REBUILDING)
        start = not wish.stopped and server.vm_state != VmState.STOPPED
        params = server_evacuate.Params(uuid, migration.uuid, source, start, wish.host, wish.force)
        nova.sagas.start(tx, server_evacuate.saga, params, ctx, uuid)

    await nova.db.write(write)


async def follow(nova: Nova, host: str, server_id: str) -> None:
    """Let the network follow a guest as soon as it runs where its live migration takes it.

    Its saga does so too, but hears of it later: the source has to clean up first.
    """

    def arrives(tx: Tx) -> bool:
        return any(
            m.dest_compute == host and m.status == MigrationStatus.RUNNING
            for m in moves.open_of_server(tx, server_id)
            if m.migration_type == MigrationType.LIVE_MIGRATION
        )

    if await nova.db.read(arrives):
        await nova.network.move_ports(server_id=server_id, host=host)


def clean_up(tx: Tx, nova: Nova, host: str, guests: list[str]) -> None:
    """Start removing, from a host that is back, what left it or was given up meanwhile."""
    settle(tx, nova, host)
    ctx, saga = system_context(request_id()), evacuated_cleanup.saga
    for migration in moves.left_on(tx, host, MigrationStatus.DONE, [MigrationType.EVACUATION]):
        params = evacuated_cleanup.Params(migration.instance_uuid, host, migration.uuid)
        nova.sagas.start(tx, saga, params, ctx, migration.instance_uuid)
    remove_strangers(tx, nova, host, guests)


def settle(tx: Tx, nova: Nova, host: str) -> None:
    """Start undoing on a host that answers again what could not be undone there."""
    ctx, saga = system_context(request_id()), evacuated_cleanup.saga
    for server_id in leftovers.on_host(tx, host):
        if not nova.sagas.store.unfinished(tx, server_id):
            params = evacuated_cleanup.Params(server_id, host)
            nova.sagas.start(tx, saga, params, ctx, server_id)


def remove_strangers(tx: Tx, nova: Nova, host: str, guests: list[str]) -> None:
    """Start removing those guests of a host whose servers are gone or not there.

    It may have been asked for a guest and have made it when nobody waited for that any more: the
    server was deleted since, or built elsewhere, or not at all.
    """
    ctx, saga = system_context(request_id()), evacuated_cleanup.saga
    for server_id in rows.strangers(tx, host, guests):
        if any(not m.over for m in moves.of_server(tx, server_id)):
            continue
        params = evacuated_cleanup.Params(server_id, host)
        nova.sagas.start(tx, saga, params, ctx, server_id)


def confirm_overdue(tx: Tx, nova: Nova, host: str) -> None:
    """Confirm the resizes away from a host that have waited long enough for a verdict."""
    window = nova.config.resize_confirm_window_s
    if window <= 0:
        return
    kinds = [MigrationType.RESIZE, MigrationType.MIGRATION]
    for migration in moves.left_on(tx, host, MigrationStatus.FINISHED, kinds):
        if nova.clock.now() - migration.updated_at < window:
            continue
        server = rows.get(tx, migration.instance_uuid)
        if server.vm_state == VmState.RESIZED and server.task_state is None:
            ctx = system_context(request_id())
            resizing.start_confirming(tx, nova, ctx, server.uuid, migration)

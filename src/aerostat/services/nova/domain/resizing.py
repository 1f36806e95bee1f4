"""Resizing and migrating servers that are at rest, and the verdict on it afterwards."""

from collections.abc import Collection

from msgspec import Struct, structs

from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, NotFound
from aerostat.services.nova.db import flavors, hosts, moves
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.domain import quotas, states
from aerostat.services.nova.domain.servers import project_of
from aerostat.services.nova.model.flavor import Flavor
from aerostat.services.nova.model.migration import Migration, MigrationStatus, MigrationType
from aerostat.services.nova.model.server import Server, TaskState, VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas import (
    server_confirm_resize,
    server_resize,
    server_revert_resize,
)

ALLOWED = (VmState.ACTIVE, VmState.STOPPED)


class Move(Struct, frozen=True, kw_only=True):
    """A move to begin: its kind, the flavor afterwards, and the host wanted, if any."""

    kind: MigrationType
    status: MigrationStatus
    flavor: Flavor
    host: str | None = None


def begin(tx: Tx, nova: Nova, ctx: Context, server: Server, move: Move) -> Migration:
    """Write down that a server moves and return the move."""
    now = nova.clock.now()
    return moves.add(
        tx,
        Migration(
            id=0,
            uuid=nova.ids(),
            instance_uuid=server.uuid,
            project_id=ctx.project_id,
            user_id=ctx.user_id,
            migration_type=move.kind,
            status=move.status,
            source_compute=str(server.host),
            dest_compute=move.host,
            old_vm_state=server.vm_state,
            old_flavor=server.flavor,
            new_flavor=structs.asdict(move.flavor),
            stats=None,
            created_at=now,
            updated_at=now,
        ),
    )


def check_destination(tx: Tx, server: Server, host: str | None) -> None:
    """Raises: BadRequest (the host is unknown, or where the server is already)."""
    if host is None:
        return
    try:
        hosts.host(tx, host)
    except NotFound as why:
        raise BadRequest(f"Compute host {host} could not be found.", field="host") from why
    if host == server.host:
        raise BadRequest(
            f"Cannot migrate to the same host {host}: instance {server.uuid} is there.",
            field="host",
        )


async def resize(
    nova: Nova, ctx: Context, uuid: str, flavor_ref: str, disk_config: str | None = None
) -> None:
    """Start giving a server another flavor, on whatever host has room.

    `disk_config`: AUTO or MANUAL from now on, None as before.

    Raises: NotFound, Conflict (locked, wrong state), BadRequest (unknown or same flavor, no root
    disk), QuotaExceeded (cores, ram).
    """

    def write(tx: Tx) -> None:
        server = rows.get(tx, uuid, project_of(ctx))
        states.check(server, ctx, "resize", ALLOWED)
        flavor = _new_flavor(tx, ctx, server, flavor_ref)
        quotas.check_growth(
            tx, server.project_id, flavor.vcpus - server.vcpus, flavor.ram_mib - server.ram_mib
        )
        source = states.host_of(server, "resize")
        kind, status = MigrationType.RESIZE, MigrationStatus.PRE_MIGRATING
        migration = begin(tx, nova, ctx, server, Move(kind=kind, status=status, flavor=flavor))
        requested = {**server.requested}
        if disk_config is not None:
            requested["disk_config"] = disk_config
        now = nova.clock.now()
        rows.change(tx, uuid, now, task_state=TaskState.RESIZE_PREP, requested=requested)
        ignore = [] if nova.config.allow_resize_to_same_host else [source]
        params = server_resize.Params(uuid, migration.uuid, source, ignore=ignore)
        nova.sagas.start(tx, server_resize.saga, params, ctx, uuid)

    await nova.db.write(write)


def _new_flavor(tx: Tx, ctx: Context, server: Server, flavor_ref: str) -> Flavor:
    try:
        flavor = flavors.get(tx, flavor_ref, None if ctx.is_admin else ctx.project_id)
    except NotFound as why:
        raise BadRequest(f"Flavor {flavor_ref} could not be found.", field="flavorRef") from why
    if flavor.disabled:
        raise BadRequest(f"Flavor {flavor_ref} could not be found.", field="flavorRef")
    if flavor.flavorid == server.flavor_id:
        raise BadRequest("When resizing, instances must change flavor!", field="flavorRef")
    if flavor.root_gb == 0 and server.flavor["root_gb"] != 0:
        raise BadRequest("Resize to zero disk flavor is not allowed.", field="flavorRef")
    return flavor


async def migrate(nova: Nova, ctx: Context, uuid: str, host: str | None) -> None:
    """Start moving a server to another host, `host` if it is given.

    Raises: NotFound, Conflict (locked, wrong state), BadRequest (host).
    """

    def write(tx: Tx) -> None:
        server = rows.get(tx, uuid, project_of(ctx))
        states.check(server, ctx, "migrate", ALLOWED)
        source = states.host_of(server, "migrate")
        check_destination(tx, server, host)
        move = Move(
            kind=MigrationType.MIGRATION,
            status=MigrationStatus.PRE_MIGRATING,
            flavor=Flavor(**server.flavor),
            host=host,
        )
        migration = begin(tx, nova, ctx, server, move)
        rows.change(tx, uuid, nova.clock.now(), task_state=TaskState.RESIZE_PREP)
        params = server_resize.Params(uuid, migration.uuid, source, host, [source])
        nova.sagas.start(tx, server_resize.migrate, params, ctx, uuid)

    await nova.db.write(write)


async def confirm(nova: Nova, ctx: Context, uuid: str) -> None:
    """Start making a resize final.

    Raises: NotFound, Conflict (locked, not resized), BadRequest (nothing waits for a verdict).
    """

    def write(tx: Tx) -> None:
        server, migration = _resized(tx, ctx, uuid, "confirmResize", (VmState.RESIZED,))
        start_confirming(tx, nova, ctx, server.uuid, migration)

    await nova.db.write(write)


def start_confirming(
    tx: Tx, nova: Nova, ctx: Context, server_id: str, migration: Migration
) -> None:
    """Start making a finished move final."""
    status = MigrationStatus.CONFIRMING
    moves.change(tx, migration.uuid, nova.clock.now(), status=status)
    params = server_confirm_resize.Params(server_id, migration.uuid, migration.source_compute)
    nova.sagas.start(tx, server_confirm_resize.saga, params, ctx, server_id)


async def revert(nova: Nova, ctx: Context, uuid: str) -> None:
    """Start taking a server back to the flavor and host it had.

    Raises: NotFound, Conflict (locked, not resized), BadRequest (nothing waits for a verdict),
    QuotaExceeded (cores, ram).
    """

    def write(tx: Tx) -> None:
        allowed = (VmState.RESIZED, VmState.ERROR)  # what has not been reverted in time
        server, migration = _resized(tx, ctx, uuid, "revertResize", allowed)
        old, now = migration.flavor(old=True), nova.clock.now()
        quotas.check_growth(
            tx, server.project_id, old.vcpus - server.vcpus, old.ram_mib - server.ram_mib
        )
        rows.change(tx, uuid, now, task_state=TaskState.RESIZE_REVERTING)
        moves.change(tx, migration.uuid, now, status=MigrationStatus.REVERTING)
        params = server_revert_resize.Params(
            uuid, migration.uuid, migration.source_compute, str(migration.dest_compute)
        )
        nova.sagas.start(tx, server_revert_resize.saga, params, ctx, uuid)

    await nova.db.write(write)


def _resized(
    tx: Tx, ctx: Context, uuid: str, action: str, allowed: Collection[VmState]
) -> tuple[Server, Migration]:
    server = rows.get(tx, uuid, project_of(ctx))
    states.check(server, ctx, action, allowed)
    migration = moves.last(tx, uuid, MigrationStatus.FINISHED)
    if migration is None:
        states.check(server, ctx, action, (VmState.RESIZED,))
        raise BadRequest("Instance has not been resized.")
    return server, migration

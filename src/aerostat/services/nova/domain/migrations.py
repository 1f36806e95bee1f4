"""Moves as they are listed, and live ones as they are steered."""

from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, NotFound
from aerostat.services.nova.agent.moving import compute_moves
from aerostat.services.nova.db import hosts, moves
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.db.moves import MigrationQuery
from aerostat.services.nova.domain import states
from aerostat.services.nova.domain.servers import project_of
from aerostat.services.nova.model.migration import (
    LIVE_NOW,
    Migration,
    MigrationStats,
    MigrationStatus,
    MigrationType,
)
from aerostat.services.nova.model.server import TaskState, VmState
from aerostat.services.nova.runtime import Nova

__all__ = ["Migration", "MigrationQuery"]

RUNNING = (VmState.ACTIVE, VmState.PAUSED)


async def find(nova: Nova, query: MigrationQuery) -> list[Migration]:
    """Return a page. Raises: BadRequest (marker)."""
    return await nova.db.read(moves.find, query)


async def addresses(nova: Nova) -> dict[str, str]:
    """Return the address of every host by its name."""
    return {h.host: h.facts.host_ip for h in await nova.db.read(hosts.hosts)}


async def live_of(nova: Nova, ctx: Context, server_id: str) -> list[Migration]:
    """Return the live migrations of a server that are under way. Raises: NotFound."""

    def read(tx: Tx) -> list[Migration]:
        rows.get(tx, server_id, project_of(ctx))
        return [m for m in moves.of_server(tx, server_id) if _live(m)]

    return await nova.db.read(read)


def _live(migration: Migration) -> bool:
    return migration.migration_type == MigrationType.LIVE_MIGRATION and migration.status in LIVE_NOW


async def live(nova: Nova, ctx: Context, server_id: str, number: str) -> Migration:
    """Return a live migration that is under way, by number. Raises: NotFound."""
    migration = await _of_server(nova, ctx, server_id, number)
    if migration.migration_type != MigrationType.LIVE_MIGRATION:
        raise NotFound(f"Migration {number} for server {server_id} is not live-migration.")
    if not _live(migration):
        raise NotFound(f"Live migration {number} for server {server_id} is not in progress.")
    return migration


async def _of_server(nova: Nova, ctx: Context, server_id: str, number: str) -> Migration:
    def read(tx: Tx) -> Migration:
        rows.get(tx, server_id, project_of(ctx))
        for migration in moves.of_server(tx, server_id):
            if str(migration.id) == number:
                return migration
        raise NotFound(f"Migration {number} not found for instance {server_id}")

    return await nova.db.read(read)


async def stats(nova: Nova, migration: Migration) -> MigrationStats:
    """Return how far a live migration is; the source is asked, and nothing is known without it."""
    if migration.status != MigrationStatus.RUNNING:
        return MigrationStats()
    source = compute_moves.at(nova.bus, migration.source_compute, timeout_s=5)
    try:
        return await source.live_stats(server_id=migration.instance_uuid)
    except Conflict:
        return MigrationStats()


async def force(nova: Nova, ctx: Context, server_id: str, number: str) -> None:
    """Let a running live migration end, the guest standing still for it.

    Raises: NotFound (server), Conflict (locked, not migrating), BadRequest (no such migration,
    or it is not running).
    """
    server = await nova.db.read(rows.get, server_id, project_of(ctx))
    states.check(server, ctx, "force_complete", RUNNING, (TaskState.MIGRATING,))
    try:
        migration = await _of_server(nova, ctx, server_id, number)
    except NotFound as why:
        raise BadRequest(why.message, field="id") from why
    if migration.status != MigrationStatus.RUNNING:
        raise _state(migration, "force complete")
    source = compute_moves.at(nova.bus, migration.source_compute, timeout_s=30)
    try:
        await source.live_force(server_id=server_id)
    except Conflict as why:
        raise _state(migration, "force complete") from why


async def abort(nova: Nova, ctx: Context, server_id: str, number: str, *, queued: bool) -> None:
    """Give up a live migration; the guest stays where it is. `queued`: also one that waits.

    Raises: NotFound (server, migration), Conflict (locked, not migrating, not to be given up
    while it waits), BadRequest (it is not running).
    """
    server = await nova.db.read(rows.get, server_id, project_of(ctx))
    states.check(server, ctx, "abort live migration", RUNNING, (TaskState.MIGRATING,))
    migration = await _of_server(nova, ctx, server_id, number)
    waiting = migration.status in (MigrationStatus.QUEUED, MigrationStatus.PREPARING)
    if waiting and not queued:
        raise Conflict(
            f"Aborting live migration {number} with status {migration.status} is not yet "
            "supported for this instance."
        )
    if not waiting and migration.status != MigrationStatus.RUNNING:
        raise _state(migration, "abort live migration")
    if waiting:
        await nova.db.write(nova.sagas.cancel, server_id)
        return
    source = compute_moves.at(nova.bus, migration.source_compute, timeout_s=60)
    await source.live_abort(server_id=server_id)


def _state(migration: Migration, action: str) -> BadRequest:
    return BadRequest(
        f"Migration {migration.id} state of instance {migration.instance_uuid} is "
        f"{migration.status}. Cannot {action} while the migration is in this state."
    )

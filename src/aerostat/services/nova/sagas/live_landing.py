"""Where a guest is whose live migration was given up because its old host did not answer.

It may have left just before. So nothing is removed on the new host until the old one says that it
has the guest, or is down and the new one says that the guest runs there.
"""

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import NotFound
from aerostat.services.nova.db import moves
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.flavor import Flavor
from aerostat.services.nova.model.guest import PowerState
from aerostat.services.nova.model.migration import Migration, MigrationStatus, MigrationType
from aerostat.services.nova.model.server import Server
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.moving import guest_at, is_up, moves_of, zone_of
from aerostat.services.nova.sagas.scheduling import claim_on
from aerostat.services.nova.sagas.server_create import host_of
from aerostat.services.nova.sagas.server_resize import connect


def unknown(newest: Migration | None, host: str) -> Migration | None:
    """Return the move of a server on `host` if it may have succeeded without being seen to."""
    if newest is None or newest.migration_type != MigrationType.LIVE_MIGRATION:
        return None
    given_up = newest.status in (MigrationStatus.ERROR, MigrationStatus.CANCELLED)
    return newest if given_up and newest.source_compute == host and newest.dest_compute else None


def landed(newest: Migration | None, host: str) -> bool:
    """Tell whether a server came to `host` by its last, live, move."""
    return (
        newest is not None
        and newest.migration_type == MigrationType.LIVE_MIGRATION
        and newest.status == MigrationStatus.COMPLETED
        and newest.dest_compute == host
    )


async def settle(nova: Nova, move: Migration) -> None:
    """Find out where the guest is; if that is the new host, the server is there from now on.

    Raises: Unavailable (a host that has to say so does not answer), Conflict (there is no room).
    """
    server_id, host = move.instance_uuid, str(move.dest_compute)
    if not await _has_left(nova, move):
        return
    server = await nova.db.read(rows.get, server_id)
    await claim_on(nova, server, host)
    await connect(nova, server_id, host)
    await arrive(nova, server, host)
    zone = await zone_of(nova, host)
    await nova.db.write(_is_there, move, zone, nova.clock.now())


async def arrive(nova: Nova, server: Server, host: str) -> None:
    """Let a host keep the guest that has arrived there; may be repeated."""
    ports = await nova.network.ports(server_id=server.uuid)
    spec = await guest_at(nova, server, Flavor(**server.flavor), ports, is_admin=True)
    await moves_of(nova, host).live_arrived(spec=spec)


async def _has_left(nova: Nova, move: Migration) -> bool:
    server_id = move.instance_uuid
    if await nova.db.read(is_up, nova, move.source_compute):
        try:
            return not await moves_of(nova, move.source_compute).live_abort(server_id=server_id)
        except NotFound:
            return False  # it has nothing at all: an operator's matter
    try:
        there = await host_of(nova, str(move.dest_compute), 60).diagnostics(server_id=server_id)
    except NotFound:
        return False
    return there.state == PowerState.RUNNING


def _is_there(tx: Tx, move: Migration, zone: str, now: float) -> None:
    moves.change(tx, move.uuid, now, status=MigrationStatus.COMPLETED)
    rows.change(
        tx,
        move.instance_uuid,
        now,
        host=move.dest_compute,
        availability_zone=zone,
        vm_state=move.old_vm_state,
        fault=None,
    )

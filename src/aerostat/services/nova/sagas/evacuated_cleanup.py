"""A host is back: remove what it has of a server that is elsewhere now, or gone; mend its own.

That is what an evacuation left there, or an operation that was given up because the host did not
answer: what it did late all the same, or never undid.
"""

from msgspec import Struct

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault, NotFound
from aerostat.kit.saga.saga import Run, Saga
from aerostat.services.nova.db import leftovers, moves
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.migration import Migration, MigrationStatus
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas import live_landing
from aerostat.services.nova.sagas.moving import moves_of, now_of
from aerostat.services.nova.sagas.server_create import host_of

KEPT = (MigrationStatus.FINISHED, MigrationStatus.CONFIRMING, MigrationStatus.REVERTING)
"""States of a move in which disks rightly wait on the host that it came from."""


class Params(Struct, frozen=True):
    """The server, the host that is back, and the move that took the server away, if one did."""

    server_id: str
    source: str
    migration_id: str = ""


class Place(Struct, frozen=True):
    """Where a server is, None if it is gone or nowhere, and the newest of its moves.

    `kept`: whether disks that are aside on the host that is back wait there for a verdict.
    """

    host: str | None
    kept: bool = False
    newest: Migration | None = None


saga = Saga("evacuated-cleanup", Params)


@saga.step
async def destroy(nova: Nova, run: Run[Params]) -> None:
    """Remove guest and files, but not files that the server uses; nothing there is fine.

    On the server's own host disks that were put aside are put back; the guest is not started.
    """
    server_id, back = run.p.server_id, run.p.source
    place = await nova.db.read(_place, server_id, back)
    if place.host is None:  # the server is gone, and with it all that waits aside
        await host_of(nova, back, 120).destroy(server_id=server_id)
        return
    if (flight := live_landing.unknown(place.newest, place.host)) is not None:
        await live_landing.settle(nova, flight)
        place = await nova.db.read(_place, server_id, back)
    if place.host == back and live_landing.landed(place.newest, back):
        await live_landing.arrive(nova, await nova.db.read(rows.get, server_id), back)
    if place.host != back:
        await _forget(nova, server_id, back, str(place.host))
    if not place.kept:
        source = moves_of(nova, back)
        await source.withdraw(server_id=server_id)
        if place.host == back:
            await source.take_back(server_id=server_id, start=False)
        else:
            await source.forget_aside(server_id=server_id)


async def _forget(nova: Nova, server_id: str, back: str, host: str) -> None:
    source, shared = moves_of(nova, back), False
    try:
        offer = await source.offer(server_id=server_id, aside=False)
        shared = await moves_of(nova, host).shares_storage(offer=offer)
    except NotFound:
        pass  # the host has no files of it
    await source.forget_guest(server_id=server_id, keep_files=shared)


def _place(tx: Tx, server_id: str, back: str) -> Place:
    try:
        host = rows.get(tx, server_id).host
    except NotFound:
        return Place(None)
    found = moves.of_server(tx, server_id)
    kept = any(m.source_compute == back and m.status in KEPT for m in found)
    return Place(host, kept, found[0] if found else None)


@saga.step
async def release(nova: Nova, run: Run[Params]) -> None:
    """Give back what the move held of the host."""
    if run.p.migration_id:
        await nova.placement.release(consumer_id=run.p.migration_id)


@saga.succeeded
def completed(tx: Tx, run: Run[Params]) -> None:
    """Nothing of the server is left there."""
    leftovers.settle(tx, run.p.source, run.p.server_id)
    if run.p.migration_id:
        moves.change(tx, run.p.migration_id, now_of(run), status=MigrationStatus.COMPLETED)


@saga.failed
def failed(_tx: Tx, _run: Run[Params], _why: Fault) -> None:
    """The move stays `done`, the leftovers stay: the host's next sign of life tries again."""

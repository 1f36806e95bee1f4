"""A host is back: remove what it has of a server that was evacuated or deleted meanwhile."""

from msgspec import Struct

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault, NotFound
from aerostat.kit.saga.saga import Run, Saga
from aerostat.services.nova.db import moves
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.migration import MigrationStatus
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.moving import moves_of, now_of
from aerostat.services.nova.sagas.server_create import host_of


class Params(Struct, frozen=True):
    """The server, the host that is back, and the move that took the server away, if one did."""

    server_id: str
    source: str
    migration_id: str = ""


saga = Saga("evacuated-cleanup", Params)


@saga.step
async def destroy(nova: Nova, run: Run[Params]) -> None:
    """Remove guest and files, but not files that the server uses; nothing there is fine."""
    host = await nova.db.read(_host, run.p.server_id)
    if host == run.p.source:
        return  # it has come back since: what is there is its present guest
    if host is None:  # the server is gone, and with it all that waits aside
        await host_of(nova, run.p.source, 120).destroy(server_id=run.p.server_id)
        return
    source = moves_of(nova, run.p.source)
    shared = False
    try:
        offer = await source.offer(server_id=run.p.server_id, aside=False)
        shared = await moves_of(nova, host).shares_storage(offer=offer)
    except NotFound:
        pass  # the host has no files of it
    await source.withdraw(server_id=run.p.server_id)
    await source.forget_guest(server_id=run.p.server_id, keep_files=shared)


def _host(tx: Tx, server_id: str) -> str | None:
    try:
        return rows.get(tx, server_id).host
    except NotFound:
        return None


@saga.step
async def release(nova: Nova, run: Run[Params]) -> None:
    """Give back what the move held of the host."""
    if run.p.migration_id:
        await nova.placement.release(consumer_id=run.p.migration_id)


@saga.succeeded
def completed(tx: Tx, run: Run[Params]) -> None:
    """Nothing of the server is left there."""
    if run.p.migration_id:
        moves.change(tx, run.p.migration_id, now_of(run), status=MigrationStatus.COMPLETED)


@saga.failed
def failed(_tx: Tx, _run: Run[Params], _why: Fault) -> None:
    """The move stays `done`: the host's next start tries again."""

"""Delete a server: stop the guest wherever it is, give back what it holds, bury the row."""

from msgspec import Struct

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault, Unavailable
from aerostat.kit.saga.saga import Run, Saga
from aerostat.services.nova.db import hosts, leftovers, moves
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.migration import MigrationStatus
from aerostat.services.nova.model.server import VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas import server_shelve
from aerostat.services.nova.sagas.failing import say_why
from aerostat.services.nova.sagas.server_create import host_of

FORCED_DOWN_S = 10.0
"""How long a host that is forced down is given to remove a guest."""


class Params(Struct, frozen=True):
    """The server, and the host it is on if it has got that far."""

    server_id: str
    host: str | None


saga = Saga("delete", Params)


@saga.step
async def destroy(nova: Nova, run: Run[Params]) -> None:
    """Remove the guest and its files from every host that has any; an absent guest is fine.

    A host that is down removes them when it is back. One that is only forced down may be back
    already: it is asked, and not waited for; then it is cleaned as soon as it answers.
    """
    up, forced = await nova.db.read(_hosts, nova, run.p)
    for host in up:
        await host_of(nova, host, 120).destroy(server_id=run.p.server_id)
    for host in forced:
        try:
            await host_of(nova, host, FORCED_DOWN_S).destroy(server_id=run.p.server_id)
        except Unavailable:
            await nova.db.write(leftovers.leave, host, run.p.server_id, nova.clock.now())


def _hosts(tx: Tx, nova: Nova, p: Params) -> tuple[list[str], list[str]]:
    """Return the hosts of a server and of its moves, as they are when what ran has ended.

    Those that are up, and those that are heard of but forced down.
    """
    found = [p.host, rows.get(tx, p.server_id).host]
    for migration in moves.open_of_server(tx, p.server_id):
        if migration.status != MigrationStatus.DONE:  # an evacuated host cleans up for itself
            found += [migration.source_compute, migration.dest_compute]
    now, down = nova.clock.now(), nova.config.service_down_time_s
    known = [host for host in dict.fromkeys(found) if host is not None]
    up = [host for host in known if hosts.is_up(tx, host, now, down)]
    heard = [host for host in known if hosts.is_heard(tx, host, now, down)]
    return up, [host for host in heard if host not in up]


@saga.step
async def release_ports(nova: Nova, run: Run[Params]) -> None:
    """Delete the ports that were made, let go of those that were given."""
    await nova.network.release_ports(server_id=run.p.server_id)


@saga.step
async def drop_snapshot(nova: Nova, run: Run[Params]) -> None:
    """Delete what a shelved server was kept in; absence is fine."""
    await server_shelve.drop_snapshot(nova, run.p.server_id)


@saga.step
async def release(nova: Nova, run: Run[Params]) -> None:
    """Give the claims back, those that moves hold too."""
    for migration in await nova.db.read(moves.open_of_server, run.p.server_id):
        if migration.status != MigrationStatus.DONE:
            await nova.placement.release(consumer_id=migration.uuid)
    await nova.placement.release(consumer_id=run.p.server_id)


@saga.succeeded
def buried(tx: Tx, run: Run[Params]) -> None:
    """The server is gone, and its moves are over."""
    now = run.now
    for migration in moves.open_of_server(tx, run.p.server_id):
        if migration.status != MigrationStatus.DONE:
            moves.change(tx, migration.uuid, now, status=MigrationStatus.CONFIRMED)
    rows.bury(tx, run.p.server_id, now)


@saga.failed
def stuck(tx: Tx, run: Run[Params], why: Fault) -> None:
    """Nothing is undone: the server is in ERROR, and deleting may be asked for again.

    Without its guest it is on no host: what it holds yet is swept (tasks/leftovers.py).
    """
    say_why(tx, run, why, vm_state=VmState.ERROR)
    if destroy.name in run.log.results:
        rows.leave_host(tx, run.p.server_id, run.now)

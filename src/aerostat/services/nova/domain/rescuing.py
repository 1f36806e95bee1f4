"""Rescuing servers, and the ports that are plugged in while they run."""

import asyncio

import msgspec

from aerostat.contracts.network import BoundPort, RequestedNetwork
from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, DeadlineExceeded, NotFound
from aerostat.kit.saga.engine import fault_of
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.domain import states
from aerostat.services.nova.domain.servers import project_of
from aerostat.services.nova.model.server import Server, TaskState, VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas import server_interfaces, server_rescue
from aerostat.services.nova.sagas.server_interfaces import allocate_port

RESCUABLE = (VmState.ACTIVE, VmState.STOPPED, VmState.ERROR)
PLUGGABLE = (VmState.ACTIVE, VmState.PAUSED, VmState.STOPPED)
LOOK_S = (0.005, 0.25)
"""First and longest wait between two looks for a port that a saga makes."""

PATIENCE_S = 50.0
"""So long does a request wait for it: what is being done to the server comes first."""


async def rescue(nova: Nova, ctx: Context, uuid: str, image_ref: str | None) -> None:
    """Start booting a server from an image, its own by default.

    Raises: NotFound, Conflict (locked, wrong state), BadRequest (image).
    """
    server = await nova.db.read(rows.get, uuid, project_of(ctx))
    image_id = image_ref or server.image_id
    try:
        image = await nova.image.get(
            image_id=str(image_id), project_id=ctx.project_id, is_admin=ctx.is_admin
        )
    except NotFound as why:
        raise BadRequest(f"Image {image_id} could not be found.", field="rescue_image_ref") from why

    def write(tx: Tx) -> None:
        now = rows.get(tx, uuid, project_of(ctx))
        states.check(now, ctx, "rescue", RESCUABLE)
        states.check_alone(tx, nova, now, "rescue")
        params = server_rescue.Params(uuid, states.host_of(now, "rescue"), image.id)
        rows.change(tx, uuid, nova.clock.now(), task_state=TaskState.RESCUING)
        nova.sagas.start(tx, server_rescue.rescue, params, ctx, uuid)

    await nova.db.write(write)


async def unrescue(nova: Nova, ctx: Context, uuid: str) -> None:
    """Start booting a rescued server from its own disk. Raises: NotFound, Conflict."""

    def write(tx: Tx) -> None:
        server = rows.get(tx, uuid, project_of(ctx))
        states.check(server, ctx, "unrescue", (VmState.RESCUED,))
        params = server_rescue.Params(uuid, states.host_of(server, "unrescue"))
        rows.change(tx, uuid, nova.clock.now(), task_state=TaskState.UNRESCUING)
        nova.sagas.start(tx, server_rescue.unrescue, params, ctx, uuid)

    await nova.db.write(write)


async def attach(
    nova: Nova, ctx: Context, server: Server, wanted: RequestedNetwork | None
) -> BoundPort:
    """Give a server one more port and start plugging it; None is the only usable network.

    Returns as soon as the server has the port, which is the first step of the saga.

    Raises: Conflict (locked, wrong state, port in use), NotFound (port), BadRequest (network),
    QuotaExceeded (ports), DeadlineExceeded (the server is busy for too long).
    """
    states.check(server, ctx, "attach_interface", PLUGGABLE)
    try:
        found = await nova.network.check(
            project_id=server.project_id,
            is_admin=ctx.is_admin,
            requested=None if wanted is None else [wanted],
            security_groups=[],
            count=1,
        )
    except NotFound as why:
        if wanted is not None and wanted.port_id is not None:
            raise
        raise BadRequest(why.message, field="net_id") from why
    except Conflict as why:
        if wanted is not None and wanted.port_id is not None:
            raise BadRequest(why.message, field="port_id") from why
        raise BadRequest(why.message, field="net_id") from why
    if not found:
        raise BadRequest("No suitable network is there.", field="net_id")

    def write(tx: Tx) -> str:
        now = rows.get(tx, server.uuid)
        states.check(now, ctx, "attach_interface", PLUGGABLE)
        params = server_interfaces.Attach(server.uuid, now.host, found[0], nova.ids())
        return nova.sagas.start(tx, server_interfaces.attach, params, ctx, server.uuid)

    return await _allocated(nova, await nova.db.write(write))


async def _allocated(nova: Nova, saga_id: str) -> BoundPort:
    """Return the port that a saga has made, whichever process runs it. Raises: its Fault."""
    wait_s, end = LOOK_S[0], nova.clock.monotonic() + PATIENCE_S
    while nova.clock.monotonic() < end:
        record = await nova.db.read(nova.sagas.store.get, saga_id)
        if (result := record.log.results.get(allocate_port.name)) is not None:
            return msgspec.convert(result, BoundPort)
        if record.fault is not None:
            raise fault_of(record)
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, LOOK_S[1])
    raise DeadlineExceeded("The server is busy; the port is attached when it is not any more.")


async def detach(nova: Nova, ctx: Context, server: Server, port: BoundPort) -> None:
    """Start unplugging a port. Raises: Conflict (locked, wrong state)."""

    def write(tx: Tx) -> None:
        now = rows.get(tx, server.uuid)
        states.check(now, ctx, "detach_interface", PLUGGABLE)
        params = server_interfaces.Detach(server.uuid, now.host, port)
        nova.sagas.start(tx, server_interfaces.detach, params, ctx, server.uuid)

    await nova.db.write(write)


async def rewire(nova: Nova, server: Server) -> None:
    """Have the host see to the server's network again. Raises: Conflict, Unavailable."""
    host = states.host_of(server, "injectNetworkInfo")
    await nova.network.wire(server_id=server.uuid, host=host)

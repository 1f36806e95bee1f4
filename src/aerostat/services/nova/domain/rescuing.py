"""Rescuing servers, and the ports that are plugged in while they run."""

from aerostat.contracts.network import BoundPort, PortOwner, RequestedNetwork
from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, Fault, NotFound
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.domain import states
from aerostat.services.nova.domain.servers import project_of
from aerostat.services.nova.model.server import Server, TaskState, VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas import server_interfaces, server_rescue

RESCUABLE = (VmState.ACTIVE, VmState.STOPPED, VmState.ERROR)
PLUGGABLE = (VmState.ACTIVE, VmState.PAUSED, VmState.STOPPED)


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

    Raises: Conflict (locked, wrong state, port in use), NotFound (port), BadRequest (network),
    QuotaExceeded (ports).
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
    owner = PortOwner(
        server.uuid,
        server.project_id,
        server.host or "",
        server.availability_zone or "",
        server.hostname,
    )
    port = await nova.network.attach_port(server=owner, requested=found[0])
    try:
        await _start(nova, ctx, server, port, plug=True)
    except Fault:
        await nova.network.detach_port(server_id=server.uuid, port_id=port.port_id)
        raise
    return port


async def detach(nova: Nova, ctx: Context, server: Server, port: BoundPort) -> None:
    """Start unplugging a port. Raises: Conflict (locked, wrong state)."""
    states.check(server, ctx, "detach_interface", PLUGGABLE)
    await _start(nova, ctx, server, port, plug=False)


async def _start(nova: Nova, ctx: Context, server: Server, port: BoundPort, *, plug: bool) -> None:
    def write(tx: Tx) -> None:
        action = "attach_interface" if plug else "detach_interface"
        now = rows.get(tx, server.uuid)
        states.check(now, ctx, action, PLUGGABLE)
        networks = [n for n in now.requested["networks"] if n.get("port_id") != port.port_id]
        if plug:
            networks.append({"network_id": port.network_id, "port_id": port.port_id})
        requested = {**now.requested, "networks": networks}
        rows.change(tx, server.uuid, nova.clock.now(), requested=requested)
        params = server_interfaces.Params(server.uuid, now.host, port)
        saga = server_interfaces.attach if plug else server_interfaces.detach
        nova.sagas.start(tx, saga, params, ctx, server.uuid)

    await nova.db.write(write)


async def rewire(nova: Nova, server: Server) -> None:
    """Have the host see to the server's network again. Raises: Conflict, Unavailable."""
    host = states.host_of(server, "injectNetworkInfo")
    await nova.network.wire(server_id=server.uuid, host=host)

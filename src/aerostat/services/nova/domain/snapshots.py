"""Snapshots, backups and shelves: what is kept of a server as an image."""

from typing import Any

from msgspec import Struct

from aerostat.contracts.image import NewImage
from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.domain import quotas, states
from aerostat.services.nova.domain.servers import project_of
from aerostat.services.nova.model.server import Server, TaskState, VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas import server_shelve, server_snapshot

SHOOTABLE = (VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED)
NOT_INHERITED = ("instance_uuid", "image_type", "user_id", "backup_type", "base_image_ref")


class Shot(Struct, frozen=True, kw_only=True):
    """What an image of a server is to be: `action` as the API names it."""

    action: str
    name: str
    metadata: dict[str, str] = {}
    backup_type: str | None = None
    rotation: int = 0


async def create_image(nova: Nova, ctx: Context, uuid: str, shot: Shot) -> str:
    """Start making an image of a server and return its id.

    Raises: NotFound, Conflict (locked, wrong state), QuotaExceeded (metadata_items), TooLarge.
    """
    server = await nova.db.read(rows.get, uuid, project_of(ctx))
    states.check(server, ctx, shot.action, SHOOTABLE)
    await nova.db.read(quotas.check_items, ctx, "metadata_items", len(shot.metadata))
    image = _image(nova, server, shot)
    await nova.image.create(image=image)

    def write(tx: Tx) -> None:
        now = rows.get(tx, uuid, project_of(ctx))
        states.check(now, ctx, shot.action, SHOOTABLE)
        backup = shot.backup_type is not None
        task = TaskState.IMAGE_BACKUP if backup else TaskState.IMAGE_SNAPSHOT
        rows.change(tx, uuid, nova.clock.now(), task_state=task)
        params = _params(now, image, shot)
        saga = server_snapshot.backup if backup else server_snapshot.saga
        nova.sagas.start(tx, saga, params, ctx, uuid)

    try:
        await nova.db.write(write)
    except BaseException:
        await nova.image.delete(image_id=image.id)
        raise
    return image.id


def _params(server: Server, image: NewImage, shot: Shot) -> server_snapshot.Params:
    return server_snapshot.Params(
        server.uuid,
        states.host_of(server, shot.action),
        image.id,
        image.disk_format,
        server.project_id,
        shot.backup_type,
        shot.rotation,
    )


def _image(nova: Nova, server: Server, shot: Shot) -> NewImage:
    facts: dict[str, Any] = server.image or {}
    inherited = {k: v for k, v in facts.get("properties", {}).items() if k not in NOT_INHERITED}
    own = {
        "instance_uuid": server.uuid,
        "user_id": server.user_id,
        "image_type": "backup" if shot.backup_type is not None else "snapshot",
        "base_image_ref": server.image_id or "",
    }
    if shot.backup_type is not None:
        own["backup_type"] = shot.backup_type
    source = facts.get("disk_format", "qcow2")
    return NewImage(
        id=nova.ids(),
        name=shot.name,
        owner=server.project_id,
        disk_format="qcow2" if source == "qcow2" else "raw",
        min_disk_gb=max(server.flavor["root_gb"], facts.get("min_disk_gb", 0)),
        min_ram_mib=facts.get("min_ram_mib", 0),
        properties={**inherited, **own, **shot.metadata},
    )


async def shelve(nova: Nova, ctx: Context, uuid: str) -> None:
    """Start putting a server on the shelf. Raises: NotFound, Conflict, TooLarge."""
    server = await nova.db.read(rows.get, uuid, project_of(ctx))
    states.check(server, ctx, "shelve", SHOOTABLE)
    shot = Shot(action="shelve", name=f"{server.name}-shelved"[:255])
    image = _image(nova, server, shot)
    await nova.image.create(image=image)

    def write(tx: Tx) -> None:
        now = rows.get(tx, uuid, project_of(ctx))
        states.check(now, ctx, "shelve", SHOOTABLE)
        rows.change(tx, uuid, nova.clock.now(), task_state=TaskState.SHELVING)
        params = server_shelve.Shelve(
            uuid, _params(now, image, shot), now.vm_state, nova.config.shelved_offload_time_s == 0
        )
        nova.sagas.start(tx, server_shelve.shelve, params, ctx, uuid)

    try:
        await nova.db.write(write)
    except BaseException:
        await nova.image.delete(image_id=image.id)
        raise


async def shelve_offload(nova: Nova, ctx: Context, uuid: str) -> None:
    """Start freeing the host of a shelved server. Raises: NotFound, Conflict."""

    def write(tx: Tx) -> None:
        server = rows.get(tx, uuid, project_of(ctx))
        states.check(server, ctx, "shelveOffload", (VmState.SHELVED,))
        start_offloading(tx, nova, ctx, server)

    await nova.db.write(write)


def start_offloading(tx: Tx, nova: Nova, ctx: Context, server: Server) -> None:
    """Start freeing the host of a shelved server that nothing is done to."""
    rows.change(tx, server.uuid, nova.clock.now(), task_state=TaskState.SHELVING_OFFLOADING)
    params = server_shelve.Offload(server.uuid, states.host_of(server, "shelveOffload"))
    nova.sagas.start(tx, server_shelve.offload, params, ctx, server.uuid)


async def unshelve(
    nova: Nova, ctx: Context, uuid: str, zone: str | None, host: str | None, *, pin: bool
) -> None:
    """Start a shelved server again. `pin`: `zone` becomes the server's, None unpins it.

    Raises: NotFound, Conflict (locked, not shelved; a place was asked for, but it has one).
    """

    def write(tx: Tx) -> None:
        server = rows.get(tx, uuid, project_of(ctx))
        on_shelf = (VmState.SHELVED, VmState.SHELVED_OFFLOADED)
        states.check(server, ctx, "unshelve", on_shelf)
        if (pin or host is not None) and server.vm_state == VmState.SHELVED:
            states.check(server, ctx, "unshelve", (VmState.SHELVED_OFFLOADED,))
        image_id = (server.system_metadata or {}).get(server_shelve.IMAGE)
        if image_id is None:
            raise BadRequest("The server has no snapshot to start from.")
        values: dict[str, Any] = {"task_state": TaskState.UNSHELVING}
        if pin:
            values["requested"] = {**server.requested, "zone": zone}
        rows.change(tx, uuid, nova.clock.now(), **values)
        params = server_shelve.Unshelve(uuid, server.host, image_id, zone, host)
        nova.sagas.start(tx, server_shelve.unshelve, params, ctx, uuid)

    await nova.db.write(write)


def offload_overdue(tx: Tx, nova: Nova, ctx: Context, host: str) -> None:
    """Free a host of the servers that have been on the shelf for long enough."""
    patience = nova.config.shelved_offload_time_s
    if patience <= 0:
        return
    for server in rows.on_host(tx, host):
        waited = nova.clock.now() - server.updated_at
        if server.vm_state == VmState.SHELVED and server.task_state is None and waited >= patience:
            start_offloading(tx, nova, ctx, server)

"""Snapshots: an image of a server's root disk at one moment; backups that replace older ones."""

from msgspec import Struct

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault
from aerostat.kit.saga.saga import Run, Saga
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.server import TaskState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.moving import fault_of, now_of
from aerostat.services.nova.sagas.server_create import host_of

ACTIVE = "active"
BACKUP = "backup_type"


class Params(Struct, frozen=True):
    """The server, its host, and the image that is there already, without data.

    `backup_type`: of a backup, of which the newest `rotation` are kept.
    """

    server_id: str
    host: str
    image_id: str
    disk_format: str
    project_id: str
    backup_type: str | None = None
    rotation: int = 0


async def fill(nova: Nova, p: Params) -> None:
    """Give the image its data; one that has got it stays as it is."""
    facts = await nova.image.get(image_id=p.image_id, project_id=p.project_id, is_admin=True)
    if facts.status == ACTIVE:
        return
    path = await nova.image.upload_path(image_id=p.image_id)
    host = host_of(nova, p.host, nova.config.migration_timeout_s)
    await host.snapshot(server_id=p.server_id, disk_format=p.disk_format, path=path)


saga = Saga("createImage", Params)


@saga.step
async def snapshot_instance(nova: Nova, run: Run[Params]) -> None:
    """Upload the disk."""
    await fill(nova, run.p)


@snapshot_instance.undo
async def drop(nova: Nova, run: Run[Params]) -> None:
    """Delete the image; absence is fine."""
    await nova.image.delete(image_id=run.p.image_id)


@saga.step
async def rotate_backups(nova: Nova, run: Run[Params]) -> None:
    """Delete the backups of this kind that are too many, the oldest first."""
    if run.p.backup_type is None:
        return
    kind = {"instance_uuid": run.p.server_id, BACKUP: run.p.backup_type}
    found = await nova.image.named(owner=run.p.project_id, properties=kind)
    for image in found[run.p.rotation :]:
        await nova.image.delete(image_id=image.id)


@saga.succeeded
def done(tx: Tx, run: Run[Params]) -> None:
    """Nothing is being done to the server any more."""
    rows.change(tx, run.p.server_id, now_of(run), task_state=None)


@saga.failed
def failed(tx: Tx, run: Run[Params], why: Fault) -> None:
    """There is no image; the server is what it was."""
    server = rows.get(tx, run.p.server_id)
    if server.task_state != TaskState.DELETING:
        now = now_of(run) if run.log.events else server.updated_at
        rows.change(tx, server.uuid, now, task_state=None, fault=fault_of(now, why))


backup = Saga("createBackup", Params)
backup.steps, backup.succeeded_fn, backup.failed_fn = saga.steps, done, failed

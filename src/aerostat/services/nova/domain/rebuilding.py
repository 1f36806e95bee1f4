"""Rebuilding servers: what may change with the disk, and when it may be done."""

from typing import Any

from msgspec import Struct, structs

from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.domain import quotas, states
from aerostat.services.nova.domain.servers import (
    check_fit,
    check_unlocked,
    image_of,
    key_of,
    project_of,
)
from aerostat.services.nova.model.flavor import Flavor
from aerostat.services.nova.model.server import Server, TaskState, VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas import server_rebuild

ALLOWED = (VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED, VmState.ERROR)


class Rebuild(Struct, frozen=True, kw_only=True):
    """What a rebuild asks for. `values`: columns to write; `key_name` only with `new_key`."""

    image_ref: str
    values: dict[str, Any] = {}
    requested: dict[str, Any] = {}
    new_key: bool = False
    key_name: str | None = None


async def rebuild(nova: Nova, ctx: Context, uuid: str, wanted: Rebuild) -> Server:
    """Start rebuilding and return the server.

    Raises: NotFound, BadRequest (image, key), Conflict (locked, wrong state, being worked on),
    QuotaExceeded (metadata_items).
    """
    image = await image_of(nova, ctx, wanted.image_ref)

    def write(tx: Tx) -> Server:
        server = rows.get(tx, uuid, project_of(ctx))
        check_unlocked(server, ctx)
        host = _check_state(server)
        states.check_alone(tx, nova, server, "rebuild")
        check_fit(image, Flavor(**server.flavor))
        values = {**wanted.values, "image_id": image.id, "image": structs.asdict(image)}
        if "metadata" in values:
            quotas.check_items(tx, ctx, "metadata_items", len(values["metadata"]))
        if wanted.new_key:
            values.update(key_name=wanted.key_name, key_data=key_of(tx, ctx, wanted.key_name))
        values["requested"] = {**server.requested, **wanted.requested}
        rows.change(tx, uuid, nova.clock.now(), task_state=TaskState.REBUILDING, **values)
        params = server_rebuild.Params(uuid, host, server.vm_state == VmState.STOPPED)
        nova.sagas.start(tx, server_rebuild.saga, params, ctx, uuid)
        return rows.get(tx, uuid)

    return await nova.db.write(write)


def _check_state(server: Server) -> str:
    if server.task_state is not None:
        raise Conflict(
            f"Cannot 'rebuild' instance {server.uuid} while it is in task_state {server.task_state}"
        )
    if server.vm_state not in ALLOWED or server.host is None:
        raise Conflict(
            f"Cannot 'rebuild' instance {server.uuid} while it is in vm_state {server.vm_state}"
        )
    return server.host

"""Actions that keep or restore a server's disk: snapshot, backup, shelve, rescue."""

from typing import Any

from msgspec import UnsetType

from aerostat.kit.errors import BadRequest
from aerostat.kit.http import schema
from aerostat.kit.http.microversion import Version
from aerostat.kit.http.route import Reply, Request
from aerostat.services.nova import policies
from aerostat.services.nova.api.attributes import blank
from aerostat.services.nova.domain import rescuing, snapshots
from aerostat.services.nova.domain.snapshots import Shot
from aerostat.services.nova.model.server import Server
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.schemas.actions import CreateBackup, CreateImage, Rescue, Unshelve

Req = Request[dict[str, Any]]
IMAGE_ID = Version(2, 45)


def _made(req: Req, image_id: str) -> Reply:
    if req.version >= IMAGE_ID:
        return Reply({"image_id": image_id})
    return Reply(headers={"location": f"{req.base}/images/{image_id}"})


async def create_image(nova: Nova, req: Req, server: Server, arguments: Any) -> Reply | None:
    """Make an image of the server."""
    body = schema.convert(arguments, CreateImage, req.version)
    name = body.name.strip() or blank("name")
    shot = Shot(action="createImage", name=name, metadata=body.metadata)
    return _made(req, await snapshots.create_image(nova, req.ctx, server.uuid, shot))


async def create_backup(nova: Nova, req: Req, server: Server, arguments: Any) -> Reply | None:
    """Make an image of the server, and delete older ones of its kind."""
    body = schema.convert(arguments, CreateBackup, req.version)
    if not str(body.rotation).isdecimal():
        raise BadRequest(
            f"Invalid input for field/attribute rotation. Value: {body.rotation}.",
            field="rotation",
        )
    shot = Shot(
        action="createBackup",
        name=body.name.strip() or blank("name"),
        metadata=body.metadata,
        backup_type=body.backup_type,
        rotation=int(body.rotation),
    )
    image_id = await snapshots.create_image(nova, req.ctx, server.uuid, shot)
    return _made(req, image_id) if shot.rotation else None


async def shelve(nova: Nova, req: Req, server: Server, _arguments: Any) -> Reply | None:
    """Put the server on the shelf."""
    await snapshots.shelve(nova, req.ctx, server.uuid)
    return None


async def shelve_offload(nova: Nova, req: Req, server: Server, _arguments: Any) -> Reply | None:
    """Free the host of the shelved server."""
    await snapshots.shelve_offload(nova, req.ctx, server.uuid)
    return None


async def unshelve(nova: Nova, req: Req, server: Server, arguments: Any) -> Reply | None:
    """Start the shelved server again."""
    body = schema.convert(arguments or {}, Unshelve, req.version)
    if body.host is not None:
        req.enforce(policies.UNSHELVE_TO_HOST, {"project_id": server.project_id})
    pin = not isinstance(body.zone, UnsetType)
    zone = body.zone if isinstance(body.zone, str) else None
    await snapshots.unshelve(nova, req.ctx, server.uuid, zone, body.host, pin=pin)
    return None


async def rescue(nova: Nova, req: Req, server: Server, arguments: Any) -> Reply | None:
    """Boot the server from another image."""
    body = schema.convert(arguments or {}, Rescue, req.version)
    await rescuing.rescue(nova, req.ctx, server.uuid, body.image)
    password = body.admin_pass or nova.ids().replace("-", "")[:12]
    return Reply({"adminPass": password}, status=200)


async def unrescue(nova: Nova, req: Req, server: Server, _arguments: Any) -> Reply | None:
    """Boot the server from its own disk again."""
    await rescuing.unrescue(nova, req.ctx, server.uuid)
    return None


async def inject_network_info(
    nova: Nova, _req: Req, server: Server, _arguments: Any
) -> Reply | None:
    """Have the host see to the server's network again."""
    await rescuing.rewire(nova, server)
    return None

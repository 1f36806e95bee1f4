"""Actions that move servers: resize and its verdict, migrate, live-migrate, evacuate."""

from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.kit.http import schema
from aerostat.kit.http.route import Reply, Request
from aerostat.services.nova import policies
from aerostat.services.nova.domain import resizing
from aerostat.services.nova.model.server import Server
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.schemas.actions import Migrate, Resize

Req = Request[dict[str, Any]]


async def resize(nova: Nova, req: Req, server: Server, arguments: Any) -> Reply | None:
    """Give the server another flavor."""
    body = schema.convert(arguments, Resize, req.version)
    flavor_ref = str(body.flavor).rsplit("/", 1)[-1]
    await resizing.resize(nova, req.ctx, server.uuid, flavor_ref)
    return None


async def confirm(nova: Nova, req: Req, server: Server, arguments: Any) -> Reply | None:
    """Make a resize final."""
    nothing(arguments, "confirmResize")
    await resizing.confirm(nova, req.ctx, server.uuid)
    return Reply(status=204)


async def revert(nova: Nova, req: Req, server: Server, arguments: Any) -> Reply | None:
    """Take a resize back."""
    nothing(arguments, "revertResize")
    await resizing.revert(nova, req.ctx, server.uuid)
    return None


async def migrate(nova: Nova, req: Req, server: Server, arguments: Any) -> Reply | None:
    """Move the server to another host."""
    body = schema.convert(arguments or {}, Migrate, req.version)
    if body.host is not None:
        req.enforce(policies.MIGRATE_HOST, {"project_id": server.project_id})
    await resizing.migrate(nova, req.ctx, server.uuid, body.host)
    return None


def nothing(arguments: Any, action: str) -> None:
    """Raises: BadRequest (the action takes no arguments)."""
    if arguments is not None:
        raise BadRequest(
            f"Invalid input for field/attribute {action}. Value: {arguments}. "
            f"{arguments} is not of type 'null'",
            field=action,
        )

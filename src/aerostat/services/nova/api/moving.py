"""Actions that move servers: resize and its verdict, migrate, live-migrate, evacuate."""

from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.kit.http import schema
from aerostat.kit.http.microversion import Version
from aerostat.kit.http.route import Reply, Request
from aerostat.services.nova import policies
from aerostat.services.nova.api.attributes import disk_config_of
from aerostat.services.nova.domain import live, resizing
from aerostat.services.nova.domain.live import EvacuateWish, LiveWish
from aerostat.services.nova.model.server import Server
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.schemas.actions import Evacuate, Migrate, MigrateLive, Resize

AUTO, NO_STORAGE_FLAG, STAYS_STOPPED = Version(2, 25), Version(2, 14), Version(2, 95)
Req = Request[dict[str, Any]]


async def resize(nova: Nova, req: Req, server: Server, arguments: Any) -> Reply | None:
    """Give the server another flavor."""
    body = schema.convert(arguments, Resize, req.version)
    flavor_ref = str(body.flavor).rsplit("/", 1)[-1]
    disk_config = disk_config_of(body.disk_config)
    await resizing.resize(nova, req.ctx, server.uuid, flavor_ref, disk_config)
    return None


async def confirm(nova: Nova, req: Req, server: Server, _arguments: Any) -> Reply | None:
    """Make a resize final."""
    await resizing.confirm(nova, req.ctx, server.uuid)
    return Reply(status=204)


async def revert(nova: Nova, req: Req, server: Server, _arguments: Any) -> Reply | None:
    """Take a resize back."""
    await resizing.revert(nova, req.ctx, server.uuid)
    return None


async def migrate(nova: Nova, req: Req, server: Server, arguments: Any) -> Reply | None:
    """Move the server to another host."""
    body = schema.convert(arguments or {}, Migrate, req.version)
    if body.host is not None:
        req.enforce(policies.MIGRATE_HOST, {"project_id": server.project_id})
    await resizing.migrate(nova, req.ctx, server.uuid, body.host)
    return None


async def migrate_live(nova: Nova, req: Req, server: Server, arguments: Any) -> Reply | None:
    """Move the running server to another host."""
    body = schema.convert(arguments, MigrateLive, req.version)
    if req.version < AUTO and "disk_over_commit" not in arguments:
        raise BadRequest("'disk_over_commit' is a required property", field="disk_over_commit")
    if body.host is not None:
        req.enforce(policies.MIGRATE_LIVE_HOST, {"project_id": server.project_id})
    block = None
    if req.version < AUTO or body.block_migration != "auto":
        block = schema.parse_bool(body.block_migration, "block_migration")
    forced = schema.parse_bool(body.force, "force")
    if forced and body.host is None:
        raise BadRequest("Can't force to a non-provided destination", field="force")
    wish = LiveWish(body.host, block, forced)
    await live.migrate(nova, req.ctx, server.uuid, wish)
    return None


async def evacuate(nova: Nova, req: Req, server: Server, arguments: Any) -> Reply | None:
    """Build the server of a dead host on another one."""
    body = schema.convert(arguments, Evacuate, req.version)
    forced = schema.parse_bool(body.force, "force")
    if forced and body.host is None:
        raise BadRequest("Can't force to a non-provided destination", field="force")
    if req.version < NO_STORAGE_FLAG and body.on_shared_storage is None:
        raise BadRequest("'onSharedStorage' is a required property", field="onSharedStorage")
    wish = EvacuateWish(body.host, forced, req.version >= STAYS_STOPPED)
    await live.evacuate(nova, req.ctx, server.uuid, wish)
    if req.version >= NO_STORAGE_FLAG:
        return None
    return Reply({"adminPass": body.admin_pass or nova.ids().replace("-", "")[:12]}, status=200)

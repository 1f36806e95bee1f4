"""The rebuild action: a new disk from an image, and what else may change with it."""

from typing import Any

from msgspec import UnsetType

from aerostat.kit.http import schema
from aerostat.kit.http.route import Reply, Request
from aerostat.services.nova.api.attributes import (
    address_of,
    blank,
    disk_config_of,
    personality_of,
    user_data_of,
)
from aerostat.services.nova.api.reading import around, base_of
from aerostat.services.nova.domain import rebuilding
from aerostat.services.nova.domain.rebuilding import Rebuild
from aerostat.services.nova.model.server import Server
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.schemas.servers import ServerRebuild
from aerostat.services.nova.schemas.views import detail


async def rebuild(
    nova: Nova, req: Request[dict[str, Any]], server: Server, arguments: Any
) -> Reply | None:
    """Give the server a new disk; answers with the server, in REBUILD."""
    body = schema.convert(arguments, ServerRebuild, req.version)
    server = await rebuilding.rebuild(nova, req.ctx, server.uuid, _wanted(body))
    doc = detail(server, await around(nova, req, [server]))
    doc.pop("OS-EXT-SRV-ATTR:user_data", None)
    doc["user_data"] = server.user_data
    doc["adminPass"] = body.admin_pass or nova.ids().replace("-", "")[:12]
    location = f"{base_of(req)}/servers/{server.uuid}"
    return Reply({"server": doc}, headers={"location": location})


def _wanted(body: ServerRebuild) -> Rebuild:
    values: dict[str, Any] = {}
    for name in ("description", "hostname", "metadata"):
        if getattr(body, name) is not None:
            values[name] = getattr(body, name)
    if body.name is not None:
        values["name"] = body.name.strip() or blank("name")
    if body.access_ip_v4 is not None:
        values["access_ip_v4"] = address_of(body.access_ip_v4, "accessIPv4", 4)
    if body.access_ip_v6 is not None:
        values["access_ip_v6"] = address_of(body.access_ip_v6, "accessIPv6", 6)
    if not isinstance(body.user_data, UnsetType):
        values["user_data"] = user_data_of(body.user_data)
    requested: dict[str, Any] = {}
    if (disk_config := disk_config_of(body.disk_config)) is not None:
        requested["disk_config"] = disk_config
    if body.personality is not None:
        requested["personality"] = personality_of(body.personality)
    new_key = not isinstance(body.key_name, UnsetType)
    return Rebuild(
        image_ref=body.image.rsplit("/", 1)[-1],
        values=values,
        requested=requested,
        new_key=new_key,
        key_name=body.key_name if isinstance(body.key_name, str) else None,
    )

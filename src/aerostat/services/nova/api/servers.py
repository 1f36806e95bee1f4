"""/servers: list, detail, create, show, update, delete."""

from typing import Any

from msgspec import UnsetType

from aerostat.contracts.network import AUTO, RequestedNetwork
from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.kit.http.schema import parse_bool
from aerostat.services.nova import policies
from aerostat.services.nova.api.attributes import (
    address_of,
    blank,
    disk_config_of,
    personality_of,
    user_data_of,
)
from aerostat.services.nova.api.paging import page_links
from aerostat.services.nova.api.queries import server_query
from aerostat.services.nova.api.reading import around, base_of
from aerostat.services.nova.domain import servers
from aerostat.services.nova.domain.servers import ServerSpec
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.schemas.servers import (
    ServerCreate,
    ServerCreateBody,
    ServerUpdateBody,
)
from aerostat.services.nova.schemas.views import brief, detail, links

routes: Routes[Nova] = Routes("servers")


@routes.get("/servers", policy=policies.SERVERS_INDEX, tags=("server_brief",))
async def index(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List servers briefly."""
    query = server_query(req, policies.SERVERS_ALL, nova.config.max_limit)
    found = await servers.find(nova, query)
    doc: dict[str, Any] = {"servers": [brief(s, base_of(req)) for s in found]}
    if more := page_links(req, [s.uuid for s in found], query.limit, nova.config.max_limit):
        doc["servers_links"] = more
    return doc


@routes.get("/servers/detail", policy=policies.SERVERS_DETAIL, tags=("server", "server_show"))
async def list_detail(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List servers with all there is to say of them."""
    query = server_query(req, policies.SERVERS_DETAIL_ALL, nova.config.max_limit)
    found = await servers.find(nova, query)
    beside = await around(nova, req, found)
    beside.whole = False
    doc: dict[str, Any] = {"servers": [detail(s, beside) for s in found]}
    if more := page_links(req, [s.uuid for s in found], query.limit, nova.config.max_limit):
        doc["servers_links"] = more
    return doc


@routes.post(
    "/servers",
    policy=policies.SERVERS_CREATE,
    body=ServerCreateBody,
    status=202,
    tags=("server_create",),
    max_body=1 << 20,
)
async def create(nova: Nova, req: Request[ServerCreateBody]) -> Reply:
    """Create servers. They build in the background: BUILD, then ACTIVE or ERROR."""
    spec = _spec(req)
    made = await servers.create(nova, req.ctx, spec)
    if parse_bool(req.body.server.return_reservation_id, "return_reservation_id"):
        return Reply({"reservation_id": made[0].reservation_id})
    first, base = made[0], base_of(req)
    doc = {
        "id": first.uuid,
        "links": links(base, "servers", first.uuid),
        "OS-DCF:diskConfig": req.body.server.disk_config or "MANUAL",
        "security_groups": [{"name": n} for n in spec.security_groups or ["default"]],
        "adminPass": req.body.server.admin_pass or nova.ids().replace("-", "")[:12],
    }
    return Reply({"server": doc}, headers={"location": f"{base}/servers/{first.uuid}"})


def _spec(req: Request[ServerCreateBody]) -> ServerSpec:
    body = req.body.server
    zone, host = _zone_and_host(req, body)
    least, most = _counts(body)
    if body.block_device_mapping or _wants_volumes(body.block_device_mapping_v2):
        raise BadRequest(
            "Block Device Mapping is Invalid: this cloud has no volume service.",
            field="block_device_mapping_v2",
        )
    return ServerSpec(
        name=body.name.strip() or blank("name"),
        flavor_ref=str(body.flavor).rsplit("/", 1)[-1],
        image_ref=(body.image or "").rsplit("/", 1)[-1] or None,
        networks=_networks(body),
        security_groups=list(dict.fromkeys(g.name for g in body.security_groups)),
        key_name=body.key_name,
        user_data=user_data_of(body.user_data),
        metadata=body.metadata,
        personality=personality_of(body.personality),
        config_drive=parse_bool(body.config_drive or False, "config_drive"),
        zone=zone,
        host=host,
        hints=req.body.hints or req.body.hints_alias or {},
        min_count=least,
        max_count=most,
        description=body.description,
        tags=body.tags or [],
        hostname=body.hostname,
        access_ip_v4=address_of(body.access_ip_v4, "accessIPv4", 4),
        access_ip_v6=address_of(body.access_ip_v6, "accessIPv6", 6),
        disk_config=disk_config_of(body.disk_config) or "MANUAL",
    )


def _zone_and_host(
    req: Request[ServerCreateBody], body: ServerCreate
) -> tuple[str | None, str | None]:
    zone, _, host = (body.availability_zone or "").partition(":")
    host = host.partition(":")[0]
    if host:
        req.enforce(policies.SERVERS_CREATE_FORCED)
    wanted = body.host or body.hypervisor_hostname
    if wanted:
        req.enforce(policies.SERVERS_CREATE_DEST)
    return zone or None, host or wanted or None


def _counts(body: ServerCreate) -> tuple[int, int]:
    def number(value: int | str, field: str) -> int:
        if not str(value).isdecimal() or int(value) < 1:
            raise BadRequest(
                f"Invalid input for field/attribute {field}. Value: {value}.", field=field
            )
        return int(value)

    least = number(body.min_count, "min_count")
    most = number(body.max_count, "max_count") if body.max_count is not None else least
    if least > most:
        raise BadRequest("min_count must be <= max_count", field="min_count")
    return least, most


def _wants_volumes(mapping: list[dict[str, Any]] | None) -> bool:
    return any(
        m.get("source_type") != "image" or m.get("destination_type") != "local"
        for m in mapping or ()
    )


def _networks(body: ServerCreate) -> list[RequestedNetwork] | None:
    if body.networks == AUTO:
        return [RequestedNetwork(AUTO)]
    if body.networks == "none":
        return []
    if isinstance(body.networks, str):
        raise BadRequest(
            "Invalid input for field/attribute networks. It is 'auto', 'none' or a list.",
            field="networks",
        )
    for nic in body.networks:
        if nic.uuid is None and nic.port is None:
            raise BadRequest("A network needs a uuid or a port.", field="networks")
        if nic.port is not None and nic.fixed_ip is not None:
            raise BadRequest(
                "Specified Fixed IP cannot be used with port: the two cannot be given together.",
                field="fixed_ip",
            )
    if not body.networks:
        return None
    return [RequestedNetwork(n.uuid, n.port, n.fixed_ip, n.tag) for n in body.networks]


@routes.get("/servers/{server_id}", policy=None, tags=("server", "server_show"))
async def show(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show a server."""
    server = await servers.get(nova, req.ctx, req.path["server_id"])
    req.enforce(policies.SERVERS_SHOW, {"project_id": server.project_id})
    return {"server": detail(server, await around(nova, req, [server]))}


@routes.put(
    "/servers/{server_id}",
    policy=None,
    body=ServerUpdateBody,
    tags=("server", "server_show", "server_update"),
)
async def update(nova: Nova, req: Request[ServerUpdateBody]) -> dict[str, Any]:
    """Change the name, description, host name or access addresses."""
    server = await servers.get(nova, req.ctx, req.path["server_id"])
    req.enforce(policies.SERVERS_UPDATE, {"project_id": server.project_id})
    body = req.body.server
    fields = ("name", "description", "hostname")
    values = {f: getattr(body, f) for f in fields if getattr(body, f) is not None}
    if body.access_ip_v4 is not None:
        values["access_ip_v4"] = address_of(body.access_ip_v4, "accessIPv4", 4)
    if body.access_ip_v6 is not None:
        values["access_ip_v6"] = address_of(body.access_ip_v6, "accessIPv6", 6)
    if (disk_config := disk_config_of(body.disk_config)) is not None:
        values["requested"] = {**server.requested, "disk_config": disk_config}
    if not isinstance(body.pinned_zone, UnsetType):
        if body.pinned_zone not in (None, server.availability_zone):
            raise BadRequest(
                f"The server is not in availability zone {body.pinned_zone}.",
                field="pinned_availability_zone",
            )
        values["requested"] = {
            **values.get("requested", server.requested),
            "zone": body.pinned_zone,
        }
    if "name" in values and not values["name"].strip():
        blank("name")
    server = await servers.change(nova, req.ctx, server.uuid, **values)
    return {"server": detail(server, await around(nova, req, [server]))}


@routes.delete("/servers/{server_id}", policy=None)
async def delete(nova: Nova, req: Request[None]) -> None:
    """Delete a server; what is being done to it is given up."""
    server = await servers.get(nova, req.ctx, req.path["server_id"])
    req.enforce(policies.SERVERS_DELETE, {"project_id": server.project_id})
    await servers.delete(nova, req.ctx, server.uuid)

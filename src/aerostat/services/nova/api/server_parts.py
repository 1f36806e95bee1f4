"""What hangs on a server: metadata, tags, addresses, interfaces, security groups, actions."""

from typing import Any

from aerostat.kit.clock import iso
from aerostat.kit.errors import BadRequest, NotFound
from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.kit.saga.store import Record
from aerostat.services.nova import policies
from aerostat.services.nova.api.paging import page_links
from aerostat.services.nova.api.queries import changed_between, limit_of
from aerostat.services.nova.domain import actions, parts, servers
from aerostat.services.nova.model.server import Server
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.schemas.servers import MetaBody, MetadataBody, TagsBody
from aerostat.services.nova.schemas.views import addresses

routes: Routes[Nova] = Routes("server_parts")
URL = "/servers/{server_id}"


async def _server(nova: Nova, req: Request[Any], rule: Rule) -> Server:
    server = await servers.get(nova, req.ctx, req.path["server_id"])
    req.enforce(rule, {"project_id": server.project_id})
    return server


@routes.get(URL + "/metadata", policy=None)
async def metadata(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the metadata of a server."""
    return {"metadata": (await _server(nova, req, policies.META["index"])).metadata}


@routes.post(URL + "/metadata", policy=None, body=MetadataBody, status=200)
async def add_metadata(nova: Nova, req: Request[MetadataBody]) -> dict[str, Any]:
    """Set some of the metadata."""
    server = await _server(nova, req, policies.META["create"])
    wanted = {**server.metadata, **req.body.metadata}
    return {"metadata": await parts.set_metadata(nova, req.ctx, server, wanted)}


@routes.put(URL + "/metadata", policy=None, body=MetadataBody)
async def replace_metadata(nova: Nova, req: Request[MetadataBody]) -> dict[str, Any]:
    """Make the metadata exactly those of the body."""
    server = await _server(nova, req, policies.META["update_all"])
    return {"metadata": await parts.set_metadata(nova, req.ctx, server, req.body.metadata)}


@routes.get(URL + "/metadata/{key}", policy=None)
async def meta(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show one item of the metadata."""
    server, key = await _server(nova, req, policies.META["show"]), req.path["key"]
    return {"meta": {key: _item(server, key)}}


def _item(server: Server, key: str) -> str:
    if key not in server.metadata:
        raise NotFound("Metadata item was not found")
    return server.metadata[key]


@routes.put(URL + "/metadata/{key}", policy=None, body=MetaBody)
async def set_meta(nova: Nova, req: Request[MetaBody]) -> dict[str, Any]:
    """Set one item of the metadata."""
    server = await _server(nova, req, policies.META["update"])
    if req.path["key"] not in req.body.meta:
        raise BadRequest("Request body and URI mismatch", field="meta")
    await parts.set_metadata(nova, req.ctx, server, {**server.metadata, **req.body.meta})
    return {"meta": req.body.meta}


@routes.delete(URL + "/metadata/{key}", policy=None)
async def delete_meta(nova: Nova, req: Request[None]) -> None:
    """Delete one item of the metadata."""
    server, key = await _server(nova, req, policies.META["delete"]), req.path["key"]
    _item(server, key)
    left = {k: v for k, v in server.metadata.items() if k != key}
    await parts.set_metadata(nova, req.ctx, server, left)


@routes.get(URL + "/tags", policy=None, since="2.26")
async def tags(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the tags of a server."""
    return {"tags": (await _server(nova, req, policies.TAGS["index"])).tags}


@routes.put(URL + "/tags", policy=None, body=TagsBody, since="2.26")
async def replace_tags(nova: Nova, req: Request[TagsBody]) -> dict[str, Any]:
    """Make the tags exactly those of the body."""
    server = await _server(nova, req, policies.TAGS["update_all"])
    return {"tags": await parts.set_tags(nova, req.ctx, server, req.body.tags)}


@routes.delete(URL + "/tags", policy=None, since="2.26")
async def clear_tags(nova: Nova, req: Request[None]) -> None:
    """Take all tags from a server."""
    server = await _server(nova, req, policies.TAGS["delete_all"])
    await parts.set_tags(nova, req.ctx, server, [])


@routes.get(URL + "/tags/{tag}", policy=None, since="2.26", status=204)
async def has_tag(nova: Nova, req: Request[None]) -> None:
    """Tell whether a server has a tag."""
    server = await _server(nova, req, policies.TAGS["show"])
    _check_tag(server, req.path["tag"])


def _check_tag(server: Server, tag: str) -> None:
    if tag not in server.tags:
        raise NotFound(f"Server {server.uuid} has no tag '{tag}'")


@routes.put(URL + "/tags/{tag}", policy=None, since="2.26", status=204)
async def add_tag(nova: Nova, req: Request[None]) -> Reply:
    """Give a server a tag."""
    server, tag = await _server(nova, req, policies.TAGS["update"]), req.path["tag"]
    parts.check_tag(tag)
    await parts.set_tags(nova, req.ctx, server, [*server.tags, tag])
    status = 204 if tag in server.tags else 201
    return Reply(status=status, headers={"location": req.url})


@routes.delete(URL + "/tags/{tag}", policy=None, since="2.26")
async def delete_tag(nova: Nova, req: Request[None]) -> None:
    """Take a tag from a server."""
    server, tag = await _server(nova, req, policies.TAGS["delete"]), req.path["tag"]
    _check_tag(server, tag)
    await parts.set_tags(nova, req.ctx, server, [t for t in server.tags if t != tag])


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [{"version": a["version"], "addr": a["addr"]} for a in listed]
        for name, listed in found.items()
    }


@routes.get(URL + "/ips", policy=None)
async def ips(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the addresses of a server."""
    server = await _server(nova, req, policies.IPS["index"])
    found = await nova.network.addresses(server_ids=[server.uuid])
    return {"addresses": _plain(addresses(found.get(server.uuid, [])))}


@routes.get(URL + "/ips/{network}", policy=None)
async def ips_of_network(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the addresses of a server on one network."""
    found = (await ips(nova, req))["addresses"]
    name = req.path["network"]
    if name not in found:
        raise NotFound("Instance is not a member of specified network")
    return {name: found[name]}


@routes.get(URL + "/os-server-password", policy=None)
async def password(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show the password that the guest sent, encrypted; guests send none here yet."""
    await _server(nova, req, policies.PASSWORD_SHOW)
    return {"password": ""}


@routes.delete(URL + "/os-server-password", policy=None)
async def clear_password(nova: Nova, req: Request[None]) -> None:
    """Forget the password that the guest sent."""
    await _server(nova, req, policies.PASSWORD_CLEAR)


@routes.get(URL + "/os-volume_attachments", policy=None)
async def volume_attachments(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the volumes of a server; there is no volume service yet, so there are none."""
    await _server(nova, req, policies.VOLUMES)
    return {"volumeAttachments": []}


def _action(record: Record) -> dict[str, Any]:
    context = record.context
    return {
        "action": record.name,
        "instance_uuid": record.key,
        "request_id": context.get("request_id"),
        "user_id": context.get("user_id"),
        "project_id": context.get("project_id"),
        "start_time": iso(record.created_at, micros=True, zone=""),
        "updated_at": iso(record.updated_at or record.created_at, micros=True, zone=""),
        "message": (record.fault or {}).get("message"),
    }


def _event(record: Record, event: Any, admin: bool, host: str | None) -> dict[str, Any]:
    return {
        "event": f"compute_{event.name}",
        "start_time": iso(event.started_at, micros=True, zone=""),
        "finish_time": iso(event.finished_at, micros=True, zone=""),
        "result": event.result,
        "traceback": event.message if admin else None,
        "host": host if admin else None,
        "hostId": "",
        "details": event.message,
    }


@routes.get(URL + "/os-instance-actions", policy=None, tags=("action",))
async def instance_actions(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List what was done to a server, the newest first."""
    server = await parts.even_deleted(nova, req.ctx, req.path["server_id"])
    req.enforce(policies.ACTIONS_LIST, {"project_id": server.project_id})
    found = paged(req, await actions.history(nova, server.uuid), nova.config.max_limit)
    doc: dict[str, Any] = {"instanceActions": [_action(r) for r in found]}
    ids = [str(r.context.get("request_id")) for r in found]
    if "limit" in req.query and (more := page_links(req, ids, len(found), nova.config.max_limit)):
        doc["links"] = more
    return doc


def paged(req: Request[None], found: list[Record], most: int) -> list[Record]:
    """Return the page of a history that is asked for. Raises: BadRequest."""
    since, before = changed_between(req)
    if since is not None:
        found = [r for r in found if (r.updated_at or r.created_at) >= since]
    if before is not None:
        found = [r for r in found if (r.updated_at or r.created_at) <= before]
    marker = req.query.get("marker")
    if marker is not None:
        ids = [r.context.get("request_id") for r in found]
        if marker not in ids:
            raise BadRequest(f"marker [{marker}] not found", field="marker")
        found = found[ids.index(marker) + 1 :]
    return found[: limit_of(req, most)]


@routes.get(URL + "/os-instance-actions/{request_id}", policy=None, tags=("action",))
async def instance_action(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show one thing that was done, step by step."""
    server = await parts.even_deleted(nova, req.ctx, req.path["server_id"])
    req.enforce(policies.ACTIONS_SHOW, {"project_id": server.project_id})
    admin = req.allows(policies.ACTIONS_EVENTS)
    for record in await actions.history(nova, server.uuid):
        if record.context.get("request_id") == req.path["request_id"]:
            events = [_event(record, e, admin, server.host) for e in record.log.events]
            return {"instanceAction": {**_action(record), "events": events}}
    raise NotFound(f"Action for request_id {req.path['request_id']} not found")

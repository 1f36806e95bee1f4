"""/os-server-external-events: what other services tell nova of a server's ports."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from aerostat.kit.errors import NotFound
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.kit.http.schema import Body
from aerostat.services.nova import policies
from aerostat.services.nova.domain import servers
from aerostat.services.nova.runtime import Nova

routes: Routes[Nova] = Routes("external_events")


class Event(Body, kw_only=True):
    """One event."""

    name: Literal[
        "network-changed",
        "network-vif-plugged",
        "network-vif-unplugged",
        "network-vif-deleted",
        "volume-extended",
        "power-update",
        "accelerator-request-bound",
        "volume-reimaged",
    ]
    server_uuid: str
    status: Literal["failed", "completed", "in-progress"] = "completed"
    tag: Annotated[str, Meta(max_length=255)] | None = None


class Events(Body):
    """POST /os-server-external-events."""

    events: Annotated[list[Event], Meta(min_length=1)]


@routes.post("/os-server-external-events", policy=policies.EXTERNAL_EVENTS, body=Events, status=200)
async def create(nova: Nova, req: Request[Events]) -> Reply:
    """Take events in. Networks are read when they are shown, so there is nothing to refresh."""
    told = [await _one(nova, req, event) for event in req.body.events]
    codes = {event["code"] for event in told}
    if codes == {404}:
        raise NotFound("No instances found for any event")
    return Reply({"events": told}, status=200 if codes == {200} else 207)


async def _one(nova: Nova, req: Request[Events], event: Event) -> dict[str, Any]:
    doc: dict[str, Any] = {
        "name": event.name,
        "server_uuid": event.server_uuid,
        "status": event.status,
        "code": 200,
    }
    if event.tag is not None:
        doc["tag"] = event.tag
    try:
        server = await servers.find_any(nova, event.server_uuid)
    except NotFound:
        return {**doc, "status": "failed", "code": 404}
    return doc if server.host else {**doc, "status": "failed", "code": 422}

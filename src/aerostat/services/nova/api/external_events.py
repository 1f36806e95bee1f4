"""/os-server-external-events: what other services have done that concerns a server."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from aerostat.kit.errors import NotFound
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.kit.http.schema import Body
from aerostat.services.nova import policies
from aerostat.services.nova.domain import external_events
from aerostat.services.nova.runtime import Nova

routes: Routes[Nova] = Routes("external_events")
MULTI_STATUS = 207

Name = Literal[
    "network-changed",
    "network-vif-plugged",
    "network-vif-unplugged",
    "network-vif-deleted",
]


class Event(Body):
    """What happened to a server; `tag` says to which part of it."""

    name: Name
    server_uuid: str
    status: Literal["failed", "completed", "in-progress"] = "completed"
    tag: str | None = None


class Events(Body):
    """POST /os-server-external-events."""

    events: Annotated[list[Event], Meta(min_length=1)]


@routes.post("/os-server-external-events", policy=policies.EXTERNAL_EVENTS, body=Events, status=200)
async def create(nova: Nova, req: Request[Events]) -> Reply:
    """Take events in; each says what came of it.

    The server's host looks after its network again. Events of other kinds are refused: libvirt
    tells of power itself, and volumes and accelerators there are none yet.
    """
    told = [await _take(nova, event) for event in req.body.events]
    codes = {one["code"] for one in told}
    if codes == {external_events.NOT_FOUND}:
        raise NotFound("No instances found for any event")
    return Reply({"events": told}, status=MULTI_STATUS if codes - {external_events.OK} else 200)


async def _take(nova: Nova, event: Event) -> dict[str, Any]:
    code = await external_events.happened(nova, event.server_uuid, event.name, event.tag)
    return {
        "name": event.name,
        "server_uuid": event.server_uuid,
        **({} if event.tag is None else {"tag": event.tag}),
        "status": event.status if code == external_events.OK else "failed",
        "code": code,
    }

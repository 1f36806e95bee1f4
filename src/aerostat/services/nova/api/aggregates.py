"""/os-aggregates: host aggregates, and with them availability zones."""

from typing import Annotated, Any

from msgspec import Meta

from aerostat.kit.clock import iso
from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Request, Routes
from aerostat.kit.http.schema import Body
from aerostat.services.nova import policies
from aerostat.services.nova.domain import aggregates
from aerostat.services.nova.domain.hosts import Aggregate, check_zone_name
from aerostat.services.nova.runtime import Nova

routes: Routes[Nova] = Routes("aggregate")
Name = Annotated[str, Meta(min_length=1, max_length=255)]


class AggregateBody(Body, kw_only=True):
    """One aggregate."""

    name: Name
    availability_zone: str | None = None


class AggregateCreate(Body):
    """POST /os-aggregates."""

    aggregate: AggregateBody


class AggregateChange(Body):
    """What may change of an aggregate."""

    name: Name | None = None
    availability_zone: str | None = None


class AggregateUpdate(Body):
    """PUT /os-aggregates/{id}."""

    aggregate: AggregateChange


def view(found: Aggregate) -> dict[str, Any]:
    """Return the newest form of an aggregate."""
    return {
        "aggregate": {
            "id": found.id,
            "uuid": found.uuid,
            "name": found.name,
            "availability_zone": found.metadata.get("availability_zone"),
            "hosts": found.hosts,
            "metadata": found.metadata,
            "created_at": iso(found.created_at, micros=True, zone=""),
            "updated_at": iso(found.updated_at, micros=True, zone=""),
            "deleted": False,
            "deleted_at": None,
        }
    }


@routes.get("/os-aggregates", policy=policies.AGGREGATES["index"])
async def index(nova: Nova, _req: Request[None]) -> dict[str, Any]:
    """List aggregates."""
    found = await aggregates.find(nova)
    return {"aggregates": [view(a)["aggregate"] for a in found]}


@routes.post(
    "/os-aggregates", policy=policies.AGGREGATES["create"], body=AggregateCreate, status=200
)
async def create(nova: Nova, req: Request[AggregateCreate]) -> dict[str, Any]:
    """Create an aggregate."""
    body = req.body.aggregate
    if body.name != body.name.strip():
        raise BadRequest("Invalid input for field/attribute name.", field="name")
    check_zone_name(body.availability_zone)
    made = view(await aggregates.create(nova, body.name, body.availability_zone))
    del made["aggregate"]["hosts"], made["aggregate"]["metadata"]  # As upstream shows a new one.
    return made


@routes.get("/os-aggregates/{aggregate_id}", policy=policies.AGGREGATES["show"])
async def show(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show an aggregate."""
    return view(await aggregates.get(nova, req.path["aggregate_id"]))


@routes.put(
    "/os-aggregates/{aggregate_id}", policy=policies.AGGREGATES["update"], body=AggregateUpdate
)
async def update(nova: Nova, req: Request[AggregateUpdate]) -> dict[str, Any]:
    """Rename an aggregate or make it another zone."""
    body = req.body.aggregate
    if body.name is None and body.availability_zone is None:
        raise BadRequest("name or availability_zone is required.", field="aggregate")
    check_zone_name(body.availability_zone)
    zone = {} if body.availability_zone is None else {"availability_zone": body.availability_zone}
    id_ = req.path["aggregate_id"]
    return view(await aggregates.change(nova, id_, name=body.name, metadata=zone))


@routes.delete("/os-aggregates/{aggregate_id}", policy=policies.AGGREGATES["delete"], status=200)
async def delete(nova: Nova, req: Request[None]) -> None:
    """Delete an aggregate without hosts."""
    await aggregates.delete(nova, req.path["aggregate_id"])


@routes.post(
    "/os-aggregates/{aggregate_id}/action", policy=None, body=dict[str, dict[str, Any]], status=200
)
async def action(nova: Nova, req: Request[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Add or remove a host, or set metadata."""
    if len(req.body) != 1:
        raise BadRequest("There is not exactly one action in the body.", field="body")
    name, arguments = next(iter(req.body.items()))
    id_ = req.path["aggregate_id"]
    if name not in ("add_host", "remove_host", "set_metadata"):
        raise BadRequest(f"There is no such action: {name}", field=name)
    req.enforce(policies.AGGREGATES[name])
    if name == "set_metadata":
        metadata = arguments.get("metadata")
        if not isinstance(metadata, dict):
            raise BadRequest("'metadata' is a required property", field="metadata")
        return view(await aggregates.change(nova, id_, metadata=metadata))
    host = arguments.get("host")
    if not isinstance(host, str) or not host:
        raise BadRequest("'host' is a required property", field="host")
    move = aggregates.add_host if name == "add_host" else aggregates.remove_host
    return view(await move(nova, id_, host))

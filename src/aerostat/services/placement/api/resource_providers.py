"""/resource_providers: list, create, show, update, delete."""

from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.microversion import Version
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.kit.ids import new_uuid
from aerostat.services.placement import policies
from aerostat.services.placement.domain import providers
from aerostat.services.placement.model.provider import Provider
from aerostat.services.placement.runtime import PlacementService
from aerostat.services.placement.schemas.bodies import ProviderCreate, ProviderUpdate
from aerostat.services.placement.schemas.queries import candidate_query

routes: Routes[PlacementService] = Routes("resource_providers")

ANYWHERE_SINCE = Version(1, 37)
RELS = ("inventories", "usages", "aggregates", "traits", "allocations")


def view(provider: Provider) -> dict[str, Any]:
    """Return the newest form of a provider."""
    url = f"/resource_providers/{provider.uuid}"
    links = [{"rel": "self", "href": url}]
    links += [{"rel": rel, "href": f"{url}/{rel}"} for rel in RELS]
    return {
        "uuid": provider.uuid,
        "name": provider.name,
        "generation": provider.generation,
        "parent_provider_uuid": provider.parent_uuid,
        "root_provider_uuid": provider.root_uuid,
        "links": links,
    }


@routes.get("/resource_providers", policy=policies.PROVIDERS["list"])
async def index(placement: PlacementService, req: Request[None]) -> dict[str, Any]:
    """List providers: by name, uuid, resources, traits, aggregates and tree."""
    known = {"name", "uuid", "member_of", "resources", "in_tree", "required"}
    if unknown := [n for n in req.query.names() if n not in known]:
        raise BadRequest(f"Invalid query string parameters: {unknown[0]}", field=unknown[0])
    query = candidate_query(req.query)
    name, uuid = req.query.get("name"), req.query.get("uuid")
    found = await providers.find(placement, name, uuid, query)
    return {"resource_providers": [view(p) for p in found]}


@routes.post(
    "/resource_providers", policy=policies.PROVIDERS["create"], body=ProviderCreate, until="1.19"
)
async def create_quietly(placement: PlacementService, req: Request[ProviderCreate]) -> Reply:
    """Create a provider; answers with its location only."""
    reply = await create(placement, req)
    return Reply(status=201, headers=reply.headers)


@routes.post(
    "/resource_providers",
    policy=policies.PROVIDERS["create"],
    body=ProviderCreate,
    since="1.20",
    status=200,
)
async def create(placement: PlacementService, req: Request[ProviderCreate]) -> Reply:
    """Create a provider."""
    body = req.body
    uuid = body.uuid or new_uuid()
    made = await providers.create(placement, uuid, body.name, body.parent_provider_uuid)
    return Reply(view(made), headers={"location": f"{req.base}/resource_providers/{made.uuid}"})


@routes.get("/resource_providers/{uuid}", policy=policies.PROVIDERS["show"])
async def show(placement: PlacementService, req: Request[None]) -> dict[str, Any]:
    """Show a provider."""
    return view(await providers.get(placement, req.path["uuid"]))


@routes.put("/resource_providers/{uuid}", policy=policies.PROVIDERS["update"], body=ProviderUpdate)
async def update(placement: PlacementService, req: Request[ProviderUpdate]) -> dict[str, Any]:
    """Rename a provider or give it a parent; from 1.37 on another one, or none."""
    uuid, body = req.path["uuid"], req.body
    anywhere = req.version >= ANYWHERE_SINCE
    parent = body.parent_provider_uuid
    return view(await providers.update(placement, uuid, body.name, parent, anywhere=anywhere))


@routes.delete("/resource_providers/{uuid}", policy=policies.PROVIDERS["delete"])
async def delete(placement: PlacementService, req: Request[None]) -> None:
    """Delete a provider that nothing is allocated from."""
    await providers.delete(placement, req.path["uuid"])

"""/traits, and the traits of a provider."""

from typing import Any

from aerostat.kit.errors import BadRequest, NotFound
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.placement import policies
from aerostat.services.placement.domain import names, providers
from aerostat.services.placement.runtime import PlacementService
from aerostat.services.placement.schemas.bodies import ProviderTraits

routes: Routes[PlacementService] = Routes("traits")
URL = "/resource_providers/{uuid}/traits"


@routes.get("/traits", policy=policies.TRAITS["list"], since="1.6")
async def index(placement: PlacementService, req: Request[None]) -> dict[str, Any]:
    """List traits, by name (in:, startswith:) and association."""
    found = await names.traits(placement, req.query.flag("associated") or None)
    asked = req.query.get("name", "") or ""
    kind, _, value = asked.partition(":")
    if kind == "in":
        found = [n for n in found if n in value.split(",")]
    elif kind == "startswith":
        found = [n for n in found if n.startswith(value)]
    elif asked:
        raise BadRequest("name must be in:... or startswith:...", field="name")
    return {"traits": found}


@routes.get("/traits/{name}", policy=policies.TRAITS["show"], since="1.6", status=204)
async def show(placement: PlacementService, req: Request[None]) -> None:
    """Tell whether a trait exists."""
    if req.path["name"] not in await names.traits(placement, None):
        raise NotFound(f"No such trait: {req.path['name']}")


@routes.put("/traits/{name}", policy=policies.TRAITS["update"], since="1.6")
async def create(placement: PlacementService, req: Request[None]) -> Reply:
    """Create a custom trait."""
    name = req.path["name"]
    if not names.CUSTOM.fullmatch(name):
        raise BadRequest(
            f"The trait {name} is invalid. A valid trait must start with CUSTOM_ and use the "
            "characters A-Z, 0-9 and _ only",
            field="name",
        )
    made = await names.create_trait(placement, name)
    return Reply(status=201 if made else 204, headers={"location": req.url})


@routes.delete("/traits/{name}", policy=policies.TRAITS["delete"], since="1.6")
async def delete(placement: PlacementService, req: Request[None]) -> None:
    """Delete a custom trait that no provider has."""
    await names.delete_trait(placement, req.path["name"])


def view(generation: int, found: list[str]) -> dict[str, Any]:
    """Return the newest form of a provider's traits."""
    return {"traits": found, "resource_provider_generation": generation}


@routes.get(URL, policy=policies.PROVIDER_TRAITS["list"], since="1.6")
async def of_provider(placement: PlacementService, req: Request[None]) -> dict[str, Any]:
    """List the traits of a provider."""
    provider, found = await providers.read(placement, req.path["uuid"], providers.traits_of)
    return view(provider.generation, found)


@routes.put(URL, policy=policies.PROVIDER_TRAITS["update"], body=ProviderTraits, since="1.6")
async def replace(placement: PlacementService, req: Request[ProviderTraits]) -> dict[str, Any]:
    """Make the traits of a provider exactly those of the body."""
    traits, generation = req.body.traits, req.body.resource_provider_generation
    now = await providers.set_traits(placement, req.path["uuid"], traits, generation)
    return view(now, sorted(set(traits)))


@routes.delete(URL, policy=policies.PROVIDER_TRAITS["delete"], since="1.6")
async def clear(placement: PlacementService, req: Request[None]) -> None:
    """Take all traits from a provider."""
    await providers.set_traits(placement, req.path["uuid"], [], None)

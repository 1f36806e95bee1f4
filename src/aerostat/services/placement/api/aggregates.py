"""/resource_providers/{uuid}/aggregates."""

from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Request, Routes
from aerostat.services.placement import policies
from aerostat.services.placement.domain import providers
from aerostat.services.placement.runtime import PlacementService
from aerostat.services.placement.schemas.bodies import Aggregates, Uuid

routes: Routes[PlacementService] = Routes("aggregates")
URL = "/resource_providers/{uuid}/aggregates"


def view(generation: int, found: list[str]) -> dict[str, Any]:
    """Return the newest form of a provider's aggregates."""
    return {"aggregates": found, "resource_provider_generation": generation}


@routes.get(URL, policy=policies.AGGREGATES["list"], since="1.1")
async def index(placement: PlacementService, req: Request[None]) -> dict[str, Any]:
    """List the aggregates of a provider."""
    provider, found = await providers.read(placement, req.path["uuid"], providers.aggregates_of)
    return view(provider.generation, found)


async def _set(
    placement: PlacementService, req: Request[Any], uuids: list[str], generation: int | None
) -> dict[str, Any]:
    if len(set(uuids)) != len(uuids):
        raise BadRequest("aggregates has non-unique elements", field="aggregates")
    return view(
        await providers.set_aggregates(placement, req.path["uuid"], uuids, generation),
        sorted(uuids),
    )


@routes.put(URL, policy=policies.AGGREGATES["update"], body=list[Uuid], since="1.1", until="1.18")
async def replace_blindly(placement: PlacementService, req: Request[list[str]]) -> dict[str, Any]:
    """Make the aggregates exactly those of the body, a bare list, whatever the generation."""
    return await _set(placement, req, req.body, None)


@routes.put(URL, policy=policies.AGGREGATES["update"], body=Aggregates, since="1.19")
async def replace(placement: PlacementService, req: Request[Aggregates]) -> dict[str, Any]:
    """Make the aggregates exactly those of the body."""
    generation = req.body.resource_provider_generation
    if generation is None:
        raise BadRequest(
            "'resource_provider_generation' is a required property",
            field="resource_provider_generation",
        )
    return await _set(placement, req, req.body.aggregates, generation)

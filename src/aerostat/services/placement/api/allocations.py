"""/allocations of consumers and of providers."""

from typing import Any

from aerostat.kit.errors import BadRequest, NotFound
from aerostat.kit.http.route import Request, Routes
from aerostat.kit.ids import is_uuid
from aerostat.services.placement import policies
from aerostat.services.placement.domain import consumers
from aerostat.services.placement.domain.allocations import Claim
from aerostat.services.placement.runtime import PlacementService
from aerostat.services.placement.schemas.bodies import Allocations, Uuid

routes: Routes[PlacementService] = Routes()


def claim(uuid: str, body: Allocations) -> Claim:
    """Return what a body asks for."""
    return Claim(
        consumer_uuid=uuid,
        holdings={p: h.resources for p, h in body.allocations.items()},
        project_id=body.project_id,
        user_id=body.user_id,
        consumer_type=body.consumer_type,
        generation=body.consumer_generation,
    )


@routes.get(
    "/allocations/{consumer_uuid}", policy=policies.ALLOCATIONS["list"], tags=("allocation",)
)
async def show(placement: PlacementService, req: Request[None]) -> dict[str, Any]:
    """Show what a consumer holds."""
    return await consumers.show(placement, req.path["consumer_uuid"])


@routes.put(
    "/allocations/{consumer_uuid}",
    policy=policies.ALLOCATIONS["update"],
    body=Allocations,
    status=204,
    tags=("allocation",),
)
async def replace(placement: PlacementService, req: Request[Allocations]) -> None:
    """Make a consumer hold exactly the body."""
    uuid = req.path["consumer_uuid"]
    if not is_uuid(uuid):
        raise BadRequest(f"Malformed consumer uuid {uuid}", field="consumer_uuid")
    await consumers.replace(placement, [claim(uuid, req.body)])


@routes.delete("/allocations/{consumer_uuid}", policy=policies.ALLOCATIONS["delete"])
async def delete(placement: PlacementService, req: Request[None]) -> None:
    """Release a consumer."""
    uuid = req.path["consumer_uuid"]
    if not await consumers.delete(placement, uuid):
        raise NotFound(f"No allocations for consumer '{uuid}'")


@routes.post(
    "/allocations",
    policy=policies.ALLOCATIONS["manage"],
    body=dict[Uuid, Allocations],
    since="1.13",
    status=204,
)
async def manage(placement: PlacementService, req: Request[dict[str, Allocations]]) -> None:
    """Replace what many consumers hold, all or nothing."""
    await consumers.replace(placement, [claim(u, body) for u, body in req.body.items()])


@routes.get(
    "/resource_providers/{uuid}/allocations",
    policy=policies.PROVIDER_ALLOCATIONS,
    tags=("provider_allocations",),
)
async def of_provider(placement: PlacementService, req: Request[None]) -> dict[str, Any]:
    """Show who holds what of a provider."""
    return await consumers.of_provider(placement, req.path["uuid"])

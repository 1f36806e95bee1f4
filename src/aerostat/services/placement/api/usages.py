"""/usages of a project, and of a provider."""

from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Request, Routes
from aerostat.services.placement import policies
from aerostat.services.placement.domain import consumers, providers
from aerostat.services.placement.runtime import PlacementService

routes: Routes[PlacementService] = Routes("usages")


@routes.get("/resource_providers/{uuid}/usages", policy=policies.PROVIDER_USAGES["usages"], tags=())
async def of_provider(placement: PlacementService, req: Request[None]) -> dict[str, Any]:
    """Show what is used of a provider."""
    uuid = req.path["uuid"]
    provider, inventories = await providers.read(placement, uuid, providers.inventories)
    _, used = await providers.read(placement, uuid, providers.used)
    return {
        "resource_provider_generation": provider.generation,
        "usages": {name: used.get(name, 0) for name in inventories},
    }


@routes.get("/usages", policy=None, since="1.9", tags=("project_usages",))
async def of_project(placement: PlacementService, req: Request[None]) -> dict[str, Any]:
    """Show what a project (or a user in it) uses."""
    project_id = req.query.get("project_id")
    if not project_id:
        raise BadRequest("'project_id' is a required property", field="project_id")
    req.enforce(policies.USAGES, {"project_id": project_id})
    user_id, kind = req.query.get("user_id"), req.query.get("consumer_type")
    return {"usages": await consumers.usages(placement, project_id, user_id, kind)}

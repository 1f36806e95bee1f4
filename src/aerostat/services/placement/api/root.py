"""/: the versions that this API has."""

from typing import Any

from aerostat.kit.http.route import Request, Routes
from aerostat.services.placement.runtime import PlacementService
from aerostat.services.placement.versions import VERSIONS

routes: Routes[PlacementService] = Routes("root")


@routes.get("", policy=None, public=True)
async def show(_placement: PlacementService, _req: Request[None]) -> dict[str, Any]:
    """Show the versions."""
    version = {
        "id": "v1.0",
        "max_version": str(VERSIONS.newest),
        "min_version": str(VERSIONS.least),
        "status": "CURRENT",
        "links": [{"rel": "self", "href": ""}],
    }
    return {"versions": [version]}

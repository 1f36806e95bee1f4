"""/ and /versions: the versions that this API has."""

from typing import Any

from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.glance.runtime import Glance
from aerostat.services.glance.versions import VERSIONS

routes: Routes[Glance] = Routes("root")


def _document(base: str) -> dict[str, Any]:
    return {
        "versions": [
            {
                "id": version,
                "status": "SUPPORTED" if i else "CURRENT",
                "links": [{"rel": "self", "href": f"{base}/v2/"}],
            }
            for i, version in enumerate(VERSIONS)
        ]
    }


@routes.get("", policy=None, public=True, status=300)
async def choices(_glance: Glance, req: Request[None]) -> Reply:
    """Show the versions to choose from."""
    return Reply(_document(req.base))


@routes.get("/versions", policy=None, public=True)
async def versions(_glance: Glance, req: Request[None]) -> Reply:
    """Show the versions."""
    return Reply(_document(req.base))


@routes.get("/v2", policy=None, public=True, status=300)
async def choices_of_2(_glance: Glance, req: Request[None]) -> Reply:
    """Show the versions to choose from."""
    return Reply(_document(req.base))

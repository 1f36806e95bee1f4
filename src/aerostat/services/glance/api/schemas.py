"""/v2/schemas: what documents of this API look like."""

from typing import Any

from aerostat.kit.errors import NotFound
from aerostat.kit.http.route import Request, Routes
from aerostat.services.glance.runtime import Glance
from aerostat.services.glance.schemas import documents, metadefs

routes: Routes[Glance] = Routes("schemas")


@routes.get("/schemas/{name}", policy=None)
async def show(glance: Glance, req: Request[None]) -> dict[str, Any]:
    """Show a schema."""
    found = documents.every(glance.config).get(req.path["name"])
    if found is None:
        raise NotFound(f"No schema named {req.path['name']}.")
    return found


@routes.get("/schemas/metadefs/{name}", policy=None)
async def show_metadef(_glance: Glance, req: Request[None]) -> dict[str, Any]:
    """Show a schema of the metadata definition catalogue."""
    found = metadefs.every().get(req.path["name"])
    if found is None:
        raise NotFound(f"No schema named {req.path['name']}.")
    return found

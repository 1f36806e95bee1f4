"""/allocation_candidates: who can take a request."""

from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Request, Routes
from aerostat.services.placement import policies
from aerostat.services.placement.domain import candidates
from aerostat.services.placement.runtime import PlacementService
from aerostat.services.placement.schemas.queries import candidate_query

routes: Routes[PlacementService] = Routes("candidates")

KNOWN = {"resources", "required", "member_of", "in_tree", "limit", "group_policy"}


@routes.get("/allocation_candidates", policy=policies.CANDIDATES, since="1.10")
async def index(placement: PlacementService, req: Request[None]) -> dict[str, Any]:
    """List allocation requests that would succeed, with summaries of their providers."""
    if unknown := [n for n in req.query.names() if n not in KNOWN]:
        raise BadRequest(f"Invalid query string parameters: {unknown[0]}", field=unknown[0])
    query = candidate_query(req.query)
    if not query.amounts:
        raise BadRequest("'resources' is a required property", field="resources")
    return await placement.db.read(candidates.candidates, query)

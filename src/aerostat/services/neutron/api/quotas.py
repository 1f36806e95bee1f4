"""/quotas: limits of projects and what they use."""

from typing import Any

from aerostat.kit.errors import BadRequest, NotFound
from aerostat.kit.http.route import Request, Routes
from aerostat.services.neutron import policies
from aerostat.services.neutron.api.resources import call_of
from aerostat.services.neutron.domain import quotas
from aerostat.services.neutron.runtime import NeutronService
from aerostat.services.neutron.schemas.checks import integer

routes: Routes[NeutronService] = Routes("quotas")
GET, UPDATE = policies.BY_NAME["get_quota"], policies.BY_NAME["update_quota"]
MOST = 2147483647
NO_LIMITS = {"tenant_id", "project_id", "force", "check_limit"}
"""Keys of a change that are no resources. Limits are checked without `check_limit` too."""


@routes.get("/quotas", policy=UPDATE)
async def index(neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
    """List the projects with limits of their own."""
    call = call_of(neutron, req)
    out = []
    for project_id in await neutron.db.read(quotas.overridden):
        limits = await neutron.db.read(quotas.limits, call, project_id)
        out.append({**limits, "project_id": project_id, "tenant_id": project_id})
    return {"quotas": out}


def _own(key: str) -> None:
    @routes.get(f"/quotas/{key}", policy=None)
    async def own(_neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
        """Show the caller's project."""
        return {key: {f"{key}_id": req.ctx.project_id}}


_own("tenant")
_own("project")


@routes.get("/quotas/{id}", policy=None)
async def show(neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
    """Show a project's limits."""
    req.enforce(GET, {"project_id": req.path["id"]})
    return {"quota": await neutron.db.read(quotas.limits, call_of(neutron, req), req.path["id"])}


@routes.get("/quotas/{id}/default", policy=None)
async def default(neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
    """Show the limits that projects have by default."""
    req.enforce(GET, {"project_id": req.path["id"]})
    return {"quota": dict(neutron.config.quotas)}


async def _details(neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
    """Show limits, uses and reservations."""
    req.enforce(GET, {"project_id": req.path["id"]})
    return {"quota": await neutron.db.read(quotas.details, call_of(neutron, req), req.path["id"])}


routes.get("/quotas/{id}/details", policy=None)(_details)
routes.get("/quotas/{id}/details.json", policy=None)(_details)


@routes.put("/quotas/{id}", policy=UPDATE, body=dict[str, Any])
async def update(neutron: NeutronService, req: Request[dict[str, Any]]) -> dict[str, Any]:
    """Set some limits of a project; none below what it uses, unless `force` says so."""
    given = req.body.get("quota")
    if not isinstance(given, dict):
        raise BadRequest("Unable to find 'quota' in request body")
    values: dict[str, int] = {}
    for name, value in given.items():
        if name in NO_LIMITS:
            continue
        if name not in neutron.config.quotas:
            raise BadRequest(f"Unrecognized attribute(s) '{name}'", field=name)
        try:
            values[name] = integer(-1, MOST)(value)
        except ValueError as why:
            raise BadRequest(f"Invalid input for {name}. Reason: {why}.", field=name) from why
    await neutron.db.write(quotas.put, req.path["id"], values, given.get("force") is True)
    return {"quota": await neutron.db.read(quotas.limits, call_of(neutron, req), req.path["id"])}


@routes.delete("/quotas/{id}", policy=policies.BY_NAME["delete_quota"])
async def delete(neutron: NeutronService, req: Request[None]) -> None:
    """Go back to the default limits."""
    if not await neutron.db.write(quotas.reset, req.path["id"]):
        raise NotFound(
            f"Quota for tenant {req.path['id']} could not be found.", code="TenantQuotaNotFound"
        )

"""/v3/registered_limits and /v3/limits"""

from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import limits, nouns
from aerostat.services.keystone.model.limits import MODELS, Limit, RegisteredLimit
from aerostat.services.keystone.policies import target
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.fields import given
from aerostat.services.keystone.schemas.secrets import (
    LimitsCreate,
    LimitUpdate,
    RegisteredLimitsCreate,
    RegisteredLimitUpdate,
)

routes: Routes[Keystone] = Routes("limits")

DEFAULT = "/registered_limits/{registered_limit_id}"
FILTERS = ("service_id", "region_id", "resource_name")


def default_view(req: Request[Any], item: RegisteredLimit) -> Document:
    """Return a registered limit as shown."""
    return views.plain(req, "registered_limits", item, "region_id")


def view(req: Request[Any], item: Limit) -> Document:
    """Return a limit as shown."""
    return views.plain(req, "limits", item, "region_id", "project_id", "domain_id")


@routes.get("/registered_limits", policy=policies.LIST_REGISTERED_LIMITS)
async def defaults(keystone: Keystone, req: Request[None]) -> Document:
    """List registered limits."""
    wanted = views.listing(keystone, req, *FILTERS)
    found = await nouns.listed(keystone, nouns.registered_limits, wanted)
    return views.collection(req, "registered_limits", found, default_view, wanted)


@routes.post(
    "/registered_limits", policy=policies.CREATE_REGISTERED_LIMITS, body=RegisteredLimitsCreate
)
async def register(keystone: Keystone, req: Request[RegisteredLimitsCreate]) -> Document:
    """Register limits."""
    items = [
        RegisteredLimit(
            id=keystone.ids(),
            service_id=b.service_id,
            region_id=b.region_id or "",
            resource_name=b.resource_name,
            default_limit=b.default_limit,
            description=b.description,
        )
        for b in req.body.registered_limits
    ]
    made = await limits.register(keystone, items)
    return {"registered_limits": [default_view(req, item) for item in made]}


@routes.get(DEFAULT, policy=policies.GET_REGISTERED_LIMIT)
async def default(keystone: Keystone, req: Request[None]) -> Document:
    """Show a registered limit."""
    limit_id = req.path["registered_limit_id"]
    found = await nouns.find(keystone, nouns.registered_limits, limit_id)
    return {"registered_limit": default_view(req, found)}


@routes.patch(DEFAULT, policy=policies.UPDATE_REGISTERED_LIMIT, body=RegisteredLimitUpdate)
async def change_default(keystone: Keystone, req: Request[RegisteredLimitUpdate]) -> Document:
    """Change a registered limit."""
    changes = given(req.body.registered_limit, least=0)
    found = await limits.change_default(keystone, req.path["registered_limit_id"], changes)
    return {"registered_limit": default_view(req, found)}


@routes.delete(DEFAULT, policy=policies.DELETE_REGISTERED_LIMIT)
async def unregister(keystone: Keystone, req: Request[None]) -> None:
    """Delete a registered limit."""
    await limits.unregister(keystone, req.path["registered_limit_id"])


@routes.get("/limits/model", policy=policies.GET_LIMIT_MODEL)
async def model(keystone: Keystone, _req: Request[None]) -> Document:
    """Show how limits of a tree relate."""
    name = keystone.config.enforcement_model
    return {"model": {"name": name, "description": MODELS[name]}}


@routes.get("/limits", policy=policies.LIST_LIMITS)
async def index(keystone: Keystone, req: Request[None]) -> Document:
    """List limits: administrators and services see all, others those of their project or domain."""
    wanted = views.listing(keystone, req, *FILTERS, "project_id", "domain_id")
    ctx, where = req.ctx, []
    if not (ctx.system_scope or {"admin", "service"} & set(ctx.roles)):
        where.append(limits.of_scope(ctx.project_id, ctx.domain_id))
    found = await nouns.listed(keystone, nouns.limits, wanted, *where)
    return views.collection(req, "limits", found, view, wanted)


async def _target(keystone: Keystone, item: Limit) -> Document:
    project = await nouns.look(keystone, nouns.projects, item.project_id)
    return target(
        limit__domain__id=item.domain_id,
        limit__project_id=item.project_id,
        limit__project__domain_id=project.domain_id if project else "",
    )


@routes.post("/limits", policy=policies.CREATE_LIMITS, body=LimitsCreate)
async def create(keystone: Keystone, req: Request[LimitsCreate]) -> Document:
    """Create limits."""
    items = []
    for b in req.body.limits:
        if bool(b.project_id) == bool(b.domain_id):
            raise BadRequest("A limit is of a project or of a domain.", field="project_id")
        row = Limit(
            id=keystone.ids(),
            project_id=b.project_id or "",
            domain_id=b.domain_id or "",
            service_id=b.service_id,
            region_id=b.region_id or "",
            resource_name=b.resource_name,
            resource_limit=b.resource_limit,
            description=b.description,
        )
        items.append(row)
    made = await limits.create(keystone, items)
    return {"limits": [view(req, item) for item in made]}


@routes.get("/limits/{limit_id}", policy=None)
async def show(keystone: Keystone, req: Request[None]) -> Document:
    """Show a limit."""
    found = await nouns.look(keystone, nouns.limits, req.path["limit_id"])
    req.enforce(policies.GET_LIMIT, await _target(keystone, found) if found else {})
    if found is None:
        raise nouns.limits.missing(req.path["limit_id"])
    return {"limit": view(req, found)}


@routes.patch("/limits/{limit_id}", policy=policies.UPDATE_LIMIT, body=LimitUpdate)
async def update(keystone: Keystone, req: Request[LimitUpdate]) -> Document:
    """Change a limit."""
    changes = given(req.body.limit, least=0)
    found = await limits.change(keystone, req.path["limit_id"], changes)
    return {"limit": view(req, found)}


@routes.delete("/limits/{limit_id}", policy=policies.DELETE_LIMIT)
async def delete(keystone: Keystone, req: Request[None]) -> None:
    """Delete a limit."""
    await nouns.remove(keystone, nouns.limits, req.path["limit_id"])

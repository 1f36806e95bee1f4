"""/v3/domains"""

from typing import Any

from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import nouns, projects
from aerostat.services.keystone.model.actors import NO_DOMAIN, Project
from aerostat.services.keystone.policies import target
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.actors import DomainCreate, DomainUpdate
from aerostat.services.keystone.schemas.fields import given

routes: Routes[Keystone] = Routes("domains")


async def seen(keystone: Keystone, req: Request[Any], rule: Rule) -> Project:
    """Return the domain of the path if `rule` lets the caller. Raises: Forbidden, NotFound."""
    req.enforce(rule, target(domain__id=req.path["domain_id"]))
    return await projects.domain(keystone, req.path["domain_id"])


@routes.get("/domains", policy=None)
async def index(keystone: Keystone, req: Request[None]) -> Document:
    """List domains; with a domain's scope only that one."""
    req.enforce(policies.LIST_DOMAINS, target(domain__id=req.ctx.domain_id))
    wanted = views.listing(keystone, req, "name", "enabled", "id")
    where: list[Any] = [projects.C.is_domain.is_(True)]
    if req.ctx.domain_id:
        where.append(projects.C.id == req.ctx.domain_id)
    found = await nouns.listed(keystone, nouns.domains, wanted, *where)
    return views.collection(req, "domains", found, views.domain, wanted)


@routes.post("/domains", policy=policies.CREATE_DOMAIN, body=DomainCreate)
async def create(keystone: Keystone, req: Request[DomainCreate]) -> Document:
    """Create a domain."""
    body = req.body.domain
    row = Project(
        id=body.explicit_domain_id or keystone.ids(),
        name=body.name,
        domain_id=NO_DOMAIN,
        parent_id="",
        is_domain=True,
        enabled=body.enabled,
        description=body.description or "",
        tags=body.tags,
        options=body.options,
        extra=body.extra,
    )
    return {"domain": views.domain(req, await projects.create(keystone, row))}


@routes.get("/domains/{domain_id}", policy=None)
async def show(keystone: Keystone, req: Request[None]) -> Document:
    """Show a domain."""
    return {"domain": views.domain(req, await seen(keystone, req, policies.GET_DOMAIN))}


@routes.patch("/domains/{domain_id}", policy=None, body=DomainUpdate)
async def update(keystone: Keystone, req: Request[DomainUpdate]) -> Document:
    """Change a domain; one that is disabled lets nobody in."""
    await projects.domain(keystone, req.path["domain_id"])  # 404 for everybody, as upstream.
    domain = await seen(keystone, req, policies.UPDATE_DOMAIN)
    changes = given(req.body.domain)
    return {"domain": views.domain(req, await projects.update(keystone, domain.id, changes))}


@routes.delete("/domains/{domain_id}", policy=None)
async def delete(keystone: Keystone, req: Request[None]) -> None:
    """Delete a disabled domain with all that is in it."""
    domain = await seen(keystone, req, policies.DELETE_DOMAIN)
    await projects.delete_domain(keystone, domain.id)

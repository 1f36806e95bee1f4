"""/v3/roles and what roles imply"""

from typing import Any

from aerostat.kit.errors import NotFound
from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import nouns, roles
from aerostat.services.keystone.model.roles import Role
from aerostat.services.keystone.policies import target
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.fields import given
from aerostat.services.keystone.schemas.roles import RoleCreate, RoleUpdate

routes: Routes[Keystone] = Routes("roles")


async def seen(keystone: Keystone, req: Request[Any], rule: Rule, domain_rule: Rule) -> Role:
    """Return the role of the path if its rule lets the caller. Raises: Forbidden, NotFound."""
    role_id = req.path["role_id"]
    role = await nouns.look(keystone, nouns.roles, role_id)
    if role is None:
        raise nouns.roles.missing(role_id)
    if role.domain_id:
        req.enforce(domain_rule, target(role__domain_id=role.domain_id))
    else:
        req.enforce(rule, target(role__name=role.name))
    return role


@routes.get("/roles", policy=None)
async def index(keystone: Keystone, req: Request[None]) -> Document:
    """List roles: global ones, or those of one domain."""
    domain_id = req.query.get("domain_id") or ""
    if domain_id:
        req.enforce(policies.LIST_DOMAIN_ROLES, target(role__domain_id=domain_id))
    else:
        req.enforce(policies.LIST_ROLES)
    wanted = views.listing(keystone, req, "name", "id")
    found = await nouns.listed(keystone, nouns.roles, wanted, roles.C.domain_id == domain_id)
    return views.collection(req, "roles", found, views.role, wanted)


@routes.post("/roles", policy=None, body=RoleCreate)
async def create(keystone: Keystone, req: Request[RoleCreate]) -> Document:
    """Create a role."""
    body = req.body.role
    req.enforce(policies.CREATE_DOMAIN_ROLE if body.domain_id else policies.CREATE_ROLE)
    about = body.description or ""
    row = Role(keystone.ids(), body.name, body.domain_id or "", about, body.options, body.extra)
    return {"role": views.role(req, await roles.create(keystone, row))}


@routes.get("/roles/{role_id}", policy=None)
async def show(keystone: Keystone, req: Request[None]) -> Document:
    """Show a role."""
    role = await seen(keystone, req, policies.GET_ROLE, policies.GET_DOMAIN_ROLE)
    return {"role": views.role(req, role)}


@routes.patch("/roles/{role_id}", policy=None, body=RoleUpdate)
async def update(keystone: Keystone, req: Request[RoleUpdate]) -> Document:
    """Change a role."""
    role = await seen(keystone, req, policies.UPDATE_ROLE, policies.UPDATE_DOMAIN_ROLE)
    changes = given(req.body.role)
    return {"role": views.role(req, await roles.update(keystone, role.id, changes))}


@routes.delete("/roles/{role_id}", policy=None)
async def delete(keystone: Keystone, req: Request[None]) -> None:
    """Delete a role and every assignment of it."""
    role = await seen(keystone, req, policies.DELETE_ROLE, policies.DELETE_DOMAIN_ROLE)
    await roles.delete(keystone, role.id)


def _brief(req: Request[Any], role: Role) -> Document:
    links = {"self": views.link(req, f"/roles/{role.id}")}
    return {"id": role.id, "name": role.name, "links": links}


async def _pair(keystone: Keystone, req: Request[Any]) -> tuple[Role, Role]:
    prior = await nouns.find(keystone, nouns.roles, req.path["role_id"])
    implied = await nouns.find(keystone, nouns.roles, req.path["implied_role_id"])
    return prior, implied


def _inference(req: Request[Any], prior: Role, implied: Role) -> Document:
    rule = {"prior_role": _brief(req, prior), "implies": _brief(req, implied)}
    path = f"/roles/{prior.id}/implies/{implied.id}"
    return {"role_inference": rule, "links": {"self": views.link(req, path)}}


@routes.get("/roles/{role_id}/implies", policy=policies.LIST_IMPLIED_ROLES)
async def implied(keystone: Keystone, req: Request[None]) -> Document:
    """List what a role implies."""
    prior = await nouns.find(keystone, nouns.roles, req.path["role_id"])
    graph = await roles.graph(keystone)
    found = [_brief(req, graph.roles[r]) for r in graph.implied.get(prior.id, ())]
    rule = {"prior_role": _brief(req, prior), "implies": found}
    links = {"self": views.link(req, f"/roles/{prior.id}/implies")}
    return {"role_inference": rule, "links": links}


@routes.put(
    "/roles/{role_id}/implies/{implied_role_id}", policy=policies.CREATE_IMPLIED_ROLE, status=201
)
async def imply(keystone: Keystone, req: Request[None]) -> Document:
    """Make a role imply another."""
    prior, implied = await _pair(keystone, req)
    await roles.imply(keystone, prior.id, implied.id)
    return _inference(req, prior, implied)


@routes.get("/roles/{role_id}/implies/{implied_role_id}", policy=policies.GET_IMPLIED_ROLE)
async def implies(keystone: Keystone, req: Request[None]) -> Reply:
    """Show an implication."""
    prior, implied = await _pair(keystone, req)
    if implied.id not in (await roles.graph(keystone)).implied.get(prior.id, ()):
        raise NotFound(f"{prior.id} does not imply {implied.id}.")
    if req.method == "HEAD":
        return Reply(status=204)
    return Reply(_inference(req, prior, implied))


@routes.delete("/roles/{role_id}/implies/{implied_role_id}", policy=policies.DELETE_IMPLIED_ROLE)
async def unimply(keystone: Keystone, req: Request[None]) -> None:
    """End an implication."""
    prior, implied = await _pair(keystone, req)
    await roles.unimply(keystone, prior.id, implied.id)


@routes.get("/role_inferences", policy=policies.LIST_ROLE_INFERENCE_RULES)
async def inferences(keystone: Keystone, req: Request[None]) -> Document:
    """List every implication."""
    graph = await roles.graph(keystone)
    rules = [
        {
            "prior_role": _brief(req, graph.roles[prior]),
            "implies": [_brief(req, graph.roles[r]) for r in implied],
        }
        for prior, implied in graph.implied.items()
    ]
    return {"role_inferences": rules, "links": {"self": req.url}}

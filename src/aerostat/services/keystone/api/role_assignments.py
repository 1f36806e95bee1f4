"""/v3/role_assignments"""

from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import nouns, role_assignments
from aerostat.services.keystone.domain.role_assignments import Entry, Found, Names, Wanted
from aerostat.services.keystone.model.roles import Assignment
from aerostat.services.keystone.model.tokens import SYSTEM_TARGET
from aerostat.services.keystone.policies import target
from aerostat.services.keystone.runtime import Keystone

routes: Routes[Keystone] = Routes("role_assignments")


@routes.get("/role_assignments", policy=None)
async def index(keystone: Keystone, req: Request[None]) -> Document:
    """List role assignments, as given or as they take effect."""
    wanted = _wanted(req)
    tree = _flag(req, "include_subtree")
    if tree:
        project_id = req.query.get("scope.project.id") or ""
        if not project_id:
            raise BadRequest("scope.project.id must be specified if include_subtree is used.")
        project = await nouns.look(keystone, nouns.projects, project_id)
        about = target(target__domain_id=project.domain_id if project else "")
        req.enforce(policies.LIST_ROLE_ASSIGNMENTS_FOR_TREE, about)
        from msgspec.structs import replace

        wanted = replace(wanted, targets=await role_assignments.subtree(keystone, project_id))
    else:
        about = target(target__domain_id=req.ctx.domain_id)
        req.enforce(policies.LIST_ROLE_ASSIGNMENTS, about)
    found = await role_assignments.listed(keystone, wanted)
    if req.ctx.domain_id and not tree:
        found = await _within(keystone, found, req.ctx.domain_id)
    shown = [_shown(req, e, found.names) for e in found.entries]
    links = {"next": None, "previous": None, "self": req.url}
    return {"role_assignments": shown, "links": links}


async def _within(keystone: Keystone, found: Found, domain_id: str) -> Found:
    ids = {e.shown.target_id for e in found.entries}
    places = await nouns.among(keystone, nouns.projects, list(ids))
    mine = {p.id for p in places if domain_id in (p.id, p.domain_id)}
    return Found([e for e in found.entries if e.shown.target_id in mine], found.names)


def _flag(req: Request[Any], name: str) -> bool:
    value = req.query.get(name)
    return value is not None and value.lower() not in ("0", "false", "f", "no", "n", "off")


def _wanted(req: Request[Any]) -> Wanted:
    query = req.query
    project, domain = query.get("scope.project.id"), query.get("scope.domain.id")
    effective = _flag(req, "effective")
    inherited_to = query.get("scope.OS-INHERIT:inherited_to")
    if sum(map(bool, (project, domain, query.get("scope.system")))) > 1:
        raise BadRequest("Specify a domain or project, not both")
    if query.get("user.id") and query.get("group.id"):
        raise BadRequest("Specify a user or group, not both")
    if effective and query.get("group.id"):
        raise BadRequest(
            "Combining effective and group filter will always result in an empty list."
        )
    if effective and inherited_to:
        raise BadRequest(
            "Combining effective mode and OS-INHERIT filter will always result in an empty list."
        )
    if inherited_to not in (None, "projects"):
        raise BadRequest("Invalid value of scope.OS-INHERIT:inherited_to.")
    kind = "project" if project else "domain" if domain else "system"
    one = project or domain or (SYSTEM_TARGET if "scope.system" in query else "")
    return Wanted(
        user_id=query.get("user.id") or "",
        group_id=query.get("group.id") or "",
        role_id=query.get("role.id") or "",
        target_kind=kind if one else "",
        targets=(one,) if one else (),
        inherited=True if inherited_to else None,
        effective=effective,
        names=_flag(req, "include_names"),
    )


def _shown(req: Request[Any], entry: Entry, names: Names | None) -> Document:
    a = entry.shown
    place: Document = {"system": {"all": True}}
    if a.target_kind != "system":
        place = {a.target_kind: _named(a.target_id, names, "projects")}
    if a.inherited:
        place["OS-INHERIT:inherited_to"] = "projects"
    links = {"assignment": views.link(req, _path(entry.origin))}
    if entry.origin.actor_kind == "group" and a.actor_kind == "user":
        path = f"/groups/{entry.origin.actor_id}/users/{a.actor_id}"
        links["membership"] = views.link(req, path)
    if entry.prior_role_id:
        path = f"/roles/{entry.prior_role_id}/implies/{a.role_id}"
        links["prior_role"] = views.link(req, path)
    return {
        "role": _named(a.role_id, names, "roles"),
        a.actor_kind: _named(a.actor_id, names, f"{a.actor_kind}s"),
        "scope": place,
        "links": links,
    }


def _named(item_id: str, names: Names | None, kind: str) -> Document:
    found = getattr(names, kind).get(item_id) if names else None
    if found is None or names is None:
        return {"id": item_id}
    shown: Document = {"id": item_id, "name": found.name}
    domain = names.projects.get(found.domain_id)
    if domain is not None:
        shown["domain"] = {"id": domain.id, "name": domain.name}
    return shown


def _path(a: Assignment) -> str:
    place = "/system" if a.target_kind == "system" else f"/{a.target_kind}s/{a.target_id}"
    path = f"{place}/{a.actor_kind}s/{a.actor_id}/roles/{a.role_id}"
    return f"/OS-INHERIT{path}/inherited_to_projects" if a.inherited else path

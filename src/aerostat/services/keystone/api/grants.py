"""Roles of users and groups on projects, domains and the system."""

from typing import Any

from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import assignments, identity, nouns
from aerostat.services.keystone.model.actors import Group, User
from aerostat.services.keystone.model.roles import Assignment
from aerostat.services.keystone.model.tokens import SYSTEM_TARGET
from aerostat.services.keystone.policies import target
from aerostat.services.keystone.runtime import Keystone

routes: Routes[Keystone] = Routes("grants")


def _assignment(req: Request[Any]) -> Assignment:
    path = req.path
    actor = "user" if "user_id" in path else "group"
    kind = next((k for k in ("project", "domain") if f"{k}_id" in path), "system")
    return Assignment(
        actor_kind=actor,
        actor_id=path[f"{actor}_id"],
        target_kind=kind,
        target_id=path.get(f"{kind}_id", SYSTEM_TARGET),
        role_id=path.get("role_id", ""),
        inherited=req.url.endswith("inherited_to_projects"),
    )


async def _enforce(keystone: Keystone, req: Request[Any], verb: str, rule: Rule) -> Assignment:
    wanted = _assignment(req)
    if wanted.target_kind == "system":
        req.enforce(policies.SYSTEM_GRANTS[verb, wanted.actor_kind])
        return wanted
    find = identity.user if wanted.actor_kind == "user" else identity.group
    actor: User | Group | None = await find(keystone, wanted.actor_id)
    place = await nouns.look(keystone, nouns.projects, wanted.target_id)
    role = await nouns.look(keystone, nouns.roles, wanted.role_id)
    about = target(role__name=role.name if role else "")
    about["target.role.domain_id"] = role.domain_id or None if role else ""
    if actor is not None:
        about[f"target.{wanted.actor_kind}.domain_id"] = actor.domain_id
    if place is not None and place.is_domain:
        about["target.domain.id"] = place.id
    elif place is not None:
        about["target.project.domain_id"] = place.domain_id
    req.enforce(rule, about)
    return wanted


async def index(keystone: Keystone, req: Request[None]) -> Document:
    """List the roles of an actor on a target."""
    wanted = await _enforce(keystone, req, "list", policies.LIST_GRANTS)
    return views.collection(req, "roles", await assignments.given(keystone, wanted), views.role)


async def check(keystone: Keystone, req: Request[None]) -> None:
    """Tell whether an actor was given a role on a target."""
    await assignments.check(keystone, await _enforce(keystone, req, "check", policies.CHECK_GRANT))


async def grant(keystone: Keystone, req: Request[None]) -> None:
    """Give an actor a role on a target."""
    wanted = await _enforce(keystone, req, "create", policies.CREATE_GRANT)
    await assignments.grant(keystone, wanted)


async def revoke(keystone: Keystone, req: Request[None]) -> None:
    """Take a role on a target from an actor."""
    wanted = await _enforce(keystone, req, "revoke", policies.REVOKE_GRANT)
    await assignments.revoke(keystone, wanted)


def _declare() -> None:
    for actor in ("/users/{user_id}", "/groups/{group_id}"):
        for place, inherits in (
            ("/projects/{project_id}", True),
            ("/domains/{domain_id}", True),
            ("/system", False),
        ):
            base = f"{place}{actor}/roles"
            _grant_routes(base, "")
            if inherits:
                _grant_routes(f"/OS-INHERIT{base}", "/inherited_to_projects")


def _grant_routes(base: str, suffix: str) -> None:
    routes.get(f"{base}{suffix}", policy=None)(index)
    one = f"{base}/{{role_id}}{suffix}"
    routes.get(one, policy=None, status=204)(check)
    routes.put(one, policy=None, status=204)(grant)
    routes.delete(one, policy=None)(revoke)


_declare()

"""/v3/groups"""

from functools import partial
from typing import Any

from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.users import own_domain, shown
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import groups, identity, nouns, users
from aerostat.services.keystone.model.actors import Group
from aerostat.services.keystone.policies import target
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.actors import GroupCreate, GroupUpdate
from aerostat.services.keystone.schemas.fields import given

routes: Routes[Keystone] = Routes("groups")


async def seen(
    keystone: Keystone, req: Request[Any], rule: Rule, *, members: bool = False
) -> Group:
    """Return the group of the path if `rule` lets the caller; `members`: those are needed too.

    Raises: Forbidden, NotFound, Unavailable.
    """
    group_id = req.path["group_id"]
    group = await identity.group(keystone, group_id, members=members)
    domain_id = group.domain_id if group else ""
    req.enforce(rule, target(group__id=group_id, group__domain_id=domain_id))
    if group is None:
        raise nouns.groups.missing(group_id)
    return group


@routes.get("/groups", policy=None)
async def index(keystone: Keystone, req: Request[None]) -> Document:
    """List groups."""
    domain_id = req.query.get("domain_id") or req.ctx.domain_id
    req.enforce(policies.LIST_GROUPS, target(group__domain_id=domain_id))
    wanted = views.in_order(req, views.listing(keystone, req, "domain_id", "name", "id"))
    found = await identity.listed_groups(keystone, domain_id, views.within_scope(req, wanted))
    return views.collection(req, "groups", found, views.group, wanted)


@routes.post("/groups", policy=None, body=GroupCreate)
async def create(keystone: Keystone, req: Request[GroupCreate]) -> Document:
    """Create a group."""
    body = req.body.group
    domain_id = body.domain_id or own_domain(keystone, req)
    req.enforce(policies.CREATE_GROUP, target(group__domain_id=domain_id))
    row = Group(keystone.ids(), body.name, domain_id, body.description or "", body.extra)
    return {"group": views.group(req, await groups.create(keystone, row))}


@routes.get("/groups/{group_id}", policy=None)
async def show(keystone: Keystone, req: Request[None]) -> Document:
    """Show a group."""
    return {"group": views.group(req, await seen(keystone, req, policies.GET_GROUP))}


@routes.patch("/groups/{group_id}", policy=None, body=GroupUpdate)
async def update(keystone: Keystone, req: Request[GroupUpdate]) -> Document:
    """Change a group."""
    group = await seen(keystone, req, policies.UPDATE_GROUP)
    changes = given(req.body.group)
    return {"group": views.group(req, await groups.update(keystone, group.id, changes))}


@routes.delete("/groups/{group_id}", policy=None)
async def delete(keystone: Keystone, req: Request[None]) -> None:
    """Delete a group."""
    if await identity.group(keystone, req.path["group_id"]) is None:
        raise nouns.groups.missing(req.path["group_id"])  # For everybody, as upstream.
    group = await seen(keystone, req, policies.DELETE_GROUP)
    await groups.delete(keystone, group.id)


@routes.get("/groups/{group_id}/users", policy=None)
async def members(keystone: Keystone, req: Request[None]) -> Document:
    """List the members of a group."""
    group = await seen(keystone, req, policies.LIST_USERS_IN_GROUP, members=True)
    wanted = views.listing(keystone, req, "domain_id", "enabled", "name", "password_expires_at")
    found = await users.in_group(keystone, group.id, views.within_scope(req, wanted))
    return views.collection(req, "users", found, partial(shown, keystone), wanted)


async def _both(keystone: Keystone, req: Request[Any], rule: Rule) -> tuple[str, str]:
    group_id, user_id = req.path["group_id"], req.path["user_id"]
    group = await identity.group(keystone, group_id)
    user = await identity.user(keystone, user_id)
    about = target(
        group__domain_id=group.domain_id if group else "",
        user__domain_id=user.domain_id if user else "",
    )
    req.enforce(rule, about)
    return group_id, user_id


@routes.get("/groups/{group_id}/users/{user_id}", policy=None, status=204)
async def check_member(keystone: Keystone, req: Request[None]) -> None:
    """Tell whether a user is in a group."""
    ids = await _both(keystone, req, policies.CHECK_USER_IN_GROUP)
    await keystone.db.read(users.is_member, *ids)


@routes.put("/groups/{group_id}/users/{user_id}", policy=None, status=204)
async def add_member(keystone: Keystone, req: Request[None]) -> None:
    """Add a user to a group."""
    await users.add_to_group(keystone, *await _both(keystone, req, policies.ADD_USER_TO_GROUP))


@routes.delete("/groups/{group_id}/users/{user_id}", policy=None)
async def remove_member(keystone: Keystone, req: Request[None]) -> None:
    """Remove a user from a group."""
    ids = await _both(keystone, req, policies.REMOVE_USER_FROM_GROUP)
    await users.remove_from_group(keystone, *ids)

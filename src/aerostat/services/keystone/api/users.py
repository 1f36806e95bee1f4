"""/v3/users"""

from functools import partial
from typing import Any

from aerostat.kit.clock import iso
from aerostat.kit.errors import BadRequest
from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import federated_users, identity, nouns, users
from aerostat.services.keystone.model.actors import Group, User
from aerostat.services.keystone.policies import target
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.actors import (
    FederatedObject,
    PasswordPost,
    UserCreate,
    UserUpdate,
)
from aerostat.services.keystone.schemas.fields import given

routes: Routes[Keystone] = Routes("users")

FIELDS = ("domain_id", "enabled", "name", "default_project_id", "id", "password_expires_at")


def shown(keystone: Keystone, req: Request[Any], user: User) -> Document:
    """Return a user as shown now."""
    return views.user(req, users.current(keystone, user))


def target_of(user: User | None, user_id: str = "") -> Document:
    """Return the policy target of a user."""
    if user is None:
        return target(user__id=user_id)
    return target(user__id=user.id, user__domain_id=user.domain_id)


async def seen(keystone: Keystone, req: Request[Any], rule: Rule) -> User:
    """Return the user of the path if `rule` lets the caller. Raises: Forbidden, NotFound."""
    user_id = req.path["user_id"]
    user = await identity.user(keystone, user_id)
    req.enforce(rule, {"user_id": user_id, **target_of(user, user_id)})
    if user is None:
        raise nouns.users.missing(user_id)
    return user


@routes.get("/users", policy=None)
async def index(keystone: Keystone, req: Request[None]) -> Document:
    """List users."""
    domain_id = req.query.get("domain_id") or req.ctx.domain_id
    req.enforce(policies.LIST_USERS, target(target__domain_id=domain_id))
    wanted = views.in_order(req, views.listing(keystone, req, *FIELDS))
    called = [req.query.get(name) or "" for name in ("idp_id", "protocol_id", "unique_id")]
    where = [users.C.id.in_(federated_users.called(*called))] if any(called) else []
    mine = views.within_scope(req, wanted)
    found = await identity.listed_users(keystone, domain_id, mine, *where)
    return views.collection(req, "users", found, partial(shown, keystone), wanted)


@routes.post("/users", policy=None, body=UserCreate)
async def create(keystone: Keystone, req: Request[UserCreate]) -> Document:
    """Create a user."""
    body = req.body.user
    domain_id = body.domain_id or own_domain(keystone, req)
    req.enforce(policies.CREATE_USER, target(user__domain_id=domain_id))
    user = User(
        id=keystone.ids(),
        name=body.name,
        domain_id=domain_id,
        enabled=body.enabled,
        default_project_id=body.default_project_id or "",
        password_hash="",
        password_expires_at=None,
        options=body.options,
        extra=body.extra,
    )
    made = await users.create(keystone, user, body.password, _links(body.federated))
    return {"user": await whole(keystone, req, made)}


def _links(objects: list[FederatedObject]) -> federated_users.Links:
    return [(o.idp_id, p.protocol_id, p.unique_id) for o in objects for p in o.protocols]


async def whole(keystone: Keystone, req: Request[Any], user: User) -> Document:
    """Return a user as shown alone: also what identity providers call it."""
    objects: dict[str, list[Document]] = {}
    for link in await federated_users.links(keystone, user.id):
        called = {"protocol_id": link.protocol_id, "unique_id": link.unique_id}
        objects.setdefault(link.idp_id, []).append(called)
    document = shown(keystone, req, user)
    if objects:
        document["federated"] = [
            {"idp_id": idp_id, "protocols": protocols} for idp_id, protocols in objects.items()
        ]
    return document


def own_domain(keystone: Keystone, req: Request[Any]) -> str:
    """Return the domain that is meant when none is named: the scope's, or the default one."""
    ctx = req.ctx
    return ctx.domain_id or ctx.project_domain_id or keystone.config.default_domain_id


@routes.get("/users/{user_id}", policy=None)
async def show(keystone: Keystone, req: Request[None]) -> Document:
    """Show a user."""
    return {"user": await whole(keystone, req, await seen(keystone, req, policies.GET_USER))}


@routes.patch("/users/{user_id}", policy=None, body=UserUpdate)
async def update(keystone: Keystone, req: Request[UserUpdate]) -> Document:
    """Change a user."""
    user = await seen(keystone, req, policies.UPDATE_USER)
    changes = given(req.body.user)
    if "federated" in changes:
        changes["federated"] = _links(changes["federated"])
    return {"user": await whole(keystone, req, await users.update(keystone, user.id, changes))}


@routes.delete("/users/{user_id}", policy=None)
async def delete(keystone: Keystone, req: Request[None]) -> None:
    """Delete a user."""
    user = await seen(keystone, req, policies.DELETE_USER)
    await users.delete(keystone, user.id)


@routes.post("/users/{user_id}/password", policy=None, public=True, body=PasswordPost, status=204)
async def change_password(keystone: Keystone, req: Request[PasswordPost]) -> None:
    """Change one's own password; the original one is the proof."""
    body = req.body.user
    if body.password == "":
        raise BadRequest("Invalid input for field 'password'.", field="user.password")
    await users.change_password(
        keystone, req.path["user_id"], body.original_password, body.password
    )


@routes.get("/users/{user_id}/groups", policy=None)
async def groups(keystone: Keystone, req: Request[None]) -> Document:
    """List the groups of a user."""
    user = await seen(keystone, req, policies.LIST_GROUPS_FOR_USER)
    wanted = views.listing(keystone, req, "name")
    found = await users.groups(keystone, user.id, views.within_scope(req, wanted))
    ends = await users.groups_end(keystone, user.id)

    def view(req: Request[Any], group: Group) -> Document:
        shown = views.group(req, group)
        if group.id in ends:
            shown["membership_expires_at"] = iso(ends[group.id], micros=True)
        return shown

    return views.collection(req, "groups", found, view, wanted)


@routes.get("/users/{user_id}/projects", policy=None)
async def projects(keystone: Keystone, req: Request[None]) -> Document:
    """List the projects on which a user has a role."""
    user = await seen(keystone, req, policies.LIST_PROJECTS_FOR_USER)
    wanted = views.listing(keystone, req, "name", "enabled", "domain_id")
    found = await users.projects(keystone, user.id, wanted)
    return views.collection(req, "projects", found, views.project, wanted)

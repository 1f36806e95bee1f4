"""Giving roles to users and groups, and taking them away."""

from typing import Any

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Forbidden, NotFound
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.db.assignments import C
from aerostat.services.keystone.domain import nouns
from aerostat.services.keystone.model.roles import Assignment, Role
from aerostat.services.keystone.runtime import Keystone


async def grant(keystone: Keystone, assignment: Assignment) -> None:
    """Give a role; fine if it is given. Raises: NotFound, Forbidden (a foreign domain role)."""

    def write(tx: Tx) -> None:
        check_parts(tx, assignment, giving=True)
        if stores.assignments.get(tx, *_key(assignment)) is None:
            stores.assignments.insert(tx, assignment)

    await keystone.change(write)


async def revoke(keystone: Keystone, assignment: Assignment) -> None:
    """Take a role away, and the application credentials that rest on it. Raises: NotFound."""

    def write(tx: Tx) -> None:
        check_parts(tx, assignment, must_live=False)
        found = stores.assignments.get(tx, *_key(assignment))
        if found is None:
            raise _missing(assignment)
        c = dict(zip(C.keys(), _key(assignment), strict=True))
        stores.assignments.delete(tx, *(C[name] == value for name, value in c.items()))
        if assignment.actor_kind == "user" and assignment.target_kind == "project":
            a = tables.application_credentials.c
            stores.application_credentials.delete(
                tx, a.user_id == assignment.actor_id, a.project_id == assignment.target_id
            )

    await keystone.change(write)


async def check(keystone: Keystone, assignment: Assignment) -> None:
    """Raises: NotFound, unless exactly this role was given."""

    def read(tx: Tx) -> None:
        check_parts(tx, assignment)
        if stores.assignments.get(tx, *_key(assignment)) is None:
            raise _missing(assignment)

    await keystone.db.read(read)


async def given(keystone: Keystone, assignment: Assignment) -> list[Role]:
    """Return the roles given as in `assignment`, whose role id does not matter."""

    def read(tx: Tx) -> list[Role]:
        check_parts(tx, assignment, role=False)
        mine = [
            C[name] == getattr(assignment, name)
            for name in ("actor_kind", "actor_id", "target_kind", "target_id", "inherited")
        ]
        return stores.roles.among(tx, [a.role_id for a in stores.assignments.all(tx, *mine)])

    return await keystone.db.read(read)


def _key(assignment: Assignment) -> tuple[Any, ...]:
    return tuple(getattr(assignment, name) for name in Assignment.__struct_fields__)


def _missing(a: Assignment) -> NotFound:
    where = f"{a.target_kind}: {a.target_id}"
    return NotFound(
        f"Could not find role assignment with role: {a.role_id}, user or group: {a.actor_id}, "
        f"{where}."
    )


def check_parts(
    tx: Tx, a: Assignment, *, role: bool = True, must_live: bool = True, giving: bool = False
) -> None:
    """Raises: NotFound (an actor, target or role that is not there).

    `giving`: BadRequest and Forbidden too, for a domain's role where it cannot be given.
    """
    if must_live:
        (nouns.users if a.actor_kind == "user" else nouns.groups).must(tx, a.actor_id)
    domain_id = ""
    if a.target_kind != "system":
        noun = nouns.domains if a.target_kind == "domain" else nouns.projects
        target = noun.must(tx, a.target_id)
        if a.target_kind == "domain" and not target.is_domain:
            raise noun.missing(a.target_id)
        domain_id = target.id if target.is_domain else target.domain_id
    if role:
        found = nouns.roles.must(tx, a.role_id)
        if not giving or not found.domain_id:
            return
        if a.target_kind == "system":
            raise BadRequest(
                f"Role {a.role_id} is a domain-specific role. Unable to use a domain-specific "
                "role in a system assignment."
            )
        if a.target_kind == "project" and found.domain_id != domain_id:
            raise Forbidden("A domain specific role cannot be assigned outside of its domain.")

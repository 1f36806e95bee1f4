"""Projects and roles that a mapping gives to whoever comes by it."""

from typing import Any

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Forbidden
from aerostat.services.keystone.db import actors, stores, tables
from aerostat.services.keystone.domain import projects
from aerostat.services.keystone.domain.tokens import refusal
from aerostat.services.keystone.model.actors import Project
from aerostat.services.keystone.model.mapping_engine import Mapped
from aerostat.services.keystone.model.roles import Assignment
from aerostat.services.keystone.runtime import Keystone

C, R = tables.assignments.c, tables.roles.c


def provision(
    keystone: Keystone, tx: Tx, user_id: str, mapped: Mapped, default_domain_id: str
) -> None:
    """Have the mapped projects, made here if need be, and the user's roles on them.

    Since schema 3.0 the user has no other roles on projects than these. Raises: Unauthorized
    (a role or domain that is not there), Forbidden (a role of another domain).
    """
    if not mapped.projects and mapped.schema_version < "3.0":
        return
    user = stores.users.get(tx, user_id)
    assert user is not None
    wanted = {
        (project_id, role_id)
        for shadow, roles in [
            (p, [_role(tx, r["name"], user.domain_id) for r in p["roles"]]) for p in mapped.projects
        ]
        for project_id in [_project(keystone, tx, shadow, default_domain_id)]
        for role_id in roles
    }
    mine = (C.actor_kind == "user", C.actor_id == user_id, C.target_kind == "project")
    direct = stores.assignments.all(tx, *mine, C.inherited.is_(False))
    held = {(a.target_id, a.role_id) for a in direct}
    if wanted - held or (mapped.schema_version >= "3.0" and held - wanted):
        keystone.note_change(tx)
    for project_id, role_id in sorted(wanted - held):
        given = Assignment("user", user_id, "project", project_id, role_id, False)
        stores.assignments.insert(tx, given)
    if mapped.schema_version >= "3.0":
        for project_id, role_id in sorted(held - wanted):
            where = (C.target_id == project_id, C.role_id == role_id, C.inherited.is_(False))
            stores.assignments.delete(tx, *mine, *where)


def _role(tx: Tx, name: str, domain_id: str) -> str:
    found = {role.domain_id: role.id for role in stores.roles.all(tx, R.name == name)}
    if not found:
        raise refusal(f"role {name} of the mapping is not there")
    role_id = found.get("") or found.get(domain_id)
    if role_id is None:
        raise Forbidden(f"Role: {name} is a domain-specific role of another domain.")
    return role_id


def _project(keystone: Keystone, tx: Tx, shadow: dict[str, Any], default_domain_id: str) -> str:
    domain = shadow.get("domain") or {"id": default_domain_id}
    place = (domain.get("id", ""), domain.get("name", ""))
    found = actors.domain_of(tx, *place)
    if found is None:
        raise refusal("a domain of the mapping is not there")
    known = actors.project_named(tx, shadow["name"], found.id, "")
    if known is not None:
        return known.project.id
    rest: tuple[Any, ...] = (False, True, "", [], {}, {})
    new = Project(keystone.ids(), shadow["name"], found.id, found.id, *rest)
    keystone.note_change(tx)
    return projects.insert(keystone, tx, new).id

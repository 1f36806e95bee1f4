"""Roles and what they imply."""

from typing import Any

from msgspec.structs import replace

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Forbidden, NotFound
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.db.assignments import role_graph
from aerostat.services.keystone.domain import nouns, options
from aerostat.services.keystone.model.roles import Implication, Role, RoleGraph
from aerostat.services.keystone.runtime import Keystone

C = tables.roles.c
Implied = tables.implications.c


async def create(keystone: Keystone, role: Role) -> Role:
    """Store a new role. Raises: Conflict, NotFound (its domain), BadRequest (options)."""
    role = replace(role, options=options.merged(options.RESOURCE, {}, role.options))

    def write(tx: Tx) -> Role:
        if role.domain_id:
            nouns.domains.must(tx, role.domain_id)
        _unique(tx, role)
        stores.roles.insert(tx, role)
        return role

    return await keystone.change(write)


def _unique(tx: Tx, role: Role) -> None:
    where = f" at domain ID {role.domain_id}" if role.domain_id else ""
    detail = f" found with name {role.name}{where}"
    nouns.roles.unique(tx, role.id, detail, C.domain_id == role.domain_id, C.name == role.name)


async def update(keystone: Keystone, role_id: str, changes: dict[str, Any]) -> Role:
    """Change a role. Raises: Conflict, NotFound, BadRequest (another domain)."""

    def write(tx: Tx) -> Role:
        before = nouns.roles.must(tx, role_id)
        if (changes.get("domain_id") or "") != before.domain_id and "domain_id" in changes:
            raise BadRequest("Cannot change Domain ID.", field="domain_id")
        options.check_update("role", before, changes)
        if "options" in changes:
            wanted = options.merged(options.RESOURCE, before.options, changes["options"])
            role = nouns.changed(before, {**changes, "options": wanted})
        else:
            role = nouns.changed(before, changes)
        _unique(tx, role)
        stores.roles.update(tx, role)
        return role

    return await keystone.change(write)


async def delete(keystone: Keystone, role_id: str) -> None:
    """Delete a role and every assignment of it. Raises: NotFound, Forbidden (immutable)."""

    def write(tx: Tx) -> None:
        role = nouns.roles.must(tx, role_id)
        options.check_delete("role", role)
        stores.assignments.delete(tx, tables.assignments.c.role_id == role_id)
        stores.implications.delete(
            tx, (Implied.prior_role_id == role_id) | (Implied.implied_role_id == role_id)
        )
        stores.roles.delete(tx, C.id == role_id)

    await keystone.change(write)


async def graph(keystone: Keystone) -> RoleGraph:
    """Return every role with what it implies."""
    return await keystone.remember(role_graph)


async def imply(keystone: Keystone, prior_id: str, implied_id: str) -> None:
    """Make a role imply another; fine if it does. Raises: NotFound, Forbidden (a circle)."""

    def write(tx: Tx) -> None:
        prior = nouns.roles.must(tx, prior_id)
        implied = nouns.roles.must(tx, implied_id)
        if implied.name in keystone.config.prohibited_implied_role:
            raise Forbidden(f"{implied_id} cannot be an implied roles")
        if implied.domain_id and not prior.domain_id:
            raise Forbidden("A global role cannot imply a domain specific one.")
        known = role_graph(tx)
        if prior_id == implied_id or prior_id in known.paths(implied_id):
            raise Forbidden("That would make a circle of implied roles.")
        if implied_id not in known.implied.get(prior_id, ()):
            stores.implications.insert(tx, Implication(prior_id, implied_id))

    await keystone.change(write)


async def unimply(keystone: Keystone, prior_id: str, implied_id: str) -> None:
    """End an implication. Raises: NotFound."""

    def write(tx: Tx) -> None:
        mine = (Implied.prior_role_id == prior_id, Implied.implied_role_id == implied_id)
        if not stores.implications.delete(tx, *mine):
            raise NotFound(f"{prior_id} does not imply {implied_id}.")

    await keystone.change(write)

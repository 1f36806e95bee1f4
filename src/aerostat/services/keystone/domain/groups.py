"""Groups of users."""

from typing import Any

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest
from aerostat.services.keystone.db import assignments, stores, tables
from aerostat.services.keystone.domain import identity, nouns
from aerostat.services.keystone.model.actors import Group
from aerostat.services.keystone.runtime import Keystone

C = tables.groups.c


async def create(keystone: Keystone, group: Group) -> Group:
    """Store a new group. Raises: Conflict, NotFound (its domain)."""

    def write(tx: Tx) -> Group:
        nouns.domains.must(tx, group.domain_id)
        identity.check_writable(tx, group.domain_id)
        _unique(tx, group)
        stores.groups.insert(tx, group)
        return group

    return await keystone.db.write(write)


def _unique(tx: Tx, group: Group) -> None:
    detail = f" found with name {group.name} at domain ID {group.domain_id}"
    nouns.groups.unique(tx, group.id, detail, C.domain_id == group.domain_id, C.name == group.name)


async def update(keystone: Keystone, group_id: str, changes: dict[str, Any]) -> Group:
    """Change a group. Raises: Conflict, NotFound, BadRequest."""

    def write(tx: Tx) -> Group:
        before = nouns.groups.must(tx, group_id)
        identity.check_writable(tx, before.domain_id)
        if changes.get("domain_id", before.domain_id) != before.domain_id:
            raise BadRequest("Cannot change Domain ID.", field="domain_id")
        group = nouns.changed(before, changes)
        _unique(tx, group)
        stores.groups.update(tx, group)
        return group

    return await keystone.db.write(write)


async def delete(keystone: Keystone, group_id: str) -> None:
    """Delete a group with its memberships and rights. Raises: NotFound."""

    def write(tx: Tx) -> None:
        identity.check_writable(tx, nouns.groups.must(tx, group_id).domain_id)
        purge(tx, group_id)

    await keystone.change(write)


def purge(tx: Tx, group_id: str) -> None:
    """Delete a group with everything that hangs on it."""
    assignments.forget_actor(tx, "group", group_id)
    stores.memberships.delete(tx, tables.memberships.c.group_id == group_id)
    expiring = tables.expiring_memberships.c
    stores.expiring_memberships.delete(tx, expiring.group_id == group_id)
    stores.groups.delete(tx, C.id == group_id)

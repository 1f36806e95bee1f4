"""What directories said last, as rows of users, groups and memberships.

Everything that joins users with roles, trusts or groups reads these rows; `domain.identity`
keeps them as the directory is. A row that the directory no longer has goes, while what was
granted to its id stays and counts again when the entry is back, as upstream.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select

from aerostat.kit.db.engine import Tx
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.model.actors import Group, Membership, User
from aerostat.services.keystone.model.directories import (
    DirectoryGroup,
    DirectoryUser,
    EntityType,
    LdapConfig,
    id_mapping,
    ldap_config,
)

U, G, M = tables.users.c, tables.groups.c, tables.memberships.c
D = tables.domain_options.c


def options_of(tx: Tx, domain_id: str) -> dict[str, dict[str, Any]]:
    """Return every option that is set for a domain, the secret ones too, by group."""
    found: dict[str, dict[str, Any]] = {}
    for row in stores.domain_options.all(tx, D.domain_id == domain_id):
        found.setdefault(row.option_group, {})[row.option] = row.value
    return found


def config_of(tx: Tx, domain_id: str) -> LdapConfig | None:
    """Return where the users of a domain are, or None: here."""
    options = options_of(tx, domain_id)
    if options.get("identity", {}).get("driver") != "ldap":
        return None
    return ldap_config(options.get("ldap", {}))


def domain_ids(tx: Tx) -> list[str]:
    """Return the domains whose users are in a directory."""
    driver = (D.option_group == "identity", D.option == "driver")
    found = stores.domain_options.all(tx, *driver)
    return [row.domain_id for row in found if row.value == "ldap"]


def keep_users(
    tx: Tx, domain_id: str, users: Iterable[DirectoryUser], *, complete: bool = False
) -> bool:
    """Make the rows of these users as they are; `complete`: the domain has no others.

    Returns whether that changed anything.
    """
    wanted: dict[str, User] = {}
    for user in users:
        public_id = _mapped(tx, domain_id, user.local_id, "user")
        before = stores.users.get(tx, public_id)
        options = before.options if before else {}
        last = before.last_active_at if before else None
        project_id = user.default_project_id
        fields = (user.enabled, project_id, "", None, options, user.extra, None, last)
        wanted[public_id] = User(public_id, user.name, domain_id, *fields)
    mine = U.domain_id == domain_id
    changed = False
    if complete:
        for row in stores.users.all(tx, mine):
            changed |= row.id not in wanted and drop_user(tx, row.id)
    for row in _one_per_name(wanted.values()):
        before = stores.users.get(tx, row.id)
        if before == row:
            continue
        for other in stores.users.all(tx, mine, U.name == row.name, U.id != row.id):
            drop_user(tx, other.id)
        (stores.users.update if before else stores.users.insert)(tx, row)
        changed = True
    return changed


def keep_groups(
    tx: Tx, domain_id: str, groups: Iterable[DirectoryGroup], *, complete: bool = False
) -> bool:
    """Make the rows of these groups as they are; `complete`: the domain has no others.

    Returns whether that changed anything.
    """
    wanted: dict[str, Group] = {}
    for group in groups:
        public_id = _mapped(tx, domain_id, group.local_id, "group")
        wanted[public_id] = Group(public_id, group.name, domain_id, group.description, {})
    mine = G.domain_id == domain_id
    changed = False
    if complete:
        for row in stores.groups.all(tx, mine):
            changed |= row.id not in wanted and drop_group(tx, row.id)
    for row in _one_per_name(wanted.values()):
        before = stores.groups.get(tx, row.id)
        if before == row:
            continue
        for other in stores.groups.all(tx, mine, G.name == row.name, G.id != row.id):
            drop_group(tx, other.id)
        (stores.groups.update if before else stores.groups.insert)(tx, row)
        changed = True
    return changed


def keep_groups_of(tx: Tx, user_id: str, group_ids: Sequence[str]) -> bool:
    """Make a user a member of exactly these groups; return whether that changed anything."""
    present = stores.memberships.all(tx, M.user_id == user_id)
    return _keep_members(tx, present, [Membership(user_id, g) for g in sorted(set(group_ids))])


def keep_members_of(tx: Tx, group_id: str, user_ids: Sequence[str]) -> bool:
    """Make exactly these users members of a group; return whether that changed anything."""
    present = stores.memberships.all(tx, M.group_id == group_id)
    return _keep_members(tx, present, [Membership(u, group_id) for u in sorted(set(user_ids))])


def _keep_members(tx: Tx, present: list[Membership], wanted: list[Membership]) -> bool:
    for row in present:
        if row not in wanted:
            stores.memberships.delete(tx, M.user_id == row.user_id, M.group_id == row.group_id)
    stores.memberships.insert(tx, *(row for row in wanted if row not in present))
    return sorted(present, key=_pair) != sorted(wanted, key=_pair)


def _pair(row: Membership) -> tuple[str, str]:
    return row.user_id, row.group_id


def drop_user(tx: Tx, user_id: str) -> bool:
    """Take the row of a user away, not what was granted to it; tell whether there was one."""
    stores.memberships.delete(tx, M.user_id == user_id)
    return stores.users.delete(tx, U.id == user_id) > 0


def drop_group(tx: Tx, group_id: str) -> bool:
    """Take the row of a group away, not what was granted to it; tell whether there was one."""
    stores.memberships.delete(tx, M.group_id == group_id)
    return stores.groups.delete(tx, G.id == group_id) > 0


def drop_all(tx: Tx, domain_id: str) -> None:
    """Take all rows away that came from the directory of a domain."""
    for user in tx.all(select(U.id).where(U.domain_id == domain_id)):
        drop_user(tx, user[0])
    for group in tx.all(select(G.id).where(G.domain_id == domain_id)):
        drop_group(tx, group[0])


def _mapped(tx: Tx, domain_id: str, local_id: str, kind: EntityType) -> str:
    mapping = id_mapping(domain_id, local_id, kind)
    if stores.id_mappings.get(tx, mapping.public_id) is None:
        stores.id_mappings.insert(tx, mapping)
    return mapping.public_id


def _one_per_name(rows: Iterable[Any]) -> list[Any]:
    """Names are unique in a domain: of entries with the same one, the lowest id has it."""
    named: dict[str, Any] = {}
    for row in sorted(rows, key=lambda row: str(row.id)):
        named.setdefault(row.name.casefold(), row)
    return list(named.values())

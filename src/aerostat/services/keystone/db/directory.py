"""What directories said last, as rows of users, groups and memberships.

Everything that joins users with roles, trusts or groups reads these rows; `domain.identity`
keeps them as the directory is. A row that the directory no longer has goes, while what was
granted to its id stays and counts again when the entry is back, as upstream.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import select

from aerostat.kit.db.engine import Tx
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.db.store import Store
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
    tx: Tx, domain_id: str, users: Sequence[DirectoryUser], *, complete: bool = False
) -> bool:
    """Make the rows of these users as they are; `complete`: the domain has no others.

    Returns whether that changed anything.
    """
    ids = _mapped(tx, domain_id, [user.local_id for user in users], "user")
    present = {row.id: row for row in stores.users.among(tx, ids)}
    wanted = []
    for public_id, user in zip(ids, users, strict=True):
        before = present.get(public_id)
        options = before.options if before else {}
        last = before.last_active_at if before else None
        fields = (user.enabled, user.default_project_id, "", None, options, user.extra, None, last)
        wanted.append(User(public_id, user.name, domain_id, *fields))
    gone = complete and _drop_others(tx, stores.users, domain_id, set(ids), drop_user)
    return _keep(tx, stores.users, present, wanted, drop_user) or gone


def keep_groups(
    tx: Tx, domain_id: str, groups: Sequence[DirectoryGroup], *, complete: bool = False
) -> bool:
    """Make the rows of these groups as they are; `complete`: the domain has no others.

    Returns whether that changed anything.
    """
    ids = _mapped(tx, domain_id, [group.local_id for group in groups], "group")
    present = {row.id: row for row in stores.groups.among(tx, ids)}
    wanted = [
        Group(public_id, group.name, domain_id, group.description, {})
        for public_id, group in zip(ids, groups, strict=True)
    ]
    gone = complete and _drop_others(tx, stores.groups, domain_id, set(ids), drop_group)
    return _keep(tx, stores.groups, present, wanted, drop_group) or gone


def _drop_others(
    tx: Tx, store: Store[Any], domain_id: str, ids: set[str], drop: Callable[[Tx, str], bool]
) -> bool:
    others = [r.id for r in store.all(tx, store.table.c.domain_id == domain_id) if r.id not in ids]
    for other_id in others:
        drop(tx, other_id)
    return bool(others)


def _keep(
    tx: Tx,
    store: Store[Any],
    present: dict[str, Any],
    wanted: list[Any],
    drop: Callable[[Tx, str], bool],
) -> bool:
    """Write the rows that differ; whoever had the name before, no longer has it."""
    c = store.table.c
    chosen = _one_per_name(wanted)
    losers = {row.id for row in wanted} - {row.id for row in chosen}
    changed = any([drop(tx, row_id) for row_id in sorted(losers & present.keys())])
    for row in chosen:
        if present.get(row.id) == row:
            continue
        for other in store.all(
            tx, c.domain_id == row.domain_id, c.name == row.name, c.id != row.id
        ):
            drop(tx, other.id)
            present.pop(other.id, None)
        (store.update if row.id in present else store.insert)(tx, row)
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


def _mapped(tx: Tx, domain_id: str, local_ids: list[str], kind: EntityType) -> list[str]:
    """Return the public ids of these entries, which are known from now on."""
    mappings = [id_mapping(domain_id, local_id, kind) for local_id in local_ids]
    ids = [mapping.public_id for mapping in mappings]
    known = {row.public_id for row in stores.id_mappings.among(tx, ids)}
    new = {m.public_id: m for m in mappings if m.public_id not in known}
    stores.id_mappings.insert(tx, *new.values())
    return ids


def _one_per_name(rows: Iterable[Any]) -> list[Any]:
    """Names are unique in a domain: of entries with the same one, the lowest id has it."""
    named: dict[str, Any] = {}
    for row in sorted(rows, key=lambda row: str(row.id)):
        named.setdefault(row.name.casefold(), row)
    return list(named.values())

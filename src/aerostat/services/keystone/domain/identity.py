"""Users and groups as they are now, whichever backend their domain has.

The rows of a domain in a directory are brought up to date before they are used (db/directory.py);
a domain of keystone's own database has nothing to bring. Directories are read only.
"""

import math
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict, Forbidden, Unavailable
from aerostat.services.keystone.db import actors, directory, stores, tables
from aerostat.services.keystone.db.federation import live_groups
from aerostat.services.keystone.model.actors import Group, User
from aerostat.services.keystone.model.directories import (
    READ_ONLY,
    DirectoryGroup,
    DirectoryUser,
    IdentityBackend,
    IdMapping,
    id_mapping,
)
from aerostat.services.keystone.model.listing import Listing
from aerostat.services.keystone.runtime import MEMO_MAX, Keystone


async def backend(keystone: Keystone, domain_id: str) -> IdentityBackend | None:
    """Return where the users of a domain are, or None: in keystone's own database."""
    config = await keystone.remember(directory.config_of, domain_id)
    if config is None:
        return None
    if keystone.directories is None:
        raise Unavailable("No directory can be reached from here.")
    return keystone.directories(config)


async def user(keystone: Keystone, user_id: str) -> User | None:
    """Return a user as it is now, with the groups it is in. Raises: Unavailable."""
    await _look(keystone, user_id)
    return await keystone.db.read(stores.users.get, user_id)


async def record(keystone: Keystone, user_id: str) -> actors.UserRecord | None:
    """Return a user with the domain, a directory's as it was `cache_time` ago or later.

    Raises: Unavailable.
    """
    if await keystone.remember(stores.id_mappings.get, user_id) is not None:
        fresh = user_id in keystone.looked
        fresh = fresh and good_until(keystone, user_id) > keystone.clock.now()
        # Its row may have gone with a change of options.
        if not fresh or await keystone.remember(actors.user_record, user_id) is None:
            await _look(keystone, user_id)
    return await keystone.remember(actors.user_record, user_id)


def good_until(keystone: Keystone, user_id: str) -> float:
    """Return until when what is remembered of a user counts; for ever unless in a directory."""
    looked = keystone.looked.get(user_id)
    return math.inf if looked is None else looked + keystone.config.cache_time


async def named(
    keystone: Keystone, name: str, domain_id: str, domain_name: str
) -> actors.UserRecord | None:
    """Return the user with this name in a domain. Raises: Unavailable."""
    args = (domain_id, domain_name)
    domain = await keystone.remember(actors.domain_of, *args)
    source = await backend(keystone, domain.id) if domain else None
    if domain is None or source is None:
        return await keystone.remember(actors.user_named, name, *args)
    found = min(await source.users(name), key=_public_id(domain.id), default=None)
    if found is None:
        return None
    await _bring_user(keystone, source, domain.id, found)
    return await keystone.remember(actors.user_record, _public_id(domain.id)(found))


def _public_id(domain_id: str) -> Callable[[DirectoryUser], str]:
    return lambda user: id_mapping(domain_id, user.local_id, "user").public_id


async def check_password(keystone: Keystone, user: User, password: str) -> bool:
    """Tell whether `password` is the user's. Raises: Unavailable."""
    source = await backend(keystone, user.domain_id)
    if source is None:
        return await keystone.hasher.verify(password, user.password_hash)
    mapping = await keystone.remember(stores.id_mappings.get, user.id)
    found = await source.user(mapping.local_id) if mapping else None
    return found is not None and await source.check_password(found, password)


async def group(keystone: Keystone, group_id: str, *, members: bool = False) -> Group | None:
    """Return a group as it is now; `members`: bring those too. Raises: Unavailable."""
    mapping, source = await _mapping(keystone, group_id)
    if mapping is not None and source is not None and mapping.entity_type == "group":
        found = await source.group(mapping.local_id)
        users = await source.members_of(found) if found and members else None
        await _change(keystone, mapping.domain_id, _keep_group, mapping, found, users)
    return await keystone.db.read(stores.groups.get, group_id)


async def listed_users(
    keystone: Keystone, domain_id: str, wanted: Listing, *where: ColumnElement[bool]
) -> list[User]:
    """Return the users of a domain, or ("") those of every domain that is not in a directory.

    They meet all of `where`.
    Raises: Unavailable.
    """
    source = await backend(keystone, domain_id) if domain_id else None
    if source is not None:
        name = _name(wanted)
        found = await source.users(name)
        keep = directory.keep_users
        await _change(keystone, domain_id, keep, domain_id, found, complete=not name)
    c = tables.users.c.domain_id
    where = (*where, *await _where(keystone, c, domain_id))
    return await keystone.db.read(stores.users.page, wanted, *where)


async def listed_groups(keystone: Keystone, domain_id: str, wanted: Listing) -> list[Group]:
    """Return the groups of a domain, or ("") those of every domain that is not in a directory.

    Raises: Unavailable.
    """
    source = await backend(keystone, domain_id) if domain_id else None
    if source is not None:
        name = _name(wanted)
        found = await source.groups(name)
        keep = directory.keep_groups
        await _change(keystone, domain_id, keep, domain_id, found, complete=not name)
    c = tables.groups.c.domain_id
    where = await _where(keystone, c, domain_id)
    return await keystone.db.read(stores.groups.page, wanted, *where)


async def _where(
    keystone: Keystone, column: ColumnElement[str], domain_id: str
) -> list[ColumnElement[bool]]:
    if domain_id:
        return [column == domain_id]
    others = await keystone.remember(directory.domain_ids)
    return [column.not_in(others)] if others else []


def _name(wanted: Listing) -> str:
    exact = (f.value for f in wanted.filters if f.field == "name" and f.how == "equals")
    return str(next(exact, ""))


async def _change(
    keystone: Keystone, domain_id: str, fn: Callable[..., bool], *args: Any, **how: Any
) -> None:
    """Run `fn(tx, ...)`, which tells whether it changed rows, while the domain is a directory's."""

    def write(tx: Tx) -> None:
        if directory.config_of(tx, domain_id) is not None and fn(tx, *args, **how):
            keystone.note_change(tx)

    await keystone.db.write(write)


def said_groups(keystone: Keystone, tx: Tx, user_id: str, now: float) -> tuple[str, ...]:
    """Return the groups that identity providers say a user is in at `now`."""
    return live_groups(tx, user_id, keystone.config.default_authorization_ttl, now)


def check_writable(tx: Tx, *domain_ids: str) -> None:
    """Raises: Forbidden, if the users of one of these domains are in a directory."""
    for domain_id in domain_ids:
        if directory.config_of(tx, domain_id) is not None:
            raise Forbidden(READ_ONLY)


def switch(tx: Tx, domain_id: str, *, was_ldap: bool) -> None:
    """Let the new options of a domain take effect, after they were written.

    Raises: Conflict (users or groups of its own that a directory would hide), BadRequest.
    """
    if was_ldap:
        directory.drop_all(tx, domain_id)
    if directory.config_of(tx, domain_id) is None:
        return
    u, g = tables.users.c, tables.groups.c
    if stores.users.first(tx, u.domain_id == domain_id) or stores.groups.first(
        tx, g.domain_id == domain_id
    ):
        raise Conflict("The domain has users or groups of its own; delete them first.")


async def _mapping(
    keystone: Keystone, public_id: str
) -> tuple[IdMapping | None, IdentityBackend | None]:
    mapping = await keystone.remember(stores.id_mappings.get, public_id)
    return mapping, await backend(keystone, mapping.domain_id) if mapping else None


async def _look(keystone: Keystone, user_id: str) -> None:
    mapping, source = await _mapping(keystone, user_id)
    if mapping is None or source is None or mapping.entity_type != "user":
        return
    found = await source.user(mapping.local_id)
    if found is not None:
        await _bring_user(keystone, source, mapping.domain_id, found)
    else:
        await _change(keystone, mapping.domain_id, directory.drop_user, user_id)


async def _bring_user(
    keystone: Keystone, source: IdentityBackend, domain_id: str, found: DirectoryUser
) -> None:
    groups = await source.groups_of(found)
    await _change(keystone, domain_id, _keep_user, domain_id, found, groups)
    _note(keystone, _public_id(domain_id)(found))


def _note(keystone: Keystone, user_id: str) -> None:
    if len(keystone.looked) >= MEMO_MAX:
        keystone.looked.clear()
        keystone.changed()
    keystone.looked[user_id] = keystone.clock.now()


def _keep_user(tx: Tx, domain_id: str, found: DirectoryUser, groups: list[DirectoryGroup]) -> bool:
    ids = [id_mapping(domain_id, g.local_id, "group").public_id for g in groups]
    changed = directory.keep_users(tx, domain_id, [found])
    changed |= directory.keep_groups(tx, domain_id, groups)
    return directory.keep_groups_of(tx, _public_id(domain_id)(found), ids) or changed


def _keep_group(
    tx: Tx, mapping: IdMapping, found: DirectoryGroup | None, users: list[DirectoryUser] | None
) -> bool:
    if found is None:
        return directory.drop_group(tx, mapping.public_id)
    if users is None:
        return directory.keep_groups(tx, mapping.domain_id, [found])
    ids = [_public_id(mapping.domain_id)(u) for u in users]
    changed = directory.keep_users(tx, mapping.domain_id, users)
    changed |= directory.keep_groups(tx, mapping.domain_id, [found])
    return directory.keep_members_of(tx, mapping.public_id, ids) or changed

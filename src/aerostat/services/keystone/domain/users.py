"""Users: who can be let in."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import delete as sql_delete
from sqlalchemy import select

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest
from aerostat.services.keystone.db import assignments, stores, tables
from aerostat.services.keystone.db.federation import expiring_groups
from aerostat.services.keystone.domain import (
    federated_users,
    identity,
    nouns,
    options,
    passwords,
    revocation,
)
from aerostat.services.keystone.domain.tokens import is_active, refusal
from aerostat.services.keystone.model.actors import Group, Membership, Project, User
from aerostat.services.keystone.model.listing import Listing
from aerostat.services.keystone.model.revocations import USER
from aerostat.services.keystone.runtime import Keystone

C = tables.users.c


async def create(
    keystone: Keystone, user: User, password: str | None, links: federated_users.Links
) -> User:
    """Store a new user; `links` is what identity providers call it.

    Raises: Conflict, NotFound (its domain), BadRequest (the password, a link).
    """
    user = replace(user, options=options.merged(options.USER, {}, user.options))
    hashed = ""
    if password is not None:
        passwords.check_strength(keystone, password)
        hashed = await keystone.hasher.hash(password)

    def write(tx: Tx) -> User:
        domain = nouns.domains.must(tx, user.domain_id)
        if not domain.is_domain:
            raise nouns.domains.missing(user.domain_id)
        identity.check_writable(tx, user.domain_id)
        _check(tx, user)
        made = replace(user, created_at=keystone.clock.now())
        if hashed:
            made = passwords.put(keystone, tx, made, hashed, self_service=False)
        stores.users.insert(tx, made)
        federated_users.link(tx, made.id, links)
        return made

    return await keystone.change(write)


def current(keystone: Keystone, user: User) -> User:
    """Return `user` as it is to be shown: one who was idle for too long is not enabled."""
    return user if is_active(keystone, user) == user.enabled else replace(user, enabled=False)


def _check(tx: Tx, user: User) -> None:
    """Raises: Conflict (the name), BadRequest (a default project that is a domain)."""
    project = stores.projects.get(tx, user.default_project_id)
    if project is not None and project.is_domain:
        raise BadRequest(
            f"User's default project ID cannot be a domain ID: {user.default_project_id}",
            field="default_project_id",
        )
    detail = f" found with name {user.name} at domain ID {user.domain_id}"
    nouns.users.unique(tx, user.id, detail, C.domain_id == user.domain_id, C.name == user.name)


async def update(keystone: Keystone, user_id: str, changes: dict[str, Any]) -> User:
    """Change a user; a new password or being disabled ends every token.

    Raises: Conflict, NotFound, BadRequest (another domain).
    """
    hashed: str | None = None
    if "password" in changes:
        password = changes.pop("password")
        if password:
            passwords.check_strength(keystone, password)
        hashed = await keystone.hasher.hash(password) if password else ""
    return await keystone.change(_update, keystone, user_id, changes, hashed)


def _update(
    tx: Tx, keystone: Keystone, user_id: str, changes: dict[str, Any], hashed: str | None
) -> User:
    before = nouns.users.must(tx, user_id)
    identity.check_writable(tx, before.domain_id)
    changes = dict(changes)
    links = changes.pop("federated", [])
    if changes.get("domain_id", before.domain_id) != before.domain_id:
        raise BadRequest("Cannot change Domain ID.", field="domain_id")
    if "options" in changes:
        wanted = options.merged(options.USER, before.options, changes["options"])
        changes = {**changes, "options": wanted}
    user = nouns.changed(before, changes)
    _check(tx, user)
    if hashed is not None:
        user = passwords.put(keystone, tx, user, hashed, self_service=False)
    if changes.get("enabled"):
        passwords.forgive(tx, user_id)
        user = replace(user, last_active_at=keystone.clock.now())
    stores.users.update(tx, user)
    if links:
        federated_users.link(tx, user_id, links)
    if hashed is not None or (before.enabled and not user.enabled):
        revocation.record(keystone, tx, USER, user_id)
    return user


async def change_password(keystone: Keystone, user_id: str, original: str, new: str) -> None:
    """Let a user choose a new password, an expired one too; all tokens of the user end.

    Raises: Unauthorized (wrong old one, or nobody who may come in), BadRequest (the new one).
    """
    user = await nouns.look(keystone, nouns.users, user_id)
    locked = user is not None and await passwords.locked_out(keystone, user)
    right = await keystone.hasher.verify(original, user.password_hash if user else "")
    if user is None or locked:
        raise refusal("unknown user, or locked out")
    await keystone.db.read(identity.check_writable, user.domain_id)
    if not right:
        await passwords.failed(keystone, user)
        raise refusal("wrong password")
    if not is_active(keystone, user):
        raise refusal("disabled user")
    await passwords.check_choice(keystone, user, new)
    hashed = await keystone.hasher.hash(new)

    def write(tx: Tx) -> None:
        before = nouns.users.must(tx, user_id)
        if before.password_hash != user.password_hash:
            raise refusal("the password was changed meanwhile")
        chosen = passwords.put(keystone, tx, before, hashed, self_service=True)
        stores.users.update(tx, chosen)
        passwords.forgive(tx, user_id)
        revocation.record(keystone, tx, USER, user_id)

    await keystone.change(write)


async def delete(keystone: Keystone, user_id: str) -> None:
    """Delete a user and all that is the user's. Raises: NotFound."""

    def write(tx: Tx) -> None:
        identity.check_writable(tx, nouns.users.must(tx, user_id).domain_id)
        purge(keystone, tx, user_id)

    await keystone.change(write)


def purge(keystone: Keystone, tx: Tx, user_id: str) -> None:
    """Delete a user with everything that hangs on it."""
    assignments.forget_actor(tx, "user", user_id)
    for table in (
        tables.memberships,
        tables.credentials,
        tables.application_credentials,
        tables.access_rules,
        tables.passwords,
        tables.failures,
        tables.access_tokens,
        tables.federated_users,
        tables.expiring_memberships,
    ):
        tx.run(sql_delete(table).where(table.c.user_id == user_id))
    trusts = tables.trusts
    mine = (trusts.c.trustor_user_id == user_id) | (trusts.c.trustee_user_id == user_id)
    tx.run(sql_delete(trusts).where(mine))
    stores.users.delete(tx, C.id == user_id)
    revocation.record(keystone, tx, USER, user_id)


async def groups(keystone: Keystone, user_id: str, listing: Listing) -> list[Group]:
    """Return the groups of a user. Raises: NotFound."""

    now = keystone.clock.now()

    def read(tx: Tx) -> list[Group]:
        nouns.users.must(tx, user_id)
        ids = [
            *assignments.group_ids(tx, user_id),
            *identity.said_groups(keystone, tx, user_id, now),
        ]
        return stores.groups.page(tx, listing, tables.groups.c.id.in_(ids))

    return await keystone.db.read(read)


async def groups_end(keystone: Keystone, user_id: str) -> dict[str, float]:
    """Return when the groups end that identity providers say a user is in."""
    ttl = keystone.config.default_authorization_ttl
    return dict(await keystone.db.read(expiring_groups, user_id, ttl))


async def projects(
    keystone: Keystone, user_id: str, listing: Listing, groups: Sequence[str] = ()
) -> list[Project]:
    """Return the enabled projects on which a user has a role, inherited ones too.

    `groups` count as the user's.
    """
    now = keystone.clock.now()

    def read(tx: Tx) -> list[Project]:
        nouns.users.must(tx, user_id)
        more = (*groups, *identity.said_groups(keystone, tx, user_id, now))
        return projects_of(tx, user_id, listing, more)

    return await keystone.db.read(read)


async def domains(keystone: Keystone, user_id: str, groups: Sequence[str] = ()) -> list[Project]:
    """Return the domains on which a user has a role; `groups` count as the user's."""
    now = keystone.clock.now()

    def read(tx: Tx) -> list[Project]:
        return domains_of(tx, user_id, (*groups, *identity.said_groups(keystone, tx, user_id, now)))

    return await keystone.db.read(read)


def projects_of(
    tx: Tx, user_id: str, listing: Listing, groups: Sequence[str] = ()
) -> list[Project]:
    """Return the projects on which a user has a role; `groups` count as the user's."""
    held = assignments.of_user(tx, user_id, groups)
    ids = {a.target_id for a in held if a.target_kind == "project" and not a.inherited}
    tops = {a.target_id for a in held if a.inherited}
    while tops:  # Everything below an inherited assignment.
        c = tables.projects.c
        below = {r[0] for r in tx.all(select(c.id).where(c.parent_id.in_(tops)))} - ids
        ids |= below
        tops = below
    mine = tables.projects.c.id.in_(ids)
    return stores.projects.page(tx, listing, mine, tables.projects.c.is_domain.is_(False))


def domains_of(tx: Tx, user_id: str, groups: Sequence[str] = ()) -> list[Project]:
    """Return the domains on which a user has a role; `groups` count as the user's."""
    held = assignments.of_user(tx, user_id, groups)
    ids = [a.target_id for a in held if a.target_kind == "domain" and not a.inherited]
    return stores.projects.among(tx, ids)


async def add_to_group(keystone: Keystone, group_id: str, user_id: str) -> None:
    """Make a user a member; fine if it is one. Raises: NotFound."""

    def write(tx: Tx) -> None:
        group, user = nouns.groups.must(tx, group_id), nouns.users.must(tx, user_id)
        identity.check_writable(tx, group.domain_id, user.domain_id)
        if stores.memberships.get(tx, user_id, group_id) is None:
            stores.memberships.insert(tx, Membership(user_id, group_id))

    await keystone.change(write)


async def remove_from_group(keystone: Keystone, group_id: str, user_id: str) -> None:
    """End a membership. Raises: NotFound."""

    def write(tx: Tx) -> None:
        identity.check_writable(tx, is_member(tx, group_id, user_id).domain_id)
        m = tables.memberships.c
        stores.memberships.delete(tx, m.user_id == user_id, m.group_id == group_id)
        revocation.record(keystone, tx, USER, user_id)

    await keystone.change(write)


def is_member(tx: Tx, group_id: str, user_id: str) -> Group:
    """Return a group that the user is in. Raises: NotFound, unless it is."""
    group = nouns.groups.must(tx, group_id)
    nouns.users.must(tx, user_id)
    if stores.memberships.get(tx, user_id, group_id) is None:
        raise nouns.users.missing(f"{user_id} in group {group_id}")
    return group


async def in_group(keystone: Keystone, group_id: str, listing: Listing) -> list[User]:
    """Return the members of a group. Raises: NotFound."""

    def read(tx: Tx) -> list[User]:
        nouns.groups.must(tx, group_id)
        m = tables.memberships.c
        ids = select(m.user_id).where(m.group_id == group_id)
        return stores.users.page(tx, listing, C.id.in_(ids))

    return await keystone.db.read(read)

"""Letting in whom an identity provider vouches for: mapping, shadow user, groups, projects.

Source: keystone, "Federated Identity"; keystone.auth.plugins.mapped.
"""

from typing import Any
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict, Forbidden, Unauthorized
from aerostat.kit.log import Logger
from aerostat.services.keystone.db import actors, stores, tables
from aerostat.services.keystone.domain import (
    authentication,
    federated_projects,
    federated_sessions,
    federation,
    identity,
    revocation,
)
from aerostat.services.keystone.domain.federation import Provider
from aerostat.services.keystone.domain.proofs import Federated, Proven, check_active, find_user
from aerostat.services.keystone.domain.tokens import Resolved, refusal
from aerostat.services.keystone.model.actors import User
from aerostat.services.keystone.model.auth import ScopeRequest, UserRef
from aerostat.services.keystone.model.directories import id_mapping
from aerostat.services.keystone.model.federation import (
    Assertion,
    ExpiringMembership,
    FederatedUser,
    Mapping,
)
from aerostat.services.keystone.model.mapping_engine import Mapped, MappingFailed, apply
from aerostat.services.keystone.model.revocations import USER
from aerostat.services.keystone.runtime import Keystone

log = Logger("keystone")

METHODS = ("mapped", "saml2", "openid")
"""What tokens say of protocols by these names; of others they say the first."""

NAME_MAX = 255
"""Characters of a name, and of what a provider calls a user."""

U, F, E = tables.users.c, tables.federated_users.c, tables.expiring_memberships.c


class Way(Struct, frozen=True):
    """The identity provider and protocol by which somebody comes, and what maps them."""

    provider: Provider
    protocol_id: str
    remote_id_attribute: str
    mapping: Mapping | None


class Shadow(Struct, frozen=True):
    """An ephemeral user as a mapping describes it."""

    unique_id: str
    name: str
    email: str
    domain_id: str


async def way_in(keystone: Keystone, idp_id: str, protocol_id: str) -> Way:
    """Return the way in. Raises: NotFound, Forbidden (the provider is disabled)."""

    def read(tx: Tx) -> Way:
        provider = federation.provider_of(tx, idp_id)
        if not provider.row.enabled:
            raise Forbidden(f"Identity Provider {idp_id} is disabled")
        protocol = federation.protocol_of(tx, idp_id, protocol_id)
        mapping = stores.mappings.get(tx, protocol.mapping_id)
        return Way(provider, protocol_id, protocol.remote_id_attribute or "", mapping)

    return await keystone.db.read(read)


async def ways_by(keystone: Keystone, protocol_id: str) -> list[Way]:
    """Return the ways in by a protocol, of every enabled provider."""

    def read(tx: Tx) -> list[Way]:
        p = tables.federation_protocols.c
        found = []
        for protocol in stores.federation_protocols.all(tx, p.id == protocol_id):
            provider = federation.provider_of(tx, protocol.idp_id)
            if provider.row.enabled:
                attribute = protocol.remote_id_attribute or ""
                mapping = stores.mappings.get(tx, protocol.mapping_id)
                found.append(Way(provider, protocol_id, attribute, mapping))
        return found

    return await keystone.db.read(read)


async def log_in(keystone: Keystone, way: Way, assertion: Assertion, receipt: str = "") -> Resolved:
    """Return an unscoped token for whom `assertion`, which was verified, is about.

    `receipt` stands for further methods, of a login that began elsewhere.

    Raises: Unauthorized (nobody here, or a group that is not there), Forbidden (another
    provider's assertion; a role of a foreign domain), MoreNeeded.
    """
    await revocation.refresh(keystone)
    _check_origin(way, assertion)
    if any("\0" in value for values in assertion.attributes.values() for value in values):
        raise refusal("an attribute is no text: it has a NUL")
    if way.mapping is None:
        raise refusal("the protocol's mapping is gone")
    try:
        mapped = apply(way.mapping, assertion.attributes)
    except MappingFailed as why:
        raise Unauthorized(str(why), detail=f"mapping {way.mapping.id}") from why
    method = way.protocol_id if way.protocol_id in METHODS else METHODS[0]
    if method not in keystone.config.methods:
        raise Unauthorized("Attempted to authenticate with an unsupported method.")
    if mapped.user["type"] == "local":
        proven = await _local(keystone, mapped, method)
    else:
        proven = await _ephemeral(keystone, way, mapped, method)
    found = await authentication.let_in(keystone, proven, ScopeRequest(), receipt)
    await federated_sessions.begin(keystone, (way.provider.id, way.protocol_id), assertion, found)
    return found


def _check_origin(way: Way, assertion: Assertion) -> None:
    known = way.provider.remote_ids
    if not known:
        return
    said: tuple[str, ...] = (assertion.remote_id,)
    if way.remote_id_attribute:
        said = tuple(assertion.attributes.get(way.remote_id_attribute, ()))
    if not said:
        raise Unauthorized("Could not find Identity Provider identifier in environment")
    if any(name not in known for name in said):
        raise Forbidden(
            "Incoming identity provider identifier not included among the accepted identifiers."
        )


async def _local(keystone: Keystone, mapped: Mapped, method: str) -> Proven:
    user, domain = mapped.user, mapped.user.get("domain") or {}
    ref = UserRef(
        user.get("id", ""), user.get("name", ""), domain.get("id", ""), domain.get("name", "")
    )
    if not ref.id and not (ref.name and (ref.domain_id or ref.domain_name)):
        raise refusal("a local user needs an id, or a name and a domain")
    record = await find_user(keystone, ref)
    if record is None:
        raise refusal("the mapped local user is not there")
    check_active(keystone, record)
    return Proven(record, (method,))


async def _ephemeral(keystone: Keystone, way: Way, mapped: Mapped, method: str) -> Proven:
    for group_id in mapped.group_ids:  # A directory's group may not have been looked at yet.
        await identity.group(keystone, group_id)

    def write(tx: Tx) -> tuple[str, tuple[str, ...]]:
        groups = _groups(tx, way, mapped)
        shadow = _shadow(tx, way, mapped)
        user_id = _keep_user(keystone, tx, way, shadow)
        _keep_groups(keystone, tx, (user_id, way.provider.id), groups)
        federated_projects.provision(keystone, tx, user_id, mapped, way.provider.row.domain_id)
        if way.provider.row.authorization_ttl or keystone.config.default_authorization_ttl:
            keystone.note_change(tx)  # Groups last longer now.
        return user_id, groups

    try:
        user_id, groups = await keystone.db.write(write)
    except Conflict:  # The same user came for the first time, at the same moment.
        user_id, groups = await keystone.db.write(write)
    record = await keystone.remember(actors.user_record, user_id)
    if record is None:
        raise refusal("the user was deleted meanwhile")
    check_active(keystone, record)
    said = Federated(way.provider.id, way.protocol_id, groups)
    return Proven(record, (method,), federated=said)


def _groups(tx: Tx, way: Way, mapped: Mapped) -> tuple[str, ...]:
    assert way.mapping is not None
    present = {group.id for group in stores.groups.among(tx, mapped.group_ids)}
    for group_id in mapped.group_ids:
        if group_id not in present:
            raise Unauthorized(
                f"Group {group_id} returned by mapping {way.mapping.id} was not found in the "
                "backend."
            )
    named = []
    for wanted in mapped.group_names:
        domain = actors.domain_of(tx, wanted.domain_id, wanted.domain_name)
        g = tables.groups.c
        where = (g.domain_id == (domain.id if domain else ""), g.name == wanted.name)
        group = stores.groups.first(tx, *where)
        if group is None:  # As upstream: a provider has more groups than a cloud.
            log.debug("federation.group_unknown", group=wanted.name, idp_id=way.provider.id)
        else:
            named.append(group.id)
    return tuple(dict.fromkeys((*mapped.group_ids, *named)))


def _shadow(tx: Tx, way: Way, mapped: Mapped) -> Shadow:
    user: dict[str, Any] = mapped.user
    name = user.get("name") or user.get("id")
    if not name:
        raise refusal("the mapping names neither a user's id nor a name")
    unique_id = quote(user.get("id") or name)
    if len(unique_id) > NAME_MAX or len(name) > NAME_MAX:
        raise refusal("the user's id or name is too long")
    domain_id = way.provider.row.domain_id
    if wanted := user.get("domain"):
        domain = actors.domain_of(tx, wanted.get("id", ""), wanted.get("name", ""))
        if domain is None:
            raise refusal("the mapped domain is not there")
        domain_id = domain.id
    return Shadow(unique_id, name, user.get("email", ""), domain_id)


def _keep_user(keystone: Keystone, tx: Tx, way: Way, shadow: Shadow) -> str:
    """Make the user known, by provider, protocol and id together; return its id here."""
    key = (way.provider.id, way.protocol_id, shadow.unique_id)
    link = stores.federated_users.get(tx, *key)
    if link is None:
        user_id = _new_user(keystone, tx, shadow)
        stores.federated_users.insert(tx, FederatedUser(*key, user_id, shadow.name))
        return user_id
    user = stores.users.get(tx, link.user_id)
    if user is None:
        raise refusal("the user is gone")
    changes: dict[str, Any] = {}
    if link.display_name != shadow.name:
        stores.federated_users.update(tx, replace(link, display_name=shadow.name))
        if not user.password_hash and user.name in (
            link.display_name,
            _other_name(link.display_name, user.id),
        ):
            changes["name"] = _free_name(tx, shadow.name, user.domain_id, user.id)
    if shadow.email and user.extra.get("email") != shadow.email:
        changes["extra"] = {**user.extra, "email": shadow.email}
    if changes:
        keystone.note_change(tx)
        stores.users.update(tx, replace(user, **changes))
    return user.id


def _new_user(keystone: Keystone, tx: Tx, shadow: Shadow) -> str:
    identity.check_writable(tx, shadow.domain_id)
    user_id = id_mapping(shadow.domain_id, shadow.unique_id, "user").public_id
    if stores.users.get(tx, user_id) is not None:
        user_id = keystone.ids()  # Somebody else's, of another provider or protocol.
    keystone.note_change(tx)
    extra = {"email": shadow.email} if shadow.email else {}
    name = _free_name(tx, shadow.name, shadow.domain_id, user_id)
    now = keystone.clock.now()
    user = User(user_id, name, shadow.domain_id, True, "", "", None, {}, extra, now, now)
    stores.users.insert(tx, user)
    return user_id


def _free_name(tx: Tx, name: str, domain_id: str, user_id: str) -> str:
    """Return `name`, or one like it: names are unique in a domain here, whoever gives them."""
    taken = stores.users.first(tx, U.domain_id == domain_id, U.name == name, U.id != user_id)
    return name if taken is None else _other_name(name, user_id)


def _other_name(name: str, user_id: str) -> str:
    return f"{name[: NAME_MAX - 15]} ({user_id[:12]})"


def _keep_groups(
    keystone: Keystone, tx: Tx, whose: tuple[str, str], groups: tuple[str, ...]
) -> None:
    """Make these the groups that the provider says; who lost one, lost its tokens."""
    user_id, idp_id = whose
    mine = (E.user_id == user_id, E.idp_id == idp_id)
    before = {row.group_id for row in stores.expiring_memberships.all(tx, *mine)}
    stores.expiring_memberships.delete(tx, *mine)
    now = keystone.clock.now()
    rows = [ExpiringMembership(user_id, group_id, idp_id, now) for group_id in groups]
    stores.expiring_memberships.insert(tx, *rows)
    if before != set(groups):
        keystone.note_change(tx)
    if before - set(groups):
        revocation.record(keystone, tx, USER, user_id)

"""Credentials, application credentials and access rules of users."""

import base64
import hashlib
from typing import Any

from msgspec.structs import replace
from sqlalchemy import select

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, Forbidden
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.db.assignments import role_graph, role_ids_on_project
from aerostat.services.keystone.domain import identity, nouns
from aerostat.services.keystone.hasher import BCRYPT_BYTES_MAX
from aerostat.services.keystone.model.listing import Listing
from aerostat.services.keystone.model.secrets import AccessRule, ApplicationCredential, Credential
from aerostat.services.keystone.runtime import Keystone

A = tables.application_credentials.c
R = tables.access_rules.c


def sealed(keystone: Keystone, credential: Credential) -> Credential:
    """Return `credential` with its blob encrypted under the primary key."""
    keys = keystone.credential_keys
    blob = keys.encrypt(credential.blob.encode())
    return replace(credential, blob=blob, key_hash=keys.primary_hash)


def unsealed(keystone: Keystone, credential: Credential) -> Credential:
    """Return `credential` with its blob in clear."""
    return replace(credential, blob=keystone.credential_keys.decrypt(credential.blob).decode())


async def create_credential(keystone: Keystone, credential: Credential) -> Credential:
    """Store a credential, sealed. Raises: Conflict, Forbidden (too many)."""

    def write(tx: Tx) -> None:
        most = keystone.config.user_credential_limit
        mine = tables.credentials.c.user_id == credential.user_id
        if 0 <= most <= len(stores.credentials.all(tx, mine)):
            raise _too_many(most)
        if stores.credentials.get(tx, credential.id) is not None:
            raise Conflict(
                "Conflict occurred attempting to store credential - Duplicate entry found with "
                f"ID {credential.id}."
            )
        stores.credentials.insert(tx, sealed(keystone, credential))

    await keystone.db.write(write)
    return credential


async def update_credential(
    keystone: Keystone, credential_id: str, changes: dict[str, Any]
) -> Credential:
    """Change a credential. Raises: NotFound."""

    def write(tx: Tx) -> Credential:
        before = unsealed(keystone, nouns.credentials.must(tx, credential_id))
        item = nouns.changed(before, changes)
        stores.credentials.update(tx, sealed(keystone, item))
        return item

    return await keystone.db.write(write)


def _too_many(most: int) -> Forbidden:
    return Forbidden(
        f"Unable to create additional credentials, maximum of {most} already exceeded for user."
    )


async def reseal(keystone: Keystone) -> int:
    """Encrypt every credential that rests under an older key with the primary one; count them."""

    def write(tx: Tx) -> int:
        primary = keystone.credential_keys.primary_hash
        older = tables.credentials.c.key_hash != primary
        found = stores.credentials.page(tx, Listing(limit=RESEALED_MAX), older)
        for credential in found:
            stores.credentials.update(tx, sealed(keystone, unsealed(keystone, credential)))
        return len(found)

    total = 0
    while found := await keystone.db.write(write):
        total += found
    return total


RESEALED_MAX = 200
"""Credentials, and one more, that a transaction encrypts again."""


def whole(secret: str) -> str:
    """Return what is hashed of a secret, so that bcrypt's 72 bytes tell all of it.

    Source: CVE-2021-3563.
    """
    raw = secret.encode("utf-8", "surrogatepass")
    if len(raw) <= BCRYPT_BYTES_MAX:
        return secret
    return base64.b64encode(hashlib.sha256(raw).digest()).decode()


async def create_application_credential(
    keystone: Keystone,
    wanted: ApplicationCredential,
    secret: str,
    role_refs: list[dict[str, str]] | None,
    rules: list[AccessRule],
) -> tuple[ApplicationCredential, str]:
    """Store an application credential; return it with its secret, made here if it is "".

    `wanted.roles` names the roles of the caller's token: the new one never has more, and has
    all of them without `role_refs`.
    Raises: BadRequest (a role the user has not), Conflict (the name), NotFound.
    """
    secret = secret or base64.urlsafe_b64encode(keystone.randomness(64)).decode().rstrip("=")
    hashed = await keystone.hasher.hash(whole(secret))

    now = keystone.clock.now()

    def write(tx: Tx) -> ApplicationCredential:
        said = identity.said_groups(keystone, tx, wanted.user_id, now)
        roles = _roles(tx, wanted, role_refs, said)
        most = keystone.config.user_limit
        if 0 <= most <= len(stores.application_credentials.all(tx, A.user_id == wanted.user_id)):
            raise _too_many(most)
        same = (A.user_id == wanted.user_id, A.name == wanted.name)
        if stores.application_credentials.first(tx, *same) is not None:
            raise Conflict(
                "Conflict occurred attempting to store application_credential - Duplicate entry "
                f"found with name {wanted.name}."
            )
        ids = [_rule(tx, rule).id for rule in rules]
        made = replace(wanted, secret_hash=hashed, roles=roles, access_rules=ids)
        stores.application_credentials.insert(tx, made)
        return made

    return await keystone.change(write), secret


def _roles(
    tx: Tx,
    wanted: ApplicationCredential,
    refs: list[dict[str, str]] | None,
    groups: tuple[str, ...],
) -> list[str]:
    graph = role_graph(tx)
    place = (wanted.user_id, wanted.project_id, groups)
    on_project = graph.expand(role_ids_on_project(tx, *place))
    held = [r.id for r in on_project if r.name in wanted.roles]
    if not refs:
        return held
    by_name = {r.name: r.id for r in graph.roles.values() if not r.domain_id}
    ids = []
    for ref in refs:
        role_id = ref.get("id") or by_name.get(ref.get("name", ""), "")
        if not role_id:
            raise nouns.roles.missing(ref.get("name", ""))
        if role_id not in held:
            raise BadRequest(
                "Invalid application credential: Could not find role assignment with role: "
                f"{role_id}, user or group: {wanted.user_id}, project: {wanted.project_id}."
            )
        ids.append(role_id)
    return ids


def _rule(tx: Tx, rule: AccessRule) -> AccessRule:
    known = stores.access_rules.first(
        tx,
        R.user_id == rule.user_id,
        (R.id == rule.id)
        | ((R.service == rule.service) & (R.method == rule.method) & (R.path == rule.path)),
    )
    if known is not None:
        return known
    if not (rule.service and rule.method and rule.path):
        raise nouns.access_rules.missing(rule.id)
    stores.access_rules.insert(tx, rule)
    return rule


async def of_user(keystone: Keystone, user_id: str, name: str) -> list[ApplicationCredential]:
    """Return the application credentials of a user."""
    conds = [A.user_id == user_id, *([A.name == name] if name else [])]
    return await keystone.db.read(stores.application_credentials.all, *conds)


async def application_credential(
    keystone: Keystone, user_id: str, credential_id: str
) -> ApplicationCredential:
    """Return one of a user's application credentials. Raises: NotFound."""
    found = await nouns.find(keystone, nouns.application_credentials, credential_id)
    if found.user_id != user_id:
        raise nouns.application_credentials.missing(credential_id)
    return found


async def delete_application_credential(
    keystone: Keystone, user_id: str, credential_id: str
) -> None:
    """Delete one of a user's application credentials; its tokens end. Raises: NotFound."""
    await application_credential(keystone, user_id, credential_id)
    await keystone.change(stores.application_credentials.delete, A.id == credential_id)


async def rules_of(keystone: Keystone, user_id: str) -> list[AccessRule]:
    """Return the access rules of a user."""
    return await keystone.db.read(stores.access_rules.all, R.user_id == user_id)


async def access_rule(keystone: Keystone, user_id: str, rule_id: str) -> AccessRule:
    """Return one of a user's access rules. Raises: NotFound."""
    found = await nouns.find(keystone, nouns.access_rules, rule_id)
    if found.user_id != user_id:
        raise nouns.access_rules.missing(rule_id)
    return found


async def delete_access_rule(keystone: Keystone, user_id: str, rule_id: str) -> None:
    """Delete an access rule that nothing uses. Raises: NotFound, Forbidden."""

    def write(tx: Tx) -> None:
        for row in tx.all(select(A.access_rules).where(A.user_id == user_id)):
            if rule_id in row[0]:
                raise Forbidden(f"Access rule {rule_id} is in use by an application credential.")
        stores.access_rules.delete(tx, R.id == rule_id)

    await access_rule(keystone, user_id, rule_id)
    await keystone.change(write)


async def expanded(
    keystone: Keystone, credential: ApplicationCredential
) -> tuple[list[dict[str, Any]], list[AccessRule]]:
    """Return the roles (id, name, domain_id) and the access rules of an application credential."""
    graph = await keystone.remember(role_graph)
    roles = [graph.roles[r] for r in credential.roles if r in graph.roles]
    rules = await keystone.db.read(stores.access_rules.among, credential.access_rules)
    shown = [{"id": r.id, "name": r.name, "domain_id": r.domain_id or None} for r in roles]
    return shown, rules

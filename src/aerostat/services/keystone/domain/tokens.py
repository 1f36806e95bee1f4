"""What a token is worth right now: its user, scope and roles, or nothing.

A token carries ids only. Whatever it depends on (user, project, roles, delegation) is looked up
once per generation and remembered, so that a second look costs a dictionary access.
"""

import base64
from dataclasses import dataclass

from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import NotFound, Unauthorized
from aerostat.services.keystone.db import actors, stores
from aerostat.services.keystone.db.assignments import (
    role_graph,
    role_ids_on,
    role_ids_on_project,
)
from aerostat.services.keystone.model import tokens
from aerostat.services.keystone.model.actors import Project
from aerostat.services.keystone.model.roles import Role
from aerostat.services.keystone.model.secrets import AccessRule, ApplicationCredential, Trust
from aerostat.services.keystone.model.tokens import Token
from aerostat.services.keystone.runtime import Keystone

SYSTEM_TARGET = "system"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A valid token and all that it means. `domain` is the project's or the scope itself."""

    text: str
    token: Token
    user: actors.UserRecord
    project: Project | None
    domain: Project | None
    roles: tuple[Role, ...]
    application_credential: ApplicationCredential | None
    access_rules: tuple[AccessRule, ...] | None
    trust: Trust | None
    context: Context


@dataclass(frozen=True, slots=True)
class _Delegation:
    credential: ApplicationCredential | None
    rules: tuple[AccessRule, ...] | None
    trust: Trust | None


async def resolve(keystone: Keystone, text: str, *, expired_for: int = 0) -> Resolved:
    """Return what the token `text` is worth; `expired_for` seconds after its end at the most.

    Raises: NotFound (malformed, expired, revoked, or worth nothing any more).
    """
    now = keystone.clock.now()
    hit: Resolved | None = keystone.resolved.get(text)
    if hit is not None and hit.token.expires_at + expired_for > now:
        keystone.resolved.move_to_end(text)
        return hit
    try:
        token = tokens.unpack(keystone.keyring.decrypt(text))
    except ValueError as why:
        raise NotFound("Failed to validate token") from why
    if token.expires_at + expired_for <= now:
        raise NotFound("Failed to validate token")
    generation = keystone.generation
    try:
        found = await assess(keystone, text, token)
    except Unauthorized as why:
        raise NotFound("Failed to validate token", detail=why.detail) from why
    keep(keystone, found, generation)
    return found


def keep(keystone: Keystone, found: Resolved, generation: int) -> None:
    """Remember `found`, unless something changed since `generation`, when it was looked up."""
    if generation == keystone.generation:
        keystone.resolved[found.text] = found
        if len(keystone.resolved) > keystone.config.token_cache_entries:
            keystone.resolved.popitem(last=False)


async def assess(keystone: Keystone, text: str, token: Token) -> Resolved:
    """Return what `token` is worth, whether it is only planned or has been given out.

    Raises: Unauthorized, with the reason in its detail.
    """
    user = await keystone.remember(actors.user_record, token.user_id)
    if user is None or not (user.user.enabled and user.domain.enabled):
        raise refusal("user is gone or disabled")
    project, domain = await _scope(keystone, token)
    scope_domain = domain.id if domain else ""
    if keystone.revocations.revoked(token, user.user.domain_id, scope_domain):
        raise refusal("token is revoked")
    delegation = await _delegation(keystone, token)
    roles = await _roles(keystone, token, delegation)
    context = _context(text, token, user, (project, domain, roles), delegation)
    return Resolved(
        text,
        token,
        user,
        project,
        domain,
        roles,
        delegation.credential,
        delegation.rules,
        delegation.trust,
        context,
    )


async def on_system(keystone: Keystone, user_id: str) -> bool:
    """Tell whether a user has a role on the system."""
    return bool(await keystone.remember(role_ids_on, user_id, tokens.SYSTEM, SYSTEM_TARGET))


def refusal(detail: str) -> Unauthorized:
    """Return the one answer to whoever may not come in; the reason is for the log."""
    return Unauthorized("The request you have made requires authentication.", detail=detail)


def new_audit_id(keystone: Keystone) -> str:
    """Return an audit id: 16 random bytes, as 22 characters."""
    return base64.urlsafe_b64encode(keystone.randomness(16)).decode().rstrip("=")


async def _scope(keystone: Keystone, token: Token) -> tuple[Project | None, Project | None]:
    if token.scope not in (tokens.PROJECT, tokens.DOMAIN):
        return None, None
    record = await keystone.remember(actors.project_record, token.scope_id)
    if record is None or not (record.project.enabled and record.domain.enabled):
        raise refusal("scope is gone or disabled")
    if token.scope == tokens.DOMAIN:
        if not record.project.is_domain:
            raise refusal("scope is not a domain")
        return None, record.project
    return record.project, record.domain


async def _delegation(keystone: Keystone, token: Token) -> _Delegation:
    if token.application_credential_id:
        found = await keystone.remember(_credential, token.application_credential_id)
        if found is None or found[0].user_id != token.user_id:
            raise refusal("application credential is gone")
        until = found[0].expires_at
        if until is not None and until <= keystone.clock.now():
            raise refusal("application credential has expired")
        return _Delegation(found[0], found[1], None)
    if token.trust_id:
        return _Delegation(None, None, await _live_trust(keystone, token))
    return _Delegation(None, None, None)


async def _live_trust(keystone: Keystone, token: Token) -> Trust:
    trust = await keystone.remember(stores.trusts.get, token.trust_id)
    now = keystone.clock.now()
    if trust is None or trust.deleted_at is not None or (trust.expires_at or now + 1) <= now:
        raise refusal("trust is gone")
    for user_id in (trust.trustor_user_id, trust.trustee_user_id):
        record = await keystone.remember(actors.user_record, user_id)
        if record is None or not (record.user.enabled and record.domain.enabled):
            raise refusal("a party of the trust is gone or disabled")
    return trust


def _credential(
    tx: Tx, credential_id: str
) -> tuple[ApplicationCredential, tuple[AccessRule, ...] | None] | None:
    credential = stores.application_credentials.get(tx, credential_id)
    if credential is None:
        return None
    wanted = credential.access_rules
    return credential, tuple(stores.access_rules.among(tx, wanted)) if wanted else None


async def _roles(keystone: Keystone, token: Token, delegation: _Delegation) -> tuple[Role, ...]:
    if token.scope == tokens.UNSCOPED:
        return ()
    graph = await keystone.remember(role_graph)
    trust, credential = delegation.trust, delegation.credential
    holder = trust.trustor_user_id if trust else token.user_id
    held = {r.id for r in graph.expand(await _held(keystone, holder, token))}
    if credential is not None:
        held &= set(credential.roles)
    if trust is not None:
        if not set(trust.roles) <= held:
            raise refusal("the trustor no longer has the roles")
        held = set(trust.roles)
    roles = tuple(graph.expand(held))
    if not roles:
        raise refusal("no role on the scope")
    return roles


async def _held(keystone: Keystone, user_id: str, token: Token) -> frozenset[str]:
    if token.scope == tokens.PROJECT:
        return await keystone.remember(role_ids_on_project, user_id, token.scope_id)
    target = SYSTEM_TARGET if token.scope == tokens.SYSTEM else token.scope_id
    return await keystone.remember(role_ids_on, user_id, token.scope, target)


def _context(
    text: str,
    token: Token,
    user: actors.UserRecord,
    scope: tuple[Project | None, Project | None, tuple[Role, ...]],
    delegation: _Delegation,
) -> Context:
    project, domain, roles = scope
    extra: dict[str, object] = {}
    if delegation.credential is not None:
        extra["application_credential_id"] = delegation.credential.id
        extra["restricted"] = not delegation.credential.unrestricted
        if delegation.rules is not None:
            extra["access_rules"] = [(r.service, r.method, r.path) for r in delegation.rules]
    if delegation.trust is not None:
        extra["trust_id"] = delegation.trust.id
        extra["trustee_id"] = delegation.trust.trustee_user_id
    return Context(
        request_id="",
        user_id=user.user.id,
        user_name=user.user.name,
        user_domain_id=user.domain.id,
        project_id=project.id if project else "",
        project_name=project.name if project else "",
        project_domain_id=domain.id if project and domain else "",
        domain_id=domain.id if domain and not project else "",
        system_scope="all" if token.scope == tokens.SYSTEM else "",
        roles=tuple(role.name for role in roles),
        token=text,
        extra=extra,
    )

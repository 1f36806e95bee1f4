"""What a token is worth right now: its user, scope and roles, or nothing.

A token carries ids only. Whatever it depends on (user, project, roles, delegation) is looked up
once per generation and remembered, so that a second look costs a dictionary access.
"""

import base64
import math
from collections.abc import Hashable
from dataclasses import dataclass

from msgspec import Struct

from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import NotFound, Unauthorized
from aerostat.services.keystone.db import actors, stores
from aerostat.services.keystone.db.assignments import (
    role_graph,
    role_ids_on,
    role_ids_on_project,
)
from aerostat.services.keystone.db.federation import expiring_groups
from aerostat.services.keystone.domain import identity, revocation
from aerostat.services.keystone.model import tokens
from aerostat.services.keystone.model.actors import Project, User
from aerostat.services.keystone.model.revocations import Ties
from aerostat.services.keystone.model.roles import Role
from aerostat.services.keystone.model.secrets import (
    AccessRule,
    AccessToken,
    ApplicationCredential,
    Trust,
)
from aerostat.services.keystone.model.tokens import SIGNED, SYSTEM_TARGET, Token
from aerostat.services.keystone.runtime import Keystone


class Worth(Struct, frozen=True):
    """What tokens mean that differ in nothing but their times, methods and audit ids.

    `domain` is the project's or the scope itself. `until` is when it may change by time alone:
    a group of the user or a delegation ends. `shown` keeps what all of them show alike, encoded.
    """

    user: actors.UserRecord
    project: Project | None
    domain: Project | None
    roles: tuple[Role, ...]
    application_credential: ApplicationCredential | None
    access_rules: tuple[AccessRule, ...] | None
    trust: Trust | None
    access_token: AccessToken | None
    context: Context
    until: float = math.inf
    shown: dict[bool, bytes] = {}

    def of(self, text: str, token: Token) -> "Resolved":
        """Return one of these tokens."""
        return Resolved(
            self.user,
            self.project,
            self.domain,
            self.roles,
            self.application_credential,
            self.access_rules,
            self.trust,
            self.access_token,
            self.context,
            self.until,
            self.shown,
            text=text,
            token=token,
        )


class Resolved(Worth, frozen=True, kw_only=True):
    """A valid token and all that it means."""

    text: str
    token: Token


@dataclass(frozen=True, slots=True)
class _Delegation:
    credential: ApplicationCredential | None = None
    rules: tuple[AccessRule, ...] | None = None
    trust: Trust | None = None
    grantor_id: str = ""
    access_token: AccessToken | None = None
    until: float = math.inf


async def resolve(keystone: Keystone, text: str, *, expired_for: int = 0) -> Resolved:
    """Return what the token `text` is worth; `expired_for` seconds after its end at the most.

    Raises: NotFound (malformed, expired, revoked, or worth nothing any more).
    """
    await revocation.refresh(keystone)
    return await look_up(keystone, text, expired_for=expired_for)


async def look_up(keystone: Keystone, text: str, *, expired_for: int = 0) -> Resolved:
    """Do as `resolve` for a request that has seen to it that nothing old is remembered.

    Raises: NotFound.
    """
    now = keystone.clock.now()
    hit: Resolved | None = keystone.resolved.get(text)
    if (
        hit is not None
        and hit.token.expires_at + expired_for > now
        and hit.until > now
        and identity.good_until(keystone, hit.token.user_id) > now
    ):
        keystone.resolved.move_to_end(text)
        return hit
    try:
        token = keystone.token_format.read(text)
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
    user = await active_user(keystone, token.user_id)
    key = _alike(token)
    worth: Worth | None = keystone.memo.get(key)
    if worth is None or worth.until <= keystone.clock.now():
        generation = keystone.generation
        worth = await _worth(keystone, token, user)
        keystone.note(key, worth, generation)
    if keystone.revocations.revoked(token, _ties(worth)):
        raise refusal("token is revoked")
    return worth.of(text, token)


def _alike(token: Token) -> Hashable:
    """Return what tokens of the same worth have in common."""
    return (
        Worth,
        token.user_id,
        token.scope,
        token.scope_id,
        token.application_credential_id,
        token.trust_id,
        token.access_token_id,
        token.idp_id,
        token.protocol_id,
        token.group_ids,
        token.thumbprint,
        SIGNED in token.methods,
    )


async def _worth(keystone: Keystone, token: Token, user: actors.UserRecord) -> Worth:
    project, domain = await _scope(keystone, token)
    delegation = await _delegation(keystone, token)
    await _federated(keystone, token)
    groups, until = await _groups(keystone, token, delegation)
    roles = await _roles(keystone, token, delegation, groups)
    return Worth(
        user,
        project,
        domain,
        roles,
        delegation.credential,
        delegation.rules,
        delegation.trust,
        delegation.access_token,
        _context(token, user, (project, domain, roles), delegation),
        min(until, delegation.until),
    )


async def active_user(keystone: Keystone, user_id: str) -> actors.UserRecord:
    """Return a user who may come in. Raises: Unauthorized (gone, disabled, idle for too long)."""
    found = await identity.record(keystone, user_id)
    if found is None or not found.domain.enabled or not is_active(keystone, found.user):
        raise refusal("user is gone or disabled")
    return found


def is_active(keystone: Keystone, user: User) -> bool:
    """Tell whether a user is enabled and has logged in recently enough."""
    days = keystone.config.disable_user_account_days_inactive
    last = user.last_active_at or user.created_at
    if not user.enabled or not days or last is None or user.options.get("ignore_user_inactivity"):
        return user.enabled
    return keystone.clock.now() // DAY_S - last // DAY_S < days


DAY_S = 86_400


def _ties(worth: Worth) -> Ties:
    domain, trust, access = worth.domain, worth.trust, worth.access_token
    return Ties(
        (worth.user.user.domain_id, domain.id if domain else ""),
        (trust.trustor_user_id, trust.trustee_user_id) if trust else (),
        access.consumer_id if access else "",
    )


async def on_system(keystone: Keystone, user_id: str, groups: tuple[str, ...]) -> bool:
    """Tell whether a user has a role on the system; `groups` count as the user's."""
    where = (user_id, tokens.SYSTEM, SYSTEM_TARGET, groups)
    return bool(await keystone.remember(role_ids_on, *where))


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
        return _Delegation(found[0], found[1], until=math.inf if until is None else until)
    if token.trust_id:
        return await _live_trust(keystone, token)
    if token.access_token_id:
        access = await keystone.remember(stores.access_tokens.get, token.access_token_id)
        if access is None or access.user_id != token.user_id:
            raise refusal("access token is gone")
        return _Delegation(access_token=access)
    return _Delegation()


async def _live_trust(keystone: Keystone, token: Token) -> _Delegation:
    """Return the trust; the grantor is at the head of its chain, whose roles it gives."""
    chain = await keystone.remember(trust_chain, token.trust_id)
    until = math.inf
    for trust in chain:
        until = min(until, trust.expires_at or math.inf)
        if trust.deleted_at is not None or until <= keystone.clock.now():
            raise refusal("trust is gone")
        for user_id in (trust.trustor_user_id, trust.trustee_user_id):
            await active_user(keystone, user_id)
            until = min(until, identity.good_until(keystone, user_id))
    if not chain or chain[-1].redelegated_trust_id:
        raise refusal("trust is gone")
    return _Delegation(trust=chain[0], grantor_id=chain[-1].trustor_user_id, until=until)


def trust_chain(tx: Tx, trust_id: str) -> tuple[Trust, ...]:
    """Return a trust and those that it was passed on from, the first one last."""
    chain: list[Trust] = []
    while trust_id and (trust := stores.trusts.get(tx, trust_id)) is not None:
        chain.append(trust)
        trust_id = trust.redelegated_trust_id
    return tuple(chain)


def _credential(
    tx: Tx, credential_id: str
) -> tuple[ApplicationCredential, tuple[AccessRule, ...] | None] | None:
    credential = stores.application_credentials.get(tx, credential_id)
    if credential is None:
        return None
    wanted = credential.access_rules
    return credential, tuple(stores.access_rules.among(tx, wanted)) if wanted else None


async def _federated(keystone: Keystone, token: Token) -> None:
    """Raises: Unauthorized, if the identity provider behind the token is no longer trusted."""
    if token.idp_id:
        provider = await keystone.remember(stores.identity_providers.get, token.idp_id)
        if provider is None or not provider.enabled:
            raise refusal("identity provider is gone or disabled")


async def _groups(
    keystone: Keystone, token: Token, delegation: _Delegation
) -> tuple[tuple[str, ...], float]:
    """Return the groups that identity providers say the holder is in, and until when."""
    holder = delegation.grantor_id or token.user_id
    now, ttl = keystone.clock.now(), keystone.config.default_authorization_ttl
    known = await keystone.remember(expiring_groups, holder, ttl)
    live = [(group, end) for group, end in known if end > now]
    until = min((end for _, end in live), default=math.inf)
    own = token.group_ids if holder == token.user_id else ()
    return tuple(dict.fromkeys((*own, *(group for group, _ in live)))), until


async def _roles(
    keystone: Keystone, token: Token, delegation: _Delegation, groups: tuple[str, ...]
) -> tuple[Role, ...]:
    if token.scope == tokens.UNSCOPED:
        return ()
    graph = await keystone.remember(role_graph)
    trust, credential = delegation.trust, delegation.credential
    holder = delegation.grantor_id or token.user_id
    held = {r.id for r in graph.expand(await _held(keystone, holder, token, groups))}
    if credential is not None:
        held &= set(credential.roles)
    if delegation.access_token is not None:
        held &= set(delegation.access_token.roles)
    if trust is not None:
        if not set(trust.roles) <= held:
            raise refusal("the trustor no longer has the roles")
        held = set(trust.roles)
    roles = tuple(graph.expand(held))
    if not roles:
        raise refusal("no role on the scope")
    return roles


async def _held(
    keystone: Keystone, user_id: str, token: Token, groups: tuple[str, ...]
) -> frozenset[str]:
    if token.scope == tokens.PROJECT:
        return await keystone.remember(role_ids_on_project, user_id, token.scope_id, groups)
    target = SYSTEM_TARGET if token.scope == tokens.SYSTEM else token.scope_id
    return await keystone.remember(role_ids_on, user_id, token.scope, target, groups)


def _context(
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
        extra["trustor_id"] = delegation.trust.trustor_user_id
    if delegation.access_token is not None:
        extra["access_token_id"] = delegation.access_token.id
        extra["consumer_id"] = delegation.access_token.consumer_id
    if SIGNED in token.methods:
        extra["signed"] = True
    if token.idp_id:
        extra["group_ids"] = token.group_ids
    if token.thumbprint:
        extra["certificate_thumbprint"] = token.thumbprint
    if project is not None and domain is not None:
        extra["token"] = {"project": {"id": project.id, "domain": {"id": domain.id}}}
    elif domain is not None:
        extra["token"] = {"domain": {"id": domain.id}}
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
        extra=extra,
    )

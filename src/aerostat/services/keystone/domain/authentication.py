"""Letting somebody in: a token for whoever is proven, with the scope that is asked for."""

from msgspec.structs import replace

from aerostat.kit.errors import Fault, Forbidden, Unauthorized, Unavailable
from aerostat.services.keystone.db import actors
from aerostat.services.keystone.domain import passwords, receipts, trusts
from aerostat.services.keystone.domain.proofs import Federated, Proven, prove
from aerostat.services.keystone.domain.tokens import (
    Resolved,
    assess,
    keep,
    new_audit_id,
    refusal,
)
from aerostat.services.keystone.model import tokens
from aerostat.services.keystone.model.auth import AuthRequest, ScopeRequest
from aerostat.services.keystone.model.tokens import SYSTEM_TARGET, Token
from aerostat.services.keystone.runtime import Keystone


async def issue(keystone: Keystone, request: AuthRequest) -> Resolved:
    """Return a new token for whoever `request` proves to be, with the scope it asks for.

    Raises: Unauthorized (always the same words), MoreNeeded (further methods), Forbidden (a
    token that may not be exchanged), BadRequest.
    """
    return await let_in(keystone, await prove(keystone, request), request.scope, request.receipt)


async def let_in(
    keystone: Keystone, proven: Proven, scope: ScopeRequest, receipt: str = ""
) -> Resolved:
    """Return a new token of whoever was proven. Raises: as `issue`."""
    methods = receipts.with_receipt(keystone, proven.user, proven.methods, receipt)
    receipts.check(keystone, proven.user, methods)
    if methods != proven.methods:
        proven = replace(proven, methods=methods)
    given = await _scoped(keystone, proven, scope)
    await passwords.seen(keystone, proven.user.user)
    return given


async def _scoped(keystone: Keystone, proven: Proven, scope: ScopeRequest) -> Resolved:
    if proven.credential is not None:
        return await issue_for_credential(keystone, proven, scope)
    if proven.access_token is not None:
        return await issue_for_access_token(keystone, proven)
    if scope.kind == "trust":
        return await issue_for_trust(keystone, proven, scope.id)
    if scope.kind:
        return await give(keystone, _token(keystone, proven, *await _wanted(keystone, scope)))
    return await _issue_default(keystone, proven)


async def issue_for(
    keystone: Keystone, proven: Proven, project_id: str, thumbprint: str = ""
) -> Resolved:
    """Return a new token of whoever was proven, for a project. Raises: Unauthorized.

    With a `thumbprint` it counts only together with that certificate.
    """
    token = _token(keystone, proven, tokens.PROJECT, project_id)
    return await give(keystone, replace(token, thumbprint=thumbprint))


async def _wanted(keystone: Keystone, scope: ScopeRequest) -> tuple[str, str]:
    if scope.kind in (tokens.UNSCOPED, tokens.SYSTEM):
        return scope.kind, SYSTEM_TARGET if scope.kind == tokens.SYSTEM else ""
    if scope.kind == tokens.DOMAIN:
        domain = await keystone.remember(actors.domain_of, scope.id, scope.name)
        if domain is None:
            raise refusal("unknown domain")
        return tokens.DOMAIN, domain.id
    if scope.id:
        return tokens.PROJECT, scope.id
    args = (scope.name, scope.domain_id, scope.domain_name)
    record = await keystone.remember(actors.project_named, *args)
    if record is None:
        raise refusal("unknown project")
    return tokens.PROJECT, record.project.id


async def _issue_default(keystone: Keystone, proven: Proven) -> Resolved:
    default = proven.user.user.default_project_id
    if default and proven.origin is None and proven.federated is None:
        try:
            return await give(keystone, _token(keystone, proven, tokens.PROJECT, default))
        except Unauthorized:
            pass  # Not usable (any more): upstream falls back to no scope without a word.
    return await give(keystone, _token(keystone, proven, tokens.UNSCOPED, ""))


async def issue_for_credential(keystone: Keystone, proven: Proven, scope: ScopeRequest) -> Resolved:
    """Return a token with the rights of an application credential, and its end at the latest.

    Raises: Unauthorized (another scope; gone, expired or without any role).
    """
    credential = proven.credential
    assert credential is not None
    if scope.kind:
        same = False
        if proven.origin is not None and scope.kind in (tokens.PROJECT, tokens.UNSCOPED):
            same = await _wanted(keystone, scope) == (tokens.PROJECT, credential.project_id)
        if not same:
            raise Unauthorized("Application credentials cannot request a scope.")
    token = _token(keystone, proven, tokens.PROJECT, credential.project_id)
    until = _soonest(token.expires_at, credential.expires_at)
    token = replace(token, application_credential_id=credential.id, expires_at=until)
    return await give(keystone, token)


async def issue_for_trust(keystone: Keystone, proven: Proven, trust_id: str) -> Resolved:
    """Return a token with the rights of a trust, which loses a use only if that succeeds.

    Raises: Unauthorized (gone, used up), Forbidden (not the trustee).
    """
    trust = await trusts.find(keystone, trust_id)
    if trust.trustee_user_id != proven.user.user.id:
        raise Forbidden("User is not a trustee.")
    holder = trust.trustor_user_id if trust.impersonation else trust.trustee_user_id
    kind = tokens.PROJECT if trust.project_id else tokens.UNSCOPED
    token = _token(keystone, proven, kind, trust.project_id)
    until = _soonest(token.expires_at, trust.expires_at)
    token = replace(token, user_id=holder, trust_id=trust.id, expires_at=until)
    given = await give(keystone, token)
    await trusts.consume(keystone, trust)
    return given


async def issue_for_access_token(keystone: Keystone, proven: Proven) -> Resolved:
    """Return a token with the rights of an OAuth1 access token. Raises: Unauthorized."""
    access = proven.access_token
    assert access is not None
    token = _token(keystone, proven, tokens.PROJECT, access.project_id)
    until = _soonest(token.expires_at, access.expires_at)
    return await give(keystone, replace(token, access_token_id=access.id, expires_at=until))


def _soonest(expires_at: int, limit: float | None) -> int:
    return expires_at if limit is None else min(expires_at, int(limit))


NOBODY = Federated("", "", ())


def _token(keystone: Keystone, proven: Proven, kind: str, scope_id: str) -> Token:
    now = keystone.clock.now()
    origin = proven.origin
    own = new_audit_id(keystone)
    said = proven.federated or NOBODY
    return Token(
        user_id=proven.user.user.id,
        methods=proven.methods,
        scope=kind,
        scope_id=scope_id,
        expires_at=origin.token.expires_at if origin else int(now) + keystone.config.expiration,
        issued_at=round(now, 6),
        audit_ids=(own, origin.token.audit_ids[-1]) if origin else (own,),
        idp_id=said.idp_id,
        protocol_id=said.protocol_id,
        group_ids=said.group_ids,
        thumbprint=origin.token.thumbprint if origin else "",
    )


async def give(keystone: Keystone, token: Token) -> Resolved:
    """Return `token` written down, if it is worth anything. Raises: Unauthorized."""
    text = keystone.token_format.write(token)
    generation = keystone.generation
    try:
        found = await assess(keystone, text, token)
    except Unavailable:
        raise
    except Fault as why:
        raise refusal(why.detail or why.message) from why
    keep(keystone, found, generation)
    return found

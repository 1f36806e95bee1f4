"""Letting somebody in: every method that is named must prove the same user."""

from dataclasses import dataclass

from msgspec.structs import replace

from aerostat.kit.errors import BadRequest, Fault, Forbidden, NotFound, Unauthorized
from aerostat.services.keystone.db import actors, stores, tables
from aerostat.services.keystone.domain import trusts
from aerostat.services.keystone.domain.tokens import (
    SYSTEM_TARGET,
    Resolved,
    assess,
    keep,
    new_audit_id,
    refusal,
    resolve,
)
from aerostat.services.keystone.model import tokens
from aerostat.services.keystone.model.auth import AuthRequest, ScopeRequest, UserRef
from aerostat.services.keystone.model.secrets import ApplicationCredential
from aerostat.services.keystone.model.tokens import Token
from aerostat.services.keystone.runtime import Keystone


@dataclass(frozen=True, slots=True)
class _Proven:
    """Who it is, and what the proof itself limits."""

    user: actors.UserRecord
    methods: tuple[str, ...]
    origin: Resolved | None = None
    credential: ApplicationCredential | None = None


async def issue(keystone: Keystone, request: AuthRequest) -> Resolved:
    """Return a new token for whoever `request` proves to be, with the scope it asks for.

    Raises: Unauthorized (always the same words), Forbidden (a token that may not be exchanged),
    BadRequest.
    """
    proven = await _prove_all(keystone, request)
    if proven.credential is not None:
        return await _issue_for_credential(keystone, proven, request.scope)
    if request.scope.kind == "trust":
        return await _issue_for_trust(keystone, proven, request.scope.id)
    if request.scope.kind:
        scope = await _wanted(keystone, request.scope)
        return await _give(keystone, _token(keystone, proven, *scope))
    return await _issue_default(keystone, proven)


async def _prove_all(keystone: Keystone, request: AuthRequest) -> _Proven:
    proofs = [await _prove(keystone, method, request) for method in dict.fromkeys(request.methods)]
    if not proofs:
        raise refusal("no method")
    first = proofs[0]
    if any(p.user.user.id != first.user.user.id for p in proofs):
        raise refusal("methods prove different users")
    methods = tuple(dict.fromkeys(m for p in proofs for m in p.methods))
    origin = next((p.origin for p in proofs if p.origin), None)
    credential = next((p.credential for p in proofs if p.credential), None)
    return _Proven(first.user, methods, origin, credential)


async def _prove(keystone: Keystone, method: str, request: AuthRequest) -> _Proven:
    if method == "password" and request.password is not None:
        return await _by_password(keystone, request.password.user, request.password.password)
    if method == "token" and request.token:
        return await _by_token(keystone, request.token)
    if method == "application_credential" and request.application_credential is not None:
        return await _by_credential(keystone, request)
    if method in ("password", "token", "application_credential"):
        raise BadRequest(
            f"Expecting to find {method} in identity. The server could not comply with the "
            "request since it is either malformed or otherwise incorrect. The client is assumed "
            "to be in error.",
            field=method,
        )
    raise Unauthorized("Attempted to authenticate with an unsupported method.")


async def _find_user(keystone: Keystone, ref: UserRef) -> actors.UserRecord | None:
    if ref.id:
        return await keystone.remember(actors.user_record, ref.id)
    return await keystone.remember(actors.user_named, ref.name, ref.domain_id, ref.domain_name)


async def _by_password(keystone: Keystone, ref: UserRef, password: str) -> _Proven:
    record = await _find_user(keystone, ref)
    hashed = record.user.password_hash if record else ""
    right = await keystone.hasher.verify(password, hashed)
    if record is None or not right:
        raise refusal("unknown user or wrong password")
    if not (record.user.enabled and record.domain.enabled):
        raise refusal("user or domain is disabled")
    until = record.user.password_expires_at
    if until is not None and until <= keystone.clock.now():
        raise Unauthorized(
            f"The password is expired and needs to be changed for user: {record.user.id}."
        )
    return _Proven(record, ("password",))


async def _by_token(keystone: Keystone, text: str) -> _Proven:
    try:
        origin = await resolve(keystone, text)
    except NotFound as why:
        raise refusal(why.detail or "bad token") from why
    if origin.trust is not None:
        raise Forbidden("You are not authorized to perform the requested action: trust token.")
    methods = tuple(dict.fromkeys((*origin.token.methods, "token")))
    return _Proven(origin.user, methods, origin, origin.application_credential)


async def _by_credential(keystone: Keystone, request: AuthRequest) -> _Proven:
    proof = request.application_credential
    assert proof is not None
    credential = await _find_credential(keystone, proof.id, proof.name, proof.user)
    right = await keystone.hasher.verify(proof.secret, credential.secret_hash if credential else "")
    if credential is None or not right:
        raise refusal("unknown application credential or wrong secret")
    record = await keystone.remember(actors.user_record, credential.user_id)
    if record is None:
        raise refusal("the user is gone")
    return _Proven(record, ("application_credential",), None, credential)


async def _find_credential(
    keystone: Keystone, credential_id: str, name: str, ref: UserRef
) -> ApplicationCredential | None:
    if credential_id:
        return await keystone.db.read(stores.application_credentials.get, credential_id)
    record = await _find_user(keystone, ref)
    if record is None:
        return None
    c = tables.application_credentials.c
    return await keystone.db.read(
        stores.application_credentials.first, c.user_id == record.user.id, c.name == name
    )


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


async def _issue_default(keystone: Keystone, proven: _Proven) -> Resolved:
    default = proven.user.user.default_project_id
    if default and proven.origin is None:
        try:
            return await _give(keystone, _token(keystone, proven, tokens.PROJECT, default))
        except Unauthorized:
            pass  # Not usable (any more): upstream falls back to no scope without a word.
    return await _give(keystone, _token(keystone, proven, tokens.UNSCOPED, ""))


async def _issue_for_credential(
    keystone: Keystone, proven: _Proven, scope: ScopeRequest
) -> Resolved:
    credential = proven.credential
    assert credential is not None
    if scope.kind:
        same = False
        if proven.origin is not None and scope.kind in (tokens.PROJECT, tokens.UNSCOPED):
            same = await _wanted(keystone, scope) == (tokens.PROJECT, credential.project_id)
        if not same:
            raise Unauthorized("Application credentials cannot request a scope.")
    token = _token(keystone, proven, tokens.PROJECT, credential.project_id)
    return await _give(
        keystone,
        replace(
            token,
            application_credential_id=credential.id,
            expires_at=_soonest(token.expires_at, credential.expires_at),
        ),
    )


async def _issue_for_trust(keystone: Keystone, proven: _Proven, trust_id: str) -> Resolved:
    trust = await trusts.consume(keystone, trust_id, proven.user.user.id)
    holder = trust.trustor_user_id if trust.impersonation else trust.trustee_user_id
    kind = tokens.PROJECT if trust.project_id else tokens.UNSCOPED
    token = _token(keystone, proven, kind, trust.project_id)
    until = _soonest(token.expires_at, trust.expires_at)
    token = replace(token, user_id=holder, trust_id=trust.id, expires_at=until)
    return await _give(keystone, token)


def _soonest(expires_at: int, limit: float | None) -> int:
    return expires_at if limit is None else min(expires_at, int(limit))


def _token(keystone: Keystone, proven: _Proven, kind: str, scope_id: str) -> Token:
    now = keystone.clock.now()
    origin = proven.origin
    own = new_audit_id(keystone)
    return Token(
        user_id=proven.user.user.id,
        methods=proven.methods,
        scope=kind,
        scope_id=scope_id,
        expires_at=origin.token.expires_at if origin else int(now) + keystone.config.expiration,
        issued_at=round(now, 6),
        audit_ids=(own, origin.token.audit_ids[-1]) if origin else (own,),
    )


async def _give(keystone: Keystone, token: Token) -> Resolved:
    text = keystone.keyring.encrypt(tokens.pack(token))
    generation = keystone.generation
    try:
        found = await assess(keystone, text, token)
    except Fault as why:
        raise refusal(why.detail or why.message) from why
    keep(keystone, found, generation)
    return found

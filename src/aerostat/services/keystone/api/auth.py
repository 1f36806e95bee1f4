"""/v3/auth: tokens, and what a token's owner may do with it."""

from typing import Any

from msgspec import structs

from aerostat.kit.clock import iso, parse_iso
from aerostat.kit.errors import BadRequest, Forbidden, NotFound, Unauthorized
from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import token_views, views
from aerostat.services.keystone.api.token_views import signed_in
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import authentication, identity, revocation, tokens, users
from aerostat.services.keystone.domain.receipts import MoreNeeded
from aerostat.services.keystone.domain.tokens import Resolved
from aerostat.services.keystone.model.auth import (
    ApplicationCredentialProof,
    AuthRequest,
    ScopeRequest,
    SecretProof,
    SignedRequest,
    UserRef,
)
from aerostat.services.keystone.model.listing import Listing
from aerostat.services.keystone.model.revocations import ACCESS_TOKEN, AUDIT, CONSUMER, TRUST
from aerostat.services.keystone.policies import target
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.auth import (
    AuthPost,
    CredentialUser,
    DomainRef,
    PasswordUser,
    Scope,
    TokenId,
    TotpUser,
)

routes: Routes[Keystone] = Routes("auth")

SUBJECT = "x-subject-token"
RECEIPT = "Openstack-Auth-Receipt"
ACCESS_RULES, ACCESS_RULES_LEAST = "openstack-identity-access-rules", 1.0
REPLIES_MAX = 4096
"""Encoded answers to validations that are kept."""


@routes.post("/auth/tokens", policy=None, public=True, body=AuthPost, status=201)
async def create(keystone: Keystone, req: Request[AuthPost]) -> Reply:
    """Authenticate: a token for whoever proves to be somebody."""
    try:
        found = await authentication.issue(keystone, _request(req))
    except MoreNeeded as why:
        return receipt_reply(why)
    except Unauthorized as why:
        why.headers["WWW-Authenticate"] = f'Keystone uri="{req.base}"'
        raise
    with_catalog = "nocatalog" not in req.query
    body = await token_views.token_body(keystone, found, with_catalog=with_catalog)
    return signed_in(found, raw=body, headers=token_headers(found.text))


def token_headers(text: str) -> dict[str, str]:
    """Return the headers of the answer with a token."""
    return {"X-Subject-Token": text, "Vary": "X-Auth-Token"}


def receipt_reply(why: MoreNeeded) -> Reply:
    """Return the answer to whoever proved something, but not enough."""
    receipt, user = why.receipt, why.user
    domain = {"id": user.domain.id, "name": user.domain.name}
    shown = {
        "methods": list(receipt.methods),
        "user": {"id": user.user.id, "name": user.user.name, "domain": domain},
        "issued_at": iso(receipt.issued_at, micros=True),
        "expires_at": iso(receipt.expires_at, micros=True),
    }
    body = {"receipt": shown, "required_auth_methods": why.required}
    return Reply(body, status=401, headers={RECEIPT: why.text})


def _request(req: Request[AuthPost]) -> AuthRequest:
    auth = req.body.auth
    identity = auth.identity
    password, totp = identity.password, identity.totp
    credential = identity.application_credential
    return AuthRequest(
        methods=tuple(identity.methods),
        scope=_scope(auth.scope),
        password=SecretProof(_user(password.user), password.user.password) if password else None,
        totp=SecretProof(_user(totp.user), totp.user.passcode) if totp else None,
        token=identity.token.id if identity.token else "",
        application_credential=ApplicationCredentialProof(
            credential.id,
            credential.name,
            _user(credential.user) if credential.user else UserRef(),
            credential.secret,
        )
        if credential
        else None,
        oauth1=signed(req) if identity.oauth1 is not None else None,
        mapped=_token_of(identity.mapped),
        saml2=_token_of(identity.saml2),
        openid=_token_of(identity.openid),
        receipt=req.headers.get(RECEIPT.lower(), ""),
    )


def _token_of(rescoped: TokenId | None) -> str:
    return rescoped.id if rescoped else ""


def signed(req: Request[Any]) -> SignedRequest:
    """Return the request as its client signed it."""
    query = tuple((name, value) for name, values in req.query.items() for value in values)
    return SignedRequest(req.method, req.url, req.headers, query)


def _domain(ref: DomainRef | None) -> tuple[str, str]:
    if ref is None:
        return "", ""
    if not ref.id and not ref.name:
        raise BadRequest("Expecting to find id or name in domain.", field="domain")
    return ref.id, ref.name


def _user(user: PasswordUser | TotpUser | CredentialUser) -> UserRef:
    if not user.id and not user.name:
        raise BadRequest("Expecting to find id or name in user.", field="user")
    if not user.id and user.domain is None:
        raise BadRequest("Expecting to find domain in user.", field="user.domain")
    return UserRef(user.id, user.name, *_domain(user.domain))


def _scope(scope: Scope | str | None) -> ScopeRequest:
    if scope is None:
        return ScopeRequest()
    if isinstance(scope, str):
        if scope != "unscoped":
            raise BadRequest("Invalid input for field 'scope'.", field="auth.scope")
        return ScopeRequest("unscoped")
    named = [part for part in structs.astuple(scope) if part is not None]
    if len(named) != 1:
        raise BadRequest(
            "Expecting exactly one of project, domain, system, OS-TRUST:trust or unscoped in "
            "scope.",
            field="auth.scope",
        )
    if scope.project is not None:
        return _project_scope(scope)
    if scope.domain is not None:
        return ScopeRequest("domain", *_domain(scope.domain))
    if scope.trust is not None:
        return ScopeRequest("trust", scope.trust.id)
    if scope.system is not None and scope.system.get("all") is not True:
        raise BadRequest("Expecting to find all in system.", field="auth.scope.system")
    return ScopeRequest("system" if scope.system is not None else "unscoped")


def _project_scope(scope: Scope) -> ScopeRequest:
    ref = scope.project
    assert ref is not None
    if not ref.id and not ref.name:
        raise BadRequest("Expecting to find id or name in project.", field="auth.scope.project")
    if not ref.id and ref.domain is None:
        raise BadRequest("Expecting to find domain in project.", field="auth.scope.project")
    return ScopeRequest("project", ref.id, ref.name, *_domain(ref.domain))


@routes.get("/auth/tokens", policy=None)
async def validate(keystone: Keystone, req: Request[None]) -> Reply:
    """Validate a token: who it is, where, and with which roles."""
    subject = req.headers.get(SUBJECT, "")
    plain = "nocatalog" in req.query
    key = (req.ctx.token, subject, plain, req.headers.get(ACCESS_RULES))
    # Who asks was authenticated a moment ago, so what is remembered is fresh.
    hit: tuple[float, bytes] | None = keystone.replies.get(key)
    if hit is not None and hit[0] > keystone.clock.now():
        return Reply(raw=hit[1], headers=token_headers(subject))
    rule = policies.CHECK_TOKEN if req.method == "HEAD" else policies.VALIDATE_TOKEN
    generation = keystone.generation
    found = await _subject(keystone, req, rule)
    body = await token_views.token_body(keystone, found, with_catalog=not plain)
    if generation == keystone.generation and req.method == "GET":
        if len(keystone.replies) >= REPLIES_MAX:
            keystone.replies.popitem(last=False)
        until = min(found.until, identity.good_until(keystone, found.token.user_id))
        keystone.replies[key] = (min(found.token.expires_at, until), body)
    return Reply(raw=body, headers=token_headers(subject))


async def _subject(keystone: Keystone, req: Request[Any], rule: Rule) -> Resolved:
    subject = req.headers.get(SUBJECT, "")
    if not subject:
        raise NotFound("No token in the request.", code="token_not_found")
    window = keystone.config.allow_expired_window if _late(req) else 0
    found = await tokens.look_up(keystone, subject, expired_for=window)
    req.enforce(rule, target(token__user_id=found.token.user_id))
    if found.access_rules is not None and not _knows_access_rules(req):
        raise NotFound("Failed to validate token", detail="the service ignores access rules")
    return found


def _knows_access_rules(req: Request[Any]) -> bool:
    """Tell whether the caller, a service, says that it holds clients to their access rules."""
    given = req.headers.get(ACCESS_RULES, "")
    try:
        return float(given) >= ACCESS_RULES_LEAST
    except ValueError:
        return False


def _late(req: Request[Any]) -> bool:
    return (req.query.get("allow_expired") or "").lower() in ("1", "true", "t", "yes", "y", "on")


@routes.delete("/auth/tokens", policy=None)
async def revoke(keystone: Keystone, req: Request[None]) -> None:
    """Revoke a token."""
    found = await _subject(keystone, req, policies.REVOKE_TOKEN)
    await revocation.revoke_token(keystone, AUDIT, found.token.audit_ids[0])


def _groups(req: Request[Any]) -> tuple[str, ...]:
    """Return the groups that the identity provider behind the caller's token named."""
    named: tuple[str, ...] = req.ctx.extra.get("group_ids", ())
    return named


@routes.get("/OS-FEDERATION/projects", policy=policies.AUTH_PROJECTS)
@routes.get("/auth/projects", policy=policies.AUTH_PROJECTS)
async def projects(keystone: Keystone, req: Request[None]) -> Document:
    """List the projects that the caller may have as scope."""
    found = await users.projects(keystone, req.ctx.user_id, Listing(), _groups(req))
    return views.collection(req, "projects", [p for p in found if p.enabled], views.project)


@routes.get("/OS-FEDERATION/domains", policy=policies.AUTH_DOMAINS)
@routes.get("/auth/domains", policy=policies.AUTH_DOMAINS)
async def domains(keystone: Keystone, req: Request[None]) -> Document:
    """List the domains that the caller may have as scope."""
    found = await users.domains(keystone, req.ctx.user_id, _groups(req))
    return views.collection(req, "domains", [d for d in found if d.enabled], views.domain)


@routes.get("/auth/system", policy=policies.AUTH_SYSTEM)
async def system(keystone: Keystone, req: Request[None]) -> Document:
    """List the system scopes of the caller: all of it, or none."""
    held = await tokens.on_system(keystone, req.ctx.user_id, _groups(req))
    return {"system": [{"all": True}] if held else [], "links": {"self": req.url}}


@routes.get("/auth/catalog", policy=policies.AUTH_CATALOG)
async def catalog(keystone: Keystone, req: Request[None]) -> Document:
    """Show the catalogue of the caller's scope."""
    ctx = req.ctx
    if not (ctx.project_id or ctx.domain_id or ctx.system_scope):
        raise Forbidden("An unscoped token has no catalog.")
    shown = await token_views.catalog_list(keystone, ctx.project_id, ctx.user_id)
    return {"catalog": shown, "links": {"self": req.url}}


EVENT_KEYS = {
    TRUST: "OS-TRUST:trust_id",
    CONSUMER: "OS-OAUTH1:consumer_id",
    ACCESS_TOKEN: "OS-OAUTH1:access_token_id",
}
"""Properties of revoked tokens that have another name in the list of events."""


@routes.get("/OS-REVOKE/events", policy=policies.LIST_REVOKE_EVENTS)
async def events(keystone: Keystone, req: Request[None]) -> Document:
    """List what was revoked."""
    given = req.query.get("since")
    try:
        since = parse_iso(given) if given else 0.0
    except ValueError as why:
        raise BadRequest(f"invalid date format {given}", field="since") from why
    found = await revocation.events(keystone, since)
    shown = [
        {
            EVENT_KEYS.get(event.kind, event.kind): event.key,
            "issued_before": iso(event.issued_before, micros=True),
            "revoked_at": iso(event.revoked_at, micros=True),
        }
        for event in found
    ]
    links = {"next": None, "previous": None, "self": req.url}
    return {"events": shown, "links": links}

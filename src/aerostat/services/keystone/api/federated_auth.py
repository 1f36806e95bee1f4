"""Where identity providers and their users come in: tokens for programs, pages for browsers.

Source: api-ref, "OS-FEDERATION", "Authenticating"; keystone, "Setup Web Single Sign-On (SSO)".
"""

import re
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_plus, urlsplit, urlunsplit

from aerostat.kit.errors import BadRequest, TooLarge, Unauthorized, Unavailable
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.keystone.api import sso_pages, token_views
from aerostat.services.keystone.api.auth import RECEIPT, receipt_reply, token_headers
from aerostat.services.keystone.api.token_views import signed_in
from aerostat.services.keystone.domain import federated_login, openid, pending_logins, saml
from aerostat.services.keystone.domain.federated_login import Way
from aerostat.services.keystone.domain.receipts import MoreNeeded
from aerostat.services.keystone.federation_config import OpenIdClient, SamlPeer
from aerostat.services.keystone.model.federation import Assertion
from aerostat.services.keystone.runtime import Keystone

routes: Routes[Keystone] = Routes("federated_auth")

PAIR = "identity_providers/{idp_id}/protocols/{protocol_id}"
AUTH = f"/OS-FEDERATION/{PAIR}/auth"
METADATA = f"/OS-FEDERATION/{PAIR}/metadata"
WEBSSO = f"/auth/OS-FEDERATION/{PAIR}/websso"
COOKIE = "aerostat-sso"
PAOS = "application/vnd.paos+xml"
XML = "text/xml"
ASKED = "You are asked to log in."
BODY_MAX = 1_048_576
"""Bytes of a form or an XML document."""


async def body_of(req: Request[Any]) -> bytes:
    """Return the body of a request. Raises: TooLarge."""
    raw = b""
    async for chunk in req.chunks():
        raw += chunk
        if len(raw) > BODY_MAX:
            raise TooLarge("Request is too large.")
    return raw


def config_of(keystone: Keystone, idp_id: str, protocol_id: str) -> OpenIdClient | SamlPeer:
    """Return how a provider is reached by a protocol. Raises: Unauthorized (nobody said)."""
    config = keystone.config.federation.get(idp_id, {}).get(protocol_id)
    if config is None:
        raise Unauthorized(
            "The request you have made requires authentication.",
            detail=f"[keystone.federation.{idp_id}.{protocol_id}] is not in aerostat.toml",
        )
    return config


async def way_of(keystone: Keystone, req: Request[Any]) -> Way:
    """Return the way in that the URL names. Raises: NotFound, Forbidden."""
    return await federated_login.way_in(keystone, req.path["idp_id"], req.path["protocol_id"])


def _base(keystone: Keystone) -> str:
    """Return the URL of our version 3. Raises: Unavailable (not configured).

    Never from the Host header: what was said to another service would count here, if whoever
    brings it says that this is that service.
    """
    endpoint = keystone.config.public_endpoint.rstrip("/")
    if not endpoint:
        raise Unavailable("Federation is not configured.", detail="public_endpoint is not set")
    return f"{endpoint}/v3"


def ends_of(keystone: Keystone, way: Way) -> saml.Ends:
    """Return our own URLs for a provider and protocol, as clients reach them."""
    base, ids = _base(keystone), (quote(way.provider.id, safe=""), quote(way.protocol_id, safe=""))
    pair = f"OS-FEDERATION/identity_providers/{ids[0]}/protocols/{ids[1]}"
    return saml.Ends(
        auth=f"{base}/{pair}/auth",
        websso=f"{base}/auth/{pair}/websso",
        metadata=f"{base}/{pair}/metadata",
        logout=f"{base}/{pair}/logout",
    )


@routes.get(AUTH, policy=None, public=True, status=201)
async def authenticate(keystone: Keystone, req: Request[None]) -> Reply:
    """Log in at a provider's URL: with a bearer token, or beginning SAML's ECP."""
    way = await way_of(keystone, req)
    config = config_of(keystone, way.provider.id, way.protocol_id)
    if isinstance(config, OpenIdClient):
        return await _by_bearer(keystone, req, way, config)
    return await _begin_ecp(keystone, req, way, config)


async def _begin_ecp(keystone: Keystone, req: Request[Any], way: Way, config: SamlPeer) -> Reply:
    if PAOS not in req.headers.get("accept", "") or "paos" not in req.headers:
        raise Unauthorized("The request you have made requires authentication.")
    envelope = await saml.begin_ecp(keystone, way, config, ends_of(keystone, way))
    return Reply(raw=envelope, status=200, content_type=PAOS, headers=sso_pages.NO_STORE)


@routes.post(AUTH, policy=None, public=True, stream=True)
async def authenticate_by_post(keystone: Keystone, req: Request[None]) -> Reply:
    """Log in at a provider's URL: with a bearer token, or with an assertion in an envelope."""
    way = await way_of(keystone, req)
    config = config_of(keystone, way.provider.id, way.protocol_id)
    if isinstance(config, OpenIdClient):
        return await _by_bearer(keystone, req, way, config)
    raw = await body_of(req)
    if not raw:
        return await _begin_ecp(keystone, req, way, config)
    assertion = await saml.finish_ecp(keystone, way, config, ends_of(keystone, way), raw)
    return await _token(keystone, req, way, assertion)


async def _by_bearer(
    keystone: Keystone, req: Request[Any], way: Way, config: OpenIdClient
) -> Reply:
    scheme, _, token = req.headers.get("authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized("The request you have made requires authentication.")
        assertion = await openid.bearer(keystone, config, token.strip())
    except Unauthorized as why:
        why.headers["WWW-Authenticate"] = "Bearer"
        raise
    return await _token(keystone, req, way, assertion)


async def _token(keystone: Keystone, req: Request[Any], way: Way, assertion: Assertion) -> Reply:
    receipt = req.headers.get(RECEIPT.lower(), "")
    try:
        found = await federated_login.log_in(keystone, way, assertion, receipt)
    except MoreNeeded as why:
        return receipt_reply(why)
    body = await token_views.token_body(keystone, found, with_catalog=True)
    return signed_in(found, raw=body, headers=token_headers(found.text), status=201)


@routes.get(METADATA, policy=None, public=True)
async def metadata(keystone: Keystone, req: Request[None]) -> Reply:
    """Show this cloud to a SAML identity provider: what an operator registers there."""
    way = await way_of(keystone, req)
    config = config_of(keystone, way.provider.id, way.protocol_id)
    if not isinstance(config, SamlPeer):
        raise BadRequest("Only SAML protocols have metadata.", field="protocol_id")
    return Reply(raw=saml.metadata(config, ends_of(keystone, way)), content_type=XML)


def _origin(keystone: Keystone, req: Request[Any]) -> str:
    """Return the dashboard that asked. Raises: BadRequest (none), Unauthorized (unknown)."""
    given = req.query.get("origin")
    if not given:
        raise BadRequest("Request must have an origin query parameter", field="origin")
    origin = unquote_plus(given)
    if origin not in {_lower_host(url) for url in keystone.config.trusted_dashboard}:
        raise Unauthorized(f"{origin} is not a trusted dashboard host")
    return origin


def _lower_host(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.lower()))


_RANDOM = re.compile(r"[\w-]{43}")


def _cookie(req: Request[Any]) -> str:
    for part in req.headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE and _RANDOM.fullmatch(value):
            return value
    return ""


async def _begin(keystone: Keystone, req: Request[Any], way: Way) -> Reply:
    """Send a browser to its provider, with a cookie that binds the answer to it."""
    origin = _origin(keystone, req)
    config = config_of(keystone, way.provider.id, way.protocol_id)
    cookie = _cookie(req) or pending_logins.random_text(keystone)
    ends = ends_of(keystone, way)
    if isinstance(config, OpenIdClient):
        browser = openid.Browser(origin, ends.websso, cookie)
        departure = saml.Departure(await openid.begin(keystone, way, config, browser))
    else:
        departure = await saml.begin(keystone, way, config, ends, (origin, cookie))
    path = urlsplit(f"{_base(keystone)}/auth/OS-FEDERATION").path
    # A provider's form comes across sites; browsers send it a cookie only if that is Secure.
    safe = "SameSite=None; Secure" if ends.websso.startswith("https:") else "SameSite=Lax"
    bound = f"{COOKIE}={cookie}; Path={path}; HttpOnly; {safe}"
    if departure.fields:
        return sso_pages.send(departure.url, departure.fields, {"Set-Cookie": bound}, ASKED)
    headers = {"Location": departure.url, "Set-Cookie": bound, **sso_pages.NO_STORE}
    return Reply(status=302, headers=headers)


@routes.get(WEBSSO, policy=None, public=True)
async def websso(keystone: Keystone, req: Request[None]) -> Reply:
    """Begin a login in a browser, or take the answer of an OpenID Connect provider."""
    way = await way_of(keystone, req)
    if "state" not in req.query:
        return await _begin(keystone, req, way)
    config = config_of(keystone, way.provider.id, way.protocol_id)
    if not isinstance(config, OpenIdClient):
        raise BadRequest("The answer must come as a form.", field="state")
    answer = {name: values[-1] for name, values in req.query.items()}
    assertion, origin = await openid.finish(keystone, way, config, answer, _cookie(req))
    return await _hand_over(keystone, way, assertion, origin)


@routes.post(WEBSSO, policy=None, public=True, stream=True, status=200)
async def websso_by_post(keystone: Keystone, req: Request[None]) -> Reply:
    """Take the answer of a SAML provider, or begin a login in a browser."""
    way = await way_of(keystone, req)
    form = dict(parse_qsl((await body_of(req)).decode("latin-1")))
    if "SAMLResponse" not in form:
        return await _begin(keystone, req, way)
    config = config_of(keystone, way.provider.id, way.protocol_id)
    if not isinstance(config, SamlPeer):
        raise BadRequest("The protocol is not SAML.", field="SAMLResponse")
    answer = saml.Answer(form["SAMLResponse"], _cookie(req))
    assertion, origin = await saml.finish(keystone, way, config, ends_of(keystone, way), answer)
    return await _hand_over(keystone, way, assertion, origin)


async def _hand_over(keystone: Keystone, way: Way, assertion: Assertion, origin: str) -> Reply:
    try:
        found = await federated_login.log_in(keystone, way, assertion)
    except MoreNeeded as why:  # A browser goes no further; whoever drives it may.
        return receipt_reply(why)
    return sso_pages.hand_over(keystone, origin, found)


@routes.get("/auth/OS-FEDERATION/websso/{protocol_id}", policy=None, public=True)
async def websso_anywhere(keystone: Keystone, req: Request[None]) -> Reply:
    """Begin a login in a browser at the provider that speaks a protocol, or let people choose."""
    return await _anywhere(keystone, req)


async def _anywhere(keystone: Keystone, req: Request[Any]) -> Reply:
    protocol_id = req.path["protocol_id"]
    _origin(keystone, req)
    ways = await federated_login.ways_by(keystone, protocol_id)
    known = [w for w in ways if protocol_id in keystone.config.federation.get(w.provider.id, {})]
    if not known:
        raise Unauthorized("Missing entity ID from environment")
    if len(known) == 1:
        return await _begin(keystone, req, known[0])
    origin = quote(req.query.get("origin") or "", safe="")
    choices = [(w.provider.id, f"{ends_of(keystone, w).websso}?origin={origin}") for w in known]
    return sso_pages.choose(choices)


@routes.post("/auth/OS-FEDERATION/websso/{protocol_id}", policy=None, public=True, status=200)
async def websso_anywhere_by_post(keystone: Keystone, req: Request[None]) -> Reply:
    """Begin a login in a browser, as by GET."""
    return await _anywhere(keystone, req)

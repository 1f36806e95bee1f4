"""Logins by OpenID Connect: in a browser (authorization code with PKCE), or with a token."""

from urllib.parse import urlencode

from msgspec import Struct

from aerostat.kit.errors import Unavailable
from aerostat.services.keystone.domain import federated_sessions, pending_logins
from aerostat.services.keystone.domain.federated_login import Way
from aerostat.services.keystone.domain.tokens import refusal
from aerostat.services.keystone.federation_config import OpenIdClient
from aerostat.services.keystone.model import openid
from aerostat.services.keystone.model.federation import Assertion
from aerostat.services.keystone.model.openid import Claims, OpenIdProvider, Refused
from aerostat.services.keystone.runtime import Keystone


class Browser(Struct, frozen=True):
    """Where a login in a browser began: the dashboard, our own URL, and the browser's cookie."""

    origin: str
    redirect_uri: str
    cookie: str


def _provider(keystone: Keystone, config: OpenIdClient) -> OpenIdProvider:
    if keystone.openid is None:
        raise Unavailable("No identity provider can be reached from here.")
    return keystone.openid(config)


async def begin(keystone: Keystone, way: Way, config: OpenIdClient, browser: Browser) -> str:
    """Return the URL at the provider that a browser goes to. Raises: Unavailable."""
    provider = _provider(keystone, config)
    endpoint = await provider.authorization_endpoint(keystone.clock.now())
    state, nonce, verifier = (pending_logins.random_text(keystone) for _ in range(3))
    data = {
        "nonce": nonce,
        "verifier": verifier,
        "origin": browser.origin,
        "redirect_uri": browser.redirect_uri,
        "cookie": pending_logins.hashed(browser.cookie),
    }
    await pending_logins.put(keystone, (state, way.provider.id, way.protocol_id), data)
    query = {
        "response_type": "code",
        "client_id": config.client_id,
        "redirect_uri": browser.redirect_uri,
        "scope": config.scopes,
        "state": state,
        "nonce": nonce,
        "code_challenge": openid.challenge(verifier),
        "code_challenge_method": "S256",
    }
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


async def finish(
    keystone: Keystone, way: Way, config: OpenIdClient, answer: dict[str, str], cookie: str
) -> tuple[Assertion, str]:
    """Return whom the provider let in, and the dashboard where that began.

    `answer` is the query that the browser brought back. Raises: Unauthorized, Unavailable.
    """
    login = (answer.get("state", ""), way.provider.id, way.protocol_id)
    waiting = await pending_logins.take(keystone, login, cookie)
    if "code" not in answer or answer.get("iss", config.issuer) != config.issuer:
        raise refusal(f"the provider said: {answer.get('error', 'nothing')[:100]}")
    form = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": waiting["redirect_uri"],
        "code_verifier": waiting["verifier"],
    }
    now, provider = keystone.clock.now(), _provider(keystone, config)
    try:
        claims, access_token = await provider.redeem(form, now)
        openid.check_id_token(claims, config, waiting["nonce"], now)
    except Refused as why:
        raise refusal(str(why)) from why
    claims = await _completed(provider, claims, access_token, now)
    return openid.assertion(claims, config.issuer), waiting["origin"]


async def bearer(keystone: Keystone, config: OpenIdClient, token: str) -> Assertion:
    """Return whom the provider gave an access token to. Raises: Unauthorized, Unavailable."""
    now, provider = keystone.clock.now(), _provider(keystone, config)
    try:
        if config.introspect:
            claims = await provider.introspect(token, now)
        else:
            claims = await provider.verify(token, now)
        openid.check_access_token(claims, config, now)
    except Refused as why:
        raise refusal(str(why)) from why
    claims = await _completed(provider, claims, token, now)
    if not claims.get("sub"):
        raise refusal("the provider says nothing of the token's user")
    return openid.assertion(claims, config.issuer)


async def log_out(keystone: Keystone, way: Way, config: OpenIdClient, token: str) -> int:
    """End the tokens of those whom the provider logs out; return how many logins that were.

    Raises: Unauthorized, Unavailable.
    """
    now = keystone.clock.now()
    try:
        claims = await _provider(keystone, config).signed(token, now)
        said = openid.check_logout_token(claims, config, now)
    except Refused as why:
        raise refusal(str(why)) from why
    await pending_logins.once(keystone, config.issuer, said.id, said.until)
    who = (way.provider.id, way.protocol_id)
    return await federated_sessions.end(keystone, who, said.subject, said.session)


async def _completed(
    provider: OpenIdProvider, claims: Claims, access_token: str, now: float
) -> Claims:
    """Return the claims with those of userinfo, as far as that is about the same user."""
    more = await provider.userinfo(access_token, now)
    if more.get("sub") is None or more["sub"] != claims.get("sub", more["sub"]):
        return claims
    return {**more, **claims}

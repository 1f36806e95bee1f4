"""What an OpenID Connect provider says, and which of it counts.

Source: OpenID Connect Core 1.0 (3.1.3.7), RFC 7519, RFC 7662, RFC 7636. Times are seconds since
the epoch.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from aerostat.services.keystone.federation_config import OpenIdClient
from aerostat.services.keystone.model.federation import Assertion

Claims = Mapping[str, Any]

LOGOUT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_S = 600
"""How long a logout token counts that does not say so."""

SKEW_S = 60
"""How far the clocks of a provider and of this cloud may differ."""


class Refused(ValueError):
    """What was said does not count; the text is for the log."""


class OpenIdProvider(Protocol):
    """A provider as this cloud reaches it; raises Unavailable if it is out of reach."""

    async def authorization_endpoint(self, now: float) -> str:
        """Return where browsers log in."""

    async def redeem(self, form: Mapping[str, str], now: float) -> tuple[Claims, str]:
        """Return the verified claims of the id token and the access token that a code is good for.

        Raises: Refused.
        """

    async def verify(self, token: str, now: float) -> Claims:
        """Return the claims of a JWT that the provider signed to let a user in.

        Raises: Refused.
        """

    async def signed(self, token: str, now: float) -> Claims:
        """Return the claims of a JWT that the provider signed, whatever for. Raises: Refused."""

    async def introspect(self, token: str, now: float) -> Claims:
        """Return what the provider says of an access token. Raises: Refused (not active)."""

    async def userinfo(self, access_token: str, now: float) -> Claims:
        """Return what the provider tells the bearer of a token of its user; may be nothing."""


def challenge(verifier: str) -> str:
    """Return the S256 challenge of a PKCE verifier."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def check_issued(claims: Claims, config: OpenIdClient, now: float) -> None:
    """Raises: Refused, unless the issuer is the provider and the time is right."""
    if claims.get("iss") != config.issuer:
        raise Refused("another issuer")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise Refused("no subject")
    if "events" in claims:
        raise Refused("a token about events, such as logout, lets nobody in")
    _check_times(claims, now, "exp")


def _check_times(claims: Claims, now: float, *needed: str) -> None:
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name)
        if value is None and name not in needed:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused(f"{name} is no time")
        if name == "exp" and value + SKEW_S <= now:
            raise Refused("expired")
        if name != "exp" and value - SKEW_S > now:
            raise Refused(f"{name} is in the future")


def check_id_token(claims: Claims, config: OpenIdClient, nonce: str, now: float) -> None:
    """Raises: Refused, unless the token is the answer to our own question."""
    check_issued(claims, config, now)
    audience = _listed(claims.get("aud"))
    if config.client_id not in audience:
        raise Refused("another audience")
    party = claims.get("azp")
    if (party is not None or len(audience) > 1) and party != config.client_id:
        raise Refused("given to another party")
    if not secrets.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise Refused("another nonce")


def check_access_token(claims: Claims, config: OpenIdClient, now: float) -> None:
    """Raises: Refused, unless the token was given out for this cloud, or to a client of ours."""
    _check_times(claims, now)
    if claims.get("iss", config.issuer) != config.issuer:
        raise Refused("another issuer")
    party = claims.get("azp", claims.get("client_id"))
    for_us = {config.client_id, *config.audiences} & set(_listed(claims.get("aud")))
    if not for_us and party not in (config.client_id, *config.clients):
        raise Refused("a token for others")


class Logout(Struct, frozen=True):
    """Whom a logout token is about, subject or session may be ""; its own id, and its end."""

    subject: str
    session: str
    id: str
    until: float


def check_logout_token(claims: Claims, config: OpenIdClient, now: float) -> Logout:
    """Return what a logout token says. Raises: Refused.

    Source: OpenID Connect Back-Channel Logout 1.0, 2.6; drafts had no `exp`.
    """
    if claims.get("iss") != config.issuer:
        raise Refused("another issuer")
    if not {config.client_id, *config.clients} & set(_listed(claims.get("aud"))):
        raise Refused("another audience")
    _check_times(claims, now, "iat")
    until = float(claims.get("exp", claims["iat"] + LOGOUT_S)) + SKEW_S
    if until <= now:
        raise Refused("expired")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT), dict):
        raise Refused("not about a logout")
    if "nonce" in claims:
        raise Refused("a token that lets somebody in")
    subject, session, jti = (claims.get(name, "") for name in ("sub", "sid", "jti"))
    if not all(isinstance(value, str) for value in (subject, session, jti)) or not jti:
        raise Refused("ids are missing")
    if not subject and not session:
        raise Refused("about nobody")
    return Logout(subject, session, jti, until)


def _listed(value: Any) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list) else [str(value)] if value else []


def assertion(claims: Claims, issuer: str) -> Assertion:
    """Return the claims under the names that mod_auth_openidc gives them.

    `OIDC-sub`, and as headers arrive in Apache's environment, `HTTP_OIDC_SUB`.
    """
    said: dict[str, tuple[str, ...]] = {}
    # As headers `sub` and `Sub` are one name: the standard's, in lower case, has it.
    for name in sorted(claims, key=lambda name: (name != name.lower(), name)):
        value = claims[name]
        values = tuple(_text(v) for v in (value if isinstance(value, list) else [value]))
        if values and value is not None:
            said[f"OIDC-{name}"] = values
            said.setdefault("HTTP_OIDC_" + name.upper().replace("-", "_"), values)
    said["OIDC-iss"] = said["HTTP_OIDC_ISS"] = (issuer,)
    said["REMOTE_USER"] = (f"{claims.get('sub', '')}@{issuer}",)
    return Assertion(issuer, said, str(claims.get("sub", "")), str(claims.get("sid") or ""))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))

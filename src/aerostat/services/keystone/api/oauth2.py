"""/v3/OS-OAUTH2/token: tokens by the client credentials grant of OAuth 2.0. Source: RFC 6749."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from aerostat.kit.errors import Fault, TooLarge, Unauthorized
from aerostat.kit.http.edge import certificate_thumbprint
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.keystone.api.token_views import signed_in
from aerostat.services.keystone.domain import authentication, oauth2_mtls
from aerostat.services.keystone.domain.tokens import Resolved
from aerostat.services.keystone.model.auth import (
    ApplicationCredentialProof,
    AuthRequest,
    ScopeRequest,
    UserRef,
)
from aerostat.services.keystone.runtime import Keystone

routes: Routes[Keystone] = Routes("oauth2")

FORM_MAX = 16_384
"""Bytes of a request."""


@routes.post("/OS-OAUTH2/token", policy=None, public=True, stream=True, status=200)
async def create(keystone: Keystone, req: Request[None]) -> Reply:
    """Give a token to a client: a user by certificate, an application credential by secret."""
    form = dict(parse_qsl(await _text(req), keep_blank_values=True))
    kind = form.get("grant_type")
    if kind is None:
        return _refused(req, 400, "invalid_request", "The parameter grant_type is required.")
    if kind != "client_credentials":
        said = f"The parameter grant_type {kind} is not supported."
        return _refused(req, 400, "unsupported_grant_type", said)
    try:
        found = await _token(keystone, req, form)
    except Unauthorized:
        return _refused(req, 401, "invalid_client", "Client authentication failed.")
    except Fault as why:
        return _refused(req, 400, "invalid_request", why.message)
    left_s = found.token.expires_at - int(keystone.clock.now())
    body = {"access_token": found.text, "token_type": "Bearer", "expires_in": left_s}
    return signed_in(found, body=body, headers=NO_STORE)


async def _token(keystone: Keystone, req: Request[Any], form: Mapping[str, str]) -> Resolved:
    """Return a token by the certificate that the client shows, or else by its secret."""
    allowed = keystone.config.oauth2_authn_methods
    if req.certificate:
        client_id = form.get("client_id", "")
        if client_id and "\0" not in client_id and "tls_client_auth" in allowed:
            thumbprint = certificate_thumbprint(req.certificate)
            return await oauth2_mtls.issue(keystone, client_id, req.certificate, thumbprint)
        raise Unauthorized("Client authentication failed.")
    client_id, secret = _client(req.headers, form)
    if "\0" in client_id:
        raise Unauthorized("Client authentication failed.")
    if not (client_id and secret and "client_secret_basic" in allowed):
        raise Unauthorized("Client authentication failed.")
    proof = ApplicationCredentialProof(client_id, "", UserRef(), secret)
    methods = ("application_credential",)
    wanted = AuthRequest(methods, ScopeRequest(), application_credential=proof)
    return await authentication.issue(keystone, wanted)


NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


async def _text(req: Request[Any]) -> str:
    raw = b""
    async for chunk in req.chunks():
        raw += chunk
        if len(raw) > FORM_MAX:
            raise TooLarge("Request is too large.")
    return raw.decode("utf-8", "replace")


def _client(headers: Mapping[str, str], form: Mapping[str, str]) -> tuple[str, str]:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        client_id, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return unquote(client_id), unquote(secret)


def _refused(req: Request[Any], status: int, error: str, about: str) -> Reply:
    headers = dict(NO_STORE)
    if status == 401:
        headers["WWW-Authenticate"] = f'Keystone uri="{req.base}"'
    return Reply({"error": error, "error_description": about}, status=status, headers=headers)

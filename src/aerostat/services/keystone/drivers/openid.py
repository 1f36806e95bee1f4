"""OpenID Connect providers over HTTP: discovery, keys, codes, tokens.

What a provider publishes is remembered for an hour; nothing of a login is. Source: OpenID Connect
Discovery 1.0, RFC 6749, RFC 7517, RFC 7662.
"""

import base64
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from aerostat.kit.errors import Unavailable
from aerostat.services.keystone.federation_config import OpenIdClient
from aerostat.services.keystone.model.openid import (
    Claims,
    OpenIdProvider,
    Refused,
    check_issued,
)

PUBLISHED_S = 3600
"""How long discovery documents and keys are relied on."""

NEW_KEYS_S = 10
"""A token with an unknown key makes us look again, this often at most."""

ANSWER_MAX = 1_048_576
"""Bytes of an answer."""


def openid_providers() -> Callable[[OpenIdClient], OpenIdProvider]:
    """Return how a provider is reached: one object for each table of the settings."""
    known: dict[OpenIdClient, HttpProvider] = {}

    def reach(config: OpenIdClient) -> OpenIdProvider:
        return known.setdefault(config, HttpProvider(config))

    return reach


class HttpProvider:
    """`model.openid.OpenIdProvider`."""

    def __init__(self, config: OpenIdClient) -> None:
        self._config = config
        self._tls: ssl.SSLContext | None = None
        self._document: Mapping[str, Any] = {}
        self._document_at = 0.0
        self._keys = KeySet([])
        self._keys_at = 0.0

    async def authorization_endpoint(self, now: float) -> str:
        return await self._endpoint("authorization_endpoint", now)

    async def redeem(self, form: Mapping[str, str], now: float) -> tuple[Claims, str]:
        said = await self._ask_as_client("token_endpoint", form, now)
        token, access = said.get("id_token"), said.get("access_token")
        if not isinstance(token, str) or not isinstance(access, str):
            raise Refused("no id token")
        return await self.verify(token, now), access

    async def verify(self, token: str, now: float) -> Claims:
        claims = await self.signed(token, now)
        check_issued(claims, self._config, now)
        return claims

    async def signed(self, token: str, now: float) -> Claims:
        for again in (False, True):
            keys = await self._key_set(now, again=again)
            try:
                found = jwt.decode(token, keys, algorithms=list(self._config.algorithms))
            except (JoseError, ValueError, KeyError, TypeError) as why:
                if again:
                    raise Refused(f"not a token of the provider: {why!r}") from why
                continue
            return dict(found.claims)
        raise AssertionError

    async def introspect(self, token: str, now: float) -> Claims:
        form = {"token": token, "token_type_hint": "access_token"}
        said = await self._ask_as_client("introspection_endpoint", form, now)
        if said.get("active") is not True:
            raise Refused("the provider says that the token is not active")
        return said

    async def userinfo(self, access_token: str, now: float) -> Claims:
        document = await self._discovered(now)
        if "userinfo_endpoint" not in document:
            return {}
        url = await self._endpoint("userinfo_endpoint", now)
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        status, said = await self._call("GET", url, headers=headers)
        return said if status == 200 else {}

    async def _discovered(self, now: float) -> Mapping[str, Any]:
        if not self._document or now - self._document_at > PUBLISHED_S:
            standard = self._config.issuer.rstrip("/") + "/.well-known/openid-configuration"
            status, said = await self._call("GET", self._config.discovery_url or standard)
            if status != 200 or said.get("issuer") != self._config.issuer:
                raise Unavailable(
                    "The identity provider cannot be used.",
                    detail=f"discovery: status {status}, issuer {said.get('issuer')!r}",
                )
            self._document, self._document_at = said, now
        return self._document

    async def _endpoint(self, name: str, now: float) -> str:
        url = (await self._discovered(now)).get(name)
        scheme = urlsplit(url).scheme if isinstance(url, str) else ""
        if scheme != "https" and scheme != urlsplit(self._config.issuer).scheme:
            raise Unavailable("The identity provider cannot be used.", detail=f"{name}: {url!r}")
        return str(url)

    async def _key_set(self, now: float, *, again: bool) -> KeySet:
        if now - self._keys_at > (NEW_KEYS_S if again else PUBLISHED_S):
            status, said = await self._call("GET", await self._endpoint("jwks_uri", now))
            keys = said.get("keys")
            if status != 200 or not isinstance(keys, list):
                raise Unavailable("The identity provider cannot be used.", detail="no keys")
            signing = [k for k in keys if k.get("kty") != "oct" and k.get("use", "sig") == "sig"]
            self._keys, self._keys_at = KeySet.import_key_set({"keys": signing}), now
        return self._keys

    async def _ask_as_client(
        self, name: str, form: Mapping[str, str], now: float
    ) -> dict[str, Any]:
        config, headers = self._config, {"Accept": "application/json"}
        fields = dict(form)
        if not config.client_secret_file:
            fields["client_id"] = config.client_id
        else:
            secret = _secret(config.client_secret_file)
            known = (await self._discovered(now)).get("token_endpoint_auth_methods_supported", [])
            if "client_secret_post" in known:  # One way to write it, while Basic has two in use.
                fields.update(client_id=config.client_id, client_secret=secret)
            else:
                pair = f"{quote_plus(config.client_id)}:{quote_plus(secret)}"
                headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        url = await self._endpoint(name, now)
        status, said = await self._call("POST", url, headers=headers, data=fields)
        if status != 200:
            raise Refused(f"{name}: status {status}, {said.get('error')!r}")
        return said

    async def _call(self, method: str, url: str, **request: Any) -> tuple[int, dict[str, Any]]:
        """Return the status and the JSON object of an answer. Raises: Unavailable."""
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=self._config.ca_file or None)
        timeout = self._config.timeout_s
        try:
            async with (
                httpx.AsyncClient(verify=self._tls, timeout=timeout, trust_env=False) as client,
                client.stream(method, url, **request) as reply,
            ):
                raw = b""
                async for chunk in reply.aiter_bytes():
                    raw += chunk
                    if len(raw) > ANSWER_MAX:
                        raise Unavailable("The identity provider's answer is too long.")
                if reply.status_code >= 500:
                    raise Unavailable("The identity provider failed.", detail=url)
                return reply.status_code, _object(reply.status_code, raw)
        except httpx.HTTPError as why:
            raise Unavailable("The identity provider is out of reach.", detail=repr(why)) from why


def _secret(file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except OSError as why:
        raise Unavailable("The identity provider cannot be used.", detail=str(why)) from why


def _object(status: int, raw: bytes) -> dict[str, Any]:
    try:
        said = httpx.Response(status, content=raw).json()
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}

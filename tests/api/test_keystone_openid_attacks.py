"""Tokens of OpenID Connect that must not let anybody in: forged, misdirected, repeated.

Source: RFD 0009, "What must hold"; RFC 8725 (JWT best current practices).
"""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from joserfc import jwk, jwt
from keystone_cloud import Cloud, by_token, cloud_at, trust

from aerostat.assembly.engines import free_port
from aerostat.kit.http.serve import HttpServer
from aerostat.services.keystone.db import stores
from aerostat.services.keystone.domain import pending_logins
from aerostat.services.keystone.federation_config import OpenIdClient
from aerostat.services.keystone.model import openid

AUTH = "/v3/OS-FEDERATION/identity_providers/corp/protocols/openid"
WEBSSO = "/v3/auth/OS-FEDERATION/identity_providers/corp/protocols/openid/websso"
DASHBOARD = "http://dashboard/"
KEY = jwk.RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"})
FOREIGN = jwk.RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"})


class Provider:
    """A provider that says what a test wants, at a port of loopback."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.tokens: dict[str, Any] = {}
        self.form: dict[str, list[str]] = {}
        self.userinfo: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if path == "/token":
            self.form = parse_qs((await receive())["body"].decode())
        answers: dict[str, Any] = {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "userinfo_endpoint": f"{self.url}/userinfo",
                "jwks_uri": f"{self.url}/keys",
            },
            "/keys": {"keys": [KEY.as_dict(private=False)]},
            "/token": self.tokens,
            "/userinfo": self.userinfo,
        }
        raw = json.dumps(answers[path]).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": raw})


@asynccontextmanager
async def openid_cloud(path: Path) -> AsyncIterator[tuple[Cloud, Provider]]:
    port = free_port()
    provider = Provider(port)
    server = HttpServer(provider, "127.0.0.1", port)
    await server.start()
    client = OpenIdClient(issuer=provider.url, client_id="cloud")
    rules = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "OIDC-sub"}]}]
    options = {"federation": {"corp": {"openid": client}}, "trusted_dashboard": (DASHBOARD,)}
    async with cloud_at(path, **options) as cloud:
        await trust(cloud, "openid", rules, provider.url)
        yield cloud, provider
    await server.stop()


def token_of(claims: dict[str, Any], key: Any = KEY, **header: Any) -> str:
    return jwt.encode({"alg": "RS256", "kid": "k1", **header}, claims, key, algorithms=["RS256"])


def _part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unsigned(claims: dict[str, Any], alg: str = "none") -> str:
    return f"{_part({'alg': alg, 'kid': 'k1'})}.{_part(claims)}."


def by_public_key(claims: dict[str, Any]) -> str:
    """Return a token whose HMAC was made with what everybody knows: the public key."""
    signed = f"{_part({'alg': 'HS256', 'kid': 'k1'})}.{_part(claims)}"
    digest = hmac.digest(KEY.as_pem(private=False), signed.encode(), hashlib.sha256)
    return f"{signed}.{_part(digest)}"


async def test_bearer_tokens(tmp_path: Path) -> None:
    async with openid_cloud(tmp_path) as (cloud, provider):
        now = int(cloud.clock.now())
        good = {"iss": provider.url, "aud": "cloud", "sub": "ada", "exp": now + 300, "iat": now}

        async def status(token: str) -> int:
            sent = {"Authorization": f"Bearer {token}"}
            return (await cloud.http.post(f"{AUTH}/auth", headers=sent)).status_code

        assert await status(token_of(good)) == 201
        own_key = FOREIGN.as_dict(private=False)
        bad = {
            "none": unsigned(good),
            "None": unsigned(good, "None"),
            "empty": unsigned(good, ""),
            "HMAC with the public key": by_public_key(good),
            "another key": token_of(good, FOREIGN),
            "its own key": token_of(good, FOREIGN, jwk=own_key),
            "no signature": token_of(good).rsplit(".", 1)[0] + ".",
            "another issuer": token_of({**good, "iss": "https://evil"}),
            "no issuer": token_of({k: v for k, v in good.items() if k != "iss"}),
            "another audience": token_of({**good, "aud": ["other"]}),
            "no audience": token_of({k: v for k, v in good.items() if k != "aud"}),
            "expired": token_of({**good, "exp": now - 61}),
            "for ever": token_of({k: v for k, v in good.items() if k != "exp"}),
            "a time as text": token_of({**good, "exp": "9999999999"}),
            "not yet": token_of({**good, "nbf": now + 120}),
            "of the future": token_of({**good, "iat": now + 120}),
            "nobody's": token_of({**good, "sub": ""}),
            "a logout token": token_of({**good, "events": {}}),
        }
        let_in = [what for what, token in bad.items() if await status(token) != 401]
        assert let_in == []
        provider.userinfo = {"sub": "admin"}  # Of somebody else: does not count.
        assert await status(token_of(good)) == 201
        users = (await cloud.get("/users?idp_id=corp"))["users"]
        assert [u["name"] for u in users] == ["ada"]


LOGOUT = {"http://schemas.openid.net/event/backchannel-logout": {}}


async def test_providers_end_what_they_began(tmp_path: Path) -> None:
    """Source: OpenID Connect Back-Channel Logout 1.0."""
    async with openid_cloud(tmp_path) as (cloud, provider):
        now = int(cloud.clock.now())
        good = {"iss": provider.url, "aud": "cloud", "exp": now + 300, "iat": now}

        async def log_in(sub: str, sid: str) -> str:
            sent = {"Authorization": f"Bearer {token_of({**good, 'sub': sub, 'sid': sid})}"}
            reply = await cloud.http.post(f"{AUTH}/auth", headers=sent)
            return str(reply.headers["x-subject-token"])

        async def log_out(key: Any = KEY, **changes: Any) -> int:
            claims = {**good, "jti": str(len(asked)), "events": LOGOUT, **changes}
            claims = {name: value for name, value in claims.items() if value is not None}
            asked.append(token_of(claims, key, typ="logout+jwt"))
            reply = await cloud.http.post(f"{AUTH}/logout", data={"logout_token": asked[-1]})
            assert reply.headers.get("cache-control") == "no-store" or reply.status_code == 400
            return reply.status_code

        async def alive() -> list[bool]:
            return [(await cloud.validate(token)).status_code == 200 for token in tokens]

        asked: list[str] = []
        tokens = [await log_in(*who) for who in (("ada", "s1"), ("ada", "s2"), ("bob", "s3"))]
        rescoped = await cloud.authenticate(by_token(tokens[0]))
        tokens.append(rescoped.headers["x-subject-token"])
        for changes in (
            {"sub": "ada", "key": FOREIGN},
            {"sub": "ada", "iss": "https://evil"},
            {"sub": "ada", "aud": "other"},
            {"sub": "ada", "events": {}},
            {"sub": "ada", "events": None},
            {"sub": "ada", "nonce": "n"},
            {"sub": "ada", "jti": None},
            {"sub": "ada", "exp": now - 61},
            {"sub": "ada", "iat": None},
            {"sub": "ada", "exp": None, "iat": now - 700},
            {"sub": 5},
            {},
        ):
            assert await log_out(**changes) == 400, changes
        assert await alive() == [True, True, True, True]
        assert await log_out(sid="s1", sub="ada") == 200
        assert await alive() == [False, True, True, False]
        again = await cloud.http.post(f"{AUTH}/logout", data={"logout_token": asked[-1]})
        assert again.status_code == 400  # Once.
        tokens[0] = await log_in("ada", "s1")  # A new session, which the old token does not end.
        assert await log_out(sub="ada", exp=None) == 200
        assert await alive() == [False, False, True, False]
        assert await log_out(sub="nobody") == 200
        assert await alive() == [False, False, True, False]
        for form in ({}, {"logout_token": "x"}):
            reply = await cloud.http.post(f"{AUTH}/logout", data=form)
            assert reply.status_code == 400


async def test_id_tokens(tmp_path: Path) -> None:
    async with openid_cloud(tmp_path) as (cloud, provider):
        now = int(cloud.clock.now())
        good = {"iss": provider.url, "aud": "cloud", "sub": "ada", "exp": now + 300, "iat": now}

        async def finish(**changes: Any) -> httpx.Response:
            begun = await cloud.http.get(f"{WEBSSO}?origin={DASHBOARD}")
            query = parse_qs(urlsplit(begun.headers["location"]).query)
            claims = {**good, "nonce": query["nonce"][0], **changes}
            claims = {name: value for name, value in claims.items() if value is not None}
            provider.tokens = {"id_token": token_of(claims), "access_token": "x"}
            answer = {"code": "c", "state": query["state"][0]}
            reply = await cloud.http.get(f"{WEBSSO}?{urlencode(answer)}")
            verifier = provider.form["code_verifier"][0]
            digest = hashlib.sha256(verifier.encode()).digest()
            assert _part(digest) == query["code_challenge"][0]
            return reply

        page = await finish()
        assert page.status_code == 200 and DASHBOARD in page.text
        assert (await finish(aud=["cloud", "other"], azp="cloud")).status_code == 200
        for changes in (
            {"nonce": "another"},
            {"nonce": None},
            {"aud": "other"},
            {"aud": ["cloud", "other"]},
            {"azp": "other"},
            {"iss": "https://evil"},
            {"exp": now - 61},
        ):
            assert (await finish(**changes)).status_code == 401, changes
        begun = await cloud.http.get(f"{WEBSSO}?origin={DASHBOARD}")
        state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
        mixed = urlencode({"code": "c", "state": state, "iss": "https://another.provider"})
        assert (await cloud.http.get(f"{WEBSSO}?{mixed}")).status_code == 401


@pytest.mark.parametrize(
    "origin",
    [
        "http://dashboard",
        "http://dashboard/x",
        "http://dashboard/?",
        "http://evil@dashboard/",
        "http://dashboard.evil/",
        "HTTP://dashboard/",
        "//dashboard/",
        "javascript:alert(1)//http://dashboard/",
    ],
)
async def test_tokens_go_to_trusted_dashboards_only(tmp_path: Path, origin: str) -> None:
    async with openid_cloud(tmp_path) as (cloud, _):
        for url in (WEBSSO, "/v3/auth/OS-FEDERATION/websso/openid"):
            reply = await cloud.http.get(url, params={"origin": origin})
            assert reply.status_code == 401, url


async def test_logins_wait_for_ten_minutes(tmp_path: Path) -> None:
    async with openid_cloud(tmp_path) as (cloud, _):
        begun = await cloud.http.get(f"{WEBSSO}?origin={DASHBOARD}")
        state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
        cloud.clock.time += 601
        answer = urlencode({"code": "c", "state": state})
        assert (await cloud.http.get(f"{WEBSSO}?{answer}")).status_code == 401


async def test_beginning_fills_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_logins, "PENDING_MAX", 3)
    async with openid_cloud(tmp_path) as (cloud, _):
        states = []
        for _ in range(6):
            begun = await cloud.http.get(f"{WEBSSO}?origin={DASHBOARD}")
            states += parse_qs(urlsplit(begun.headers["location"]).query)["state"]
        kept = await cloud.keystone.db.read(stores.federation_requests.all)
        assert {row.id for row in kept} == {pending_logins.hashed(state) for state in states[3:]}


async def test_any_copy_takes_the_answer(tmp_path: Path) -> None:
    """A login begins at one process and ends at another one; then it is over for both."""
    async with openid_cloud(tmp_path) as (cloud, provider):
        config = cloud.keystone.config
        options = {"federation": config.federation, "trusted_dashboard": (DASHBOARD,)}
        async with cloud_at(tmp_path, shared=True, clock=cloud.clock, **options) as copied:
            begun = await cloud.http.get(f"{WEBSSO}?origin={DASHBOARD}")
            query = parse_qs(urlsplit(begun.headers["location"]).query)
            now = int(cloud.clock.now())
            claims = {"iss": provider.url, "aud": "cloud", "sub": "ada", "exp": now + 300}
            claims["nonce"] = query["nonce"][0]
            provider.tokens = {"id_token": token_of(claims), "access_token": "x"}
            answer = urlencode({"code": "c", "state": query["state"][0]})
            sent = {"Cookie": begun.headers["set-cookie"].split(";")[0]}
            for client, status in ((copied, 200), (cloud, 401), (copied, 401)):
                reply = await client.http.get(f"{WEBSSO}?{answer}", headers=sent)
                assert reply.status_code == status


def test_names_that_look_alike_as_headers() -> None:
    claims = {
        "SUB": "admin",
        "Sub": "admin",
        "sub": "ada",
        "Iss": "https://evil",
        "_x-y": [1, True],
    }
    said = openid.assertion(claims, "https://idp").attributes
    assert said["HTTP_OIDC_SUB"] == said["OIDC-sub"] == ("ada",)
    assert said["HTTP_OIDC_ISS"] == ("https://idp",) and said["HTTP_OIDC__X_Y"] == ("1", "1")
    assert said["REMOTE_USER"] == ("ada@https://idp",)

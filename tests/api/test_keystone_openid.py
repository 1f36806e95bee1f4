"""OpenID Connect with a real provider (LemonLDAP::NG): browsers, and keystoneauth's plugins."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from keystone_cloud import Cloud, cloud_at, served
from keystoneauth1.identity.v3 import oidc
from keystoneauth1.session import Session
from tests.browser import Browser
from tests.lemonldap import SECRET, TOOL_URI, Lemonldap

from aerostat.assembly.engines import free_port
from aerostat.kit.clock import SystemClock
from aerostat.services.keystone.federation_config import OpenIdClient

PAIR = "OS-FEDERATION/identity_providers/corp/protocols/openid"
DASHBOARD = "http://dashboard.example.org/auth/websso/"
WEBSSO = f"http://ks/v3/auth/{PAIR}/websso?origin={DASHBOARD}"
RULES = [
    {
        "local": [{"user": {"id": "{0}", "name": "{1}", "email": "{2}"}}],
        "remote": [
            {"type": "OIDC-sub"},
            {"type": "HTTP_OIDC_NAME"},
            {"type": "OIDC-email"},
        ],
    },
    {
        "local": [{"groups": "{0}", "domain": {"id": "default"}}],
        "remote": [{"type": "OIDC-groups"}],
    },
    {
        "local": [{"user": {"id": "{0}", "name": "program {0}"}}],
        "remote": [{"type": "OIDC-sub"}],
    },
]


@pytest.fixture(scope="module")
def idp() -> Iterator[Lemonldap]:
    if not (Lemonldap.program.exists() and Lemonldap.root.is_dir()):
        pytest.skip(f"needs Debian's LemonLDAP::NG: apt-get install {Lemonldap.package}")
    folder = Path(tempfile.mkdtemp(prefix="aerostat-openid-"))
    folder.chmod(0o755)
    server = Lemonldap(folder / "server")
    server.start()
    yield server
    server.kill()


@asynccontextmanager
async def trusting(path: Path, idp: Lemonldap, **options: Any) -> AsyncIterator[Cloud]:
    """Start a cloud that trusts the provider, with these options of OpenIdClient."""
    path.mkdir(exist_ok=True)
    known = {"issuer": idp.url, "client_id": "aerostat", "client_secret_file": str(idp.secret_file)}
    client = OpenIdClient(**{**known, **options})
    async with cloud_at(
        path,
        clock=SystemClock(),
        federation={"corp": {"openid": client}},
        trusted_dashboard=(DASHBOARD,),
    ) as cloud:
        for url, body in (
            ("mappings/rules", {"mapping": {"rules": RULES}}),
            (
                "identity_providers/corp",
                {"identity_provider": {"enabled": True, "remote_ids": [idp.url]}},
            ),
            ("identity_providers/corp/protocols/openid", {"protocol": {"mapping_id": "rules"}}),
        ):
            reply = await cloud.call("PUT", f"/OS-FEDERATION/{url}", json=body)
            assert reply.status_code == 201, reply.text
        yield cloud


async def test_a_browser(tmp_path: Path, idp: Lemonldap) -> None:
    async with trusting(tmp_path, idp) as cloud:
        group = await cloud.make("group", name="dev")
        browser = Browser(ks=cloud.app)
        login = await browser.open(WEBSSO)
        wrong = await browser.submit(login, user="dwho", password="guess")
        page = await browser.submit(wrong, user="dwho", password="dwho")
        assert page.status_code == 200, page.text
        handed = browser.form(page, "token")
        assert handed.action == DASHBOARD and handed.method == "POST"
        assert "no-store" in page.headers["cache-control"]
        token = (await cloud.validate(handed.fields["token"])).json()["token"]
        assert token["user"]["name"] == "Doctor Who" and token["methods"] == ["openid"]
        assert token["user"]["OS-FEDERATION"]["groups"] == [{"id": group["id"]}]
        user = (await cloud.get(f"/users/{token['user']['id']}"))["user"]
        assert user["email"] == "dwho@badwolf.org"
        assert user["federated"][0]["protocols"][0]["unique_id"] == "dwho"
        assert (await browser.open(str(page.url))).status_code == 401  # The code once more.
        await browser.close()


async def test_answers_count_in_their_browser_only(tmp_path: Path, idp: Lemonldap) -> None:
    async with trusting(tmp_path, idp) as cloud:
        browser, victim = Browser(ks=cloud.app), Browser(ks=cloud.app)
        login = await browser.open(
            f"http://ks/v3/auth/OS-FEDERATION/websso/openid?origin={DASHBOARD}"
        )
        query = parse_qs(urlsplit(str(login.url)).query) or {}
        assert "state" in query or "url" in query or login.status_code == 200
        jar = browser.cookies.pop("ks")
        assert (await browser.submit(login, user="rtyler", password="rtyler")).status_code == 401
        browser.cookies["ks"] = jar
        page = await browser.open(WEBSSO)  # The provider still knows this browser.
        answered = str(page.url)
        assert page.status_code == 200 and "token" in browser.form(page).fields
        assert (await victim.open(answered)).status_code == 401
        made_up = urlencode({"code": "x", "state": "y" * 43})
        assert (await browser.open(f"http://ks/v3/auth/{PAIR}/websso?{made_up}")).status_code == 401
        await browser.close()
        await victim.close()


async def test_who_does_not_agree_is_not_let_in(tmp_path: Path, idp: Lemonldap) -> None:
    async with trusting(tmp_path, idp) as cloud:
        begun = await cloud.http.get(WEBSSO)
        query = parse_qs(urlsplit(begun.headers["location"]).query)
        assert query["code_challenge_method"] == ["S256"] and len(query["nonce"][0]) == 43
        assert "HttpOnly" in begun.headers["set-cookie"]
        answer = urlencode({"error": "access_denied", "state": query["state"][0]})
        for _ in range(2):
            reply = await cloud.http.get(f"/v3/auth/{PAIR}/websso?{answer}")
            assert reply.status_code == 401


async def access_token(idp: Lemonldap, client: str = "tool", **form: str) -> str:
    asked = {"grant_type": "password", "username": "dwho", "password": "dwho", **form}
    asked.setdefault("scope", "openid profile email")
    async with httpx.AsyncClient() as http:
        reply = await http.post(f"{idp.url}oauth2/token", data=asked, auth=(client, SECRET))
    assert reply.status_code == 200, reply.text
    return str(reply.json()["access_token"])


async def bearer(cloud: Cloud, token: str) -> httpx.Response:
    return await cloud.http.post(f"/v3/{PAIR}/auth", headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("introspect", [False, True], ids=["jwt", "introspection"])
async def test_access_tokens(tmp_path: Path, idp: Lemonldap, introspect: bool) -> None:
    token, foreign = await access_token(idp), await access_token(idp, "other")
    async with trusting(tmp_path, idp, clients=("tool",), introspect=introspect) as cloud:
        reply = await bearer(cloud, token)
        assert reply.status_code == 201, reply.text
        assert reply.json()["token"]["user"]["name"] == "Doctor Who"
        assert (await cloud.validate(reply.headers["x-subject-token"])).status_code == 200
        for bad in (foreign, token[:-4] + "AAAA", token.rsplit(".", 1)[0] + ".", "x", ""):
            reply = await bearer(cloud, bad)
            assert reply.status_code == 401 and reply.headers["www-authenticate"] == "Bearer"
        assert (await cloud.http.get(f"/v3/{PAIR}/auth")).status_code == 401
    async with trusting(tmp_path / "second", idp, introspect=introspect) as cloud:
        assert (await bearer(cloud, token)).status_code == 401  # No longer a client of ours.


LOGINS: dict[str, tuple[Callable[..., Any], dict[str, str], str]] = {
    "v3oidcpassword": (oidc.OidcPassword, {"username": "dwho", "password": "dwho"}, "Doctor Who"),
    "v3oidcclientcredentials": (oidc.OidcClientCredentials, {}, "program tool"),
    "v3oidcauthcode": (oidc.OidcAuthorizationCode, {"redirect_uri": TOOL_URI}, "Doctor Who"),
    "v3oidcaccesstoken": (oidc.OidcAccessToken, {}, "Doctor Who"),
}


@pytest.mark.parametrize("plugin", LOGINS)
async def test_keystoneauth(tmp_path: Path, idp: Lemonldap, plugin: str) -> None:
    kind, options, name = LOGINS[plugin]
    more: dict[str, Any] = dict(options)
    if plugin == "v3oidcaccesstoken":
        more["access_token"] = await access_token(idp)
    else:
        more["discovery_endpoint"] = f"{idp.url}.well-known/openid-configuration"
        more["client_id"], more["client_secret"] = "tool", SECRET
    if plugin == "v3oidcauthcode":
        more["code"] = await _code(idp)
    async with trusting(tmp_path, idp, clients=("tool",)) as cloud:
        group, project = await cloud.make("group", name="people"), await cloud.make("project")
        await cloud.grant(f"/projects/{project['id']}/groups/{group['id']}", "member")
        async with served(cloud, free_port()) as url:
            auth = kind(auth_url=url, identity_provider="corp", protocol="openid", **more)
            access = await asyncio.to_thread(auth.get_access, Session())
            assert access.username == name and not access.scoped
            if name != "Doctor Who":
                return
            if plugin == "v3oidcauthcode":
                more["code"] = await _code(idp)
            place = {"project_id": project["id"], **more}
            auth = kind(auth_url=url, identity_provider="corp", protocol="openid", **place)
            access = await asyncio.to_thread(auth.get_access, Session())
            assert access.project_id == project["id"] and "member" in access.role_names


async def _code(idp: Lemonldap) -> str:
    """Return the code that a person's browser shows after a login for the client tool."""
    asked = {"response_type": "code", "client_id": "tool", "scope": "openid profile email"}
    query = urlencode({**asked, "redirect_uri": TOOL_URI, "state": "x"})

    async def shown(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    browser = Browser(localhost=shown)
    login = await browser.open(f"{idp.url}oauth2/authorize?{query}")
    page = await browser.submit(login, user="dwho", password="dwho")
    await browser.close()
    return parse_qs(urlsplit(str(page.url)).query)["code"][0]


async def test_a_provider_that_is_away(tmp_path: Path, idp: Lemonldap) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/"
    async with trusting(tmp_path, idp, discovery_url=nowhere) as cloud:
        assert (await cloud.http.get(WEBSSO)).status_code == 503
        assert (await bearer(cloud, "x")).status_code == 503


async def test_another_issuer(tmp_path: Path, idp: Lemonldap) -> None:
    issuer = "http://127.0.0.1/"
    document = f"{idp.url}.well-known/openid-configuration"
    async with trusting(tmp_path, idp, issuer=issuer, discovery_url=document) as cloud:
        assert (await cloud.http.get(WEBSSO)).status_code == 503

"""SAML 2 with a real identity provider (SimpleSAMLphp): browsers, ECP, and clouds among clouds."""

import asyncio
import base64
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from keystone_cloud import Cloud, at, cloud_at, served, trust
from keystoneauth1.extras._saml2 import V3Saml2Password
from keystoneauth1.identity.v3 import Keystone2Keystone, Password
from keystoneauth1.identity.v3.websso import WebSSO
from keystoneauth1.session import Session
from tests.browser import Browser
from tests.certificates import pair, write_pair
from tests.simplesaml import ENTITY, SimpleSaml

from aerostat.assembly.engines import free_port
from aerostat.assembly.settings import Settings
from aerostat.cli.configuration import check
from aerostat.kit.clock import SystemClock
from aerostat.services.keystone.federation_config import SamlIdp, SamlPeer

PAIR = "OS-FEDERATION/identity_providers/corp/protocols/saml2"
DASHBOARD = "http://dashboard.example.org/auth/websso/"
WEBSSO = f"http://ks/v3/auth/{PAIR}/websso?origin={DASHBOARD}"
RULES = [
    {"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "uid"}]},
    {
        "local": [{"groups": "{0}", "domain": {"id": "default"}}],
        "remote": [{"type": "MELLON_groups", "whitelist": ["dev", "all"]}],
    },
]


@pytest.fixture(scope="module")
def idp() -> Iterator[SimpleSaml]:
    if not SimpleSaml.root.is_dir():
        pytest.skip(f"needs Debian's SimpleSAMLphp: apt-get install {SimpleSaml.package}")
    folder = Path(tempfile.mkdtemp(prefix="aerostat-saml-"))
    folder.chmod(0o755)
    server = SimpleSaml(folder / "server")
    server.start()
    yield server
    server.kill()


@asynccontextmanager
async def trusting(
    path: Path, idp: SimpleSaml, more: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Cloud]:
    """Start a cloud that trusts the identity provider, with these options of SamlPeer.

    `more` are options of the cloud.
    """
    path.mkdir(exist_ok=True)
    peer = SamlPeer(**{"metadata_file": str(idp.metadata_file), **options})
    async with cloud_at(
        path,
        clock=SystemClock(),
        federation={"corp": {"saml2": peer}},
        **{"trusted_dashboard": (DASHBOARD,), **(more or {})},
    ) as cloud:
        await trust(cloud, "saml2", RULES, ENTITY)
        yield cloud


@pytest.mark.parametrize("sign", ["assertion", "response", "response and assertion"])
async def test_a_browser(tmp_path: Path, idp: SimpleSaml, sign: str) -> None:
    idp.trust(f"http://ks/v3/{PAIR}", sign=sign)
    async with trusting(tmp_path, idp) as cloud:
        group = await cloud.make("group", name="dev")
        browser = Browser(ks=cloud.app)
        login = await browser.open(WEBSSO)
        wrong = await browser.submit(login, username="ada", password="guess")
        answer = await browser.submit(wrong, username="ada", password="engine")
        form = browser.form(answer, "SAMLResponse")
        assert form.action == f"http://ks/v3/auth/{PAIR}/websso"
        page = await browser.submit(answer)
        assert page.status_code == 200, page.text
        handed = browser.form(page, "token")
        assert handed.action == DASHBOARD and handed.method == "POST"
        token = (await cloud.validate(handed.fields["token"])).json()["token"]
        assert token["user"]["name"] == "ada" and token["methods"] == ["saml2"]
        assert token["user"]["OS-FEDERATION"]["groups"] == [{"id": group["id"]}]
        again = await browser.submit(answer)  # The same assertion once more:
        assert again.status_code == 401
        await browser.close()


async def test_answers_count_in_their_browser_only(tmp_path: Path, idp: SimpleSaml) -> None:
    idp.trust(f"http://ks/v3/{PAIR}")
    async with trusting(tmp_path, idp) as cloud:
        browser, victim = Browser(ks=cloud.app), Browser(ks=cloud.app)
        login = await browser.open(
            f"http://ks/v3/auth/OS-FEDERATION/websso/saml2?origin={DASHBOARD}"
        )
        answer = await browser.submit(login, username="bob", password="builder")
        assert (await victim.submit(answer)).status_code == 401
        page = await browser.submit(answer)
        assert page.status_code == 200 and "token" in browser.form(page).fields
        for origin, status in ((f"{DASHBOARD}x", 401), ("", 400)):
            url = WEBSSO.replace(DASHBOARD, origin)
            assert (await browser.open(url)).status_code == status
        await browser.close()
        await victim.close()


def key_files(path: Path) -> tuple[dict[str, str], str]:
    """Return options with a pair for the cloud, and its certificate as metadata write it."""
    write_pair(path / "certificate.pem", path / "key.pem", "sp")
    files = {f"{n}_file": str(path / f"{n}.pem") for n in ("key", "certificate")}
    return files, "".join((path / "certificate.pem").read_text().splitlines()[1:-1])


def by_post(idp: SimpleSaml, path: Path) -> str:
    """Write metadata by which the provider takes requests by POST only, and signed ones only."""
    text = idp.metadata_file.read_text()
    changed = re.sub(r"(<md:SingleSignOnService [^>]*)HTTP-Redirect", r"\1HTTP-POST", text)
    role = "<md:IDPSSODescriptor"
    changed = changed.replace(role, f'{role} WantAuthnRequestsSigned="true"')
    assert changed.count("HTTP-POST") > text.count("HTTP-POST")
    (path / "by-post.xml").write_text(changed)
    return str(path / "by-post.xml")


@pytest.mark.parametrize("binding", ["redirect", "POST"])
async def test_signed_requests(tmp_path: Path, idp: SimpleSaml, binding: str) -> None:
    files, text = key_files(tmp_path)
    if binding == "POST":
        files["metadata_file"] = by_post(idp, tmp_path)
    other = "".join(pair("other").certificate_pem.decode().splitlines()[1:-1])
    async with trusting(tmp_path / "cloud", idp, **files) as cloud:
        shown = await cloud.http.get(f"/v3/{PAIR}/metadata")
        assert text in shown.text and 'AuthnRequestsSigned="true"' in shown.text
        browser = Browser(ks=cloud.app)
        for certificate, works in ((text, True), (other, False)):
            idp.trust(f"http://ks/v3/{PAIR}", certificate=certificate)
            page = await browser.open(WEBSSO)
            if binding == "POST":
                page = await browser.submit(page)
            assert ('name="password"' in page.text) is works
        await browser.close()


async def test_a_provider_that_wants_signed_requests(tmp_path: Path, idp: SimpleSaml) -> None:
    metadata = by_post(idp, tmp_path)
    async with trusting(tmp_path / "cloud", idp, metadata_file=metadata) as cloud:
        reply = await cloud.http.get(f"/v3/auth/{PAIR}/websso", params={"origin": DASHBOARD})
        assert reply.status_code == 503


@pytest.mark.parametrize("sign", ["assertion", "response"])
async def test_encrypted_answers(tmp_path: Path, idp: SimpleSaml, sign: str) -> None:
    files, text = key_files(tmp_path)
    idp.trust(f"http://ks/v3/{PAIR}", sign=sign, certificate=text, encrypt=True)
    async with trusting(tmp_path / "cloud", idp, **files) as cloud:
        browser = Browser(ks=cloud.app)
        login = await browser.open(WEBSSO)
        answer = await browser.submit(login, username="ada", password="engine")
        raw = base64.b64decode(browser.form(answer).fields["SAMLResponse"])
        assert b"EncryptedAssertion" in raw and b"displayName" not in raw
        page = await browser.submit(answer)
        assert page.status_code == 200, page.text
        token = await cloud.validate(browser.form(page, "token").fields["token"])
        assert token.json()["token"]["user"]["name"] == "ada"
        await browser.close()


@pytest.mark.parametrize("binding", ["HTTP-Redirect", "HTTP-POST"])
async def test_logging_out_at_the_provider(tmp_path: Path, idp: SimpleSaml, binding: str) -> None:
    files, text = key_files(tmp_path)
    encrypt = binding == "HTTP-POST"
    idp.trust(f"http://ks/v3/{PAIR}", certificate=text, logout=binding, encrypt=encrypt)
    async with trusting(tmp_path / "cloud", idp, **files) as cloud:
        browser, other = Browser(ks=cloud.app), Browser(ks=cloud.app)
        tokens = []
        for person in (browser, other):
            login = await person.open(WEBSSO)
            answer = await person.submit(login, username="ada", password="engine")
            page = await person.submit(answer)
            tokens.append(person.form(page, "token").fields["token"])
        page = await browser.open(idp.logout_url)
        if binding == "HTTP-POST":
            page = await browser.submit(page)
        assert page.url.path == "/logout.php", page.text  # The provider took our answer.
        statuses = [(await cloud.validate(token)).status_code for token in tokens]
        assert statuses == [404, 200]
        await browser.close()
        await other.close()


NAME_FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"


async def test_how_people_have_to_log_in(tmp_path: Path, idp: SimpleSaml) -> None:
    """The provider remembers the browser, but it is to ask again; another one lies about that."""
    idp.trust(f"http://ks/v3/{PAIR}")
    options = {"force_authn": True, "name_id_format": NAME_FORMAT, "authn_contexts": (PASSWORD,)}
    async with trusting(tmp_path, idp, **options) as cloud:
        browser = Browser(ks=cloud.app)
        for _ in range(2):
            login = await browser.open(WEBSSO)
            answer = await browser.submit(login, username="ada", password="engine")
            assert (await browser.submit(answer)).status_code == 200
        await browser.close()
    options["authn_contexts"] = ("urn:example:two-factors",)
    (tmp_path / "strict").mkdir()
    async with trusting(tmp_path / "strict", idp, **options) as cloud:
        browser = Browser(ks=cloud.app)
        login = await browser.open(WEBSSO)
        answer = await browser.submit(login, username="ada", password="engine")
        assert (await browser.submit(answer)).status_code == 401
        await browser.close()


async def test_keystoneauth_with_a_password(tmp_path: Path, idp: SimpleSaml) -> None:
    """The plugin v3samlpassword, unchanged; what it carries is signed and encrypted."""
    port = free_port()
    files, certificate = key_files(tmp_path)
    async with trusting(tmp_path, idp, at(port), **files) as cloud:
        group, project = await cloud.make("group", name="dev"), await cloud.make("project")
        await cloud.grant(f"/projects/{project['id']}/groups/{group['id']}", "member")
        async with served(cloud, port) as url:
            idp.trust(f"{url}/{PAIR}", certificate=certificate, encrypt=True)

            def log_in(password: str) -> Any:
                auth = V3Saml2Password(
                    auth_url=url,
                    identity_provider="corp",
                    protocol="saml2",
                    identity_provider_url=idp.ecp_url,
                    username="ada",
                    password=password,
                    project_id=project["id"],
                )
                return auth.get_access(Session())

            access = await asyncio.to_thread(log_in, "engine")
            assert access.username == "ada" and set(access.role_names) == {"member", "reader"}
            assert (await cloud.validate(access.auth_token)).status_code == 200
            with pytest.raises(Exception, match=r"401|Unauthorized|Invalid|XML"):
                await asyncio.to_thread(log_in, "guess")


async def test_keystoneauth_with_a_browser(
    tmp_path: Path, idp: SimpleSaml, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plugin v3websso, unchanged: it opens a browser, and waits for the token at a port."""
    port, own_port = free_port(), free_port()
    dashboard = f"http://localhost:{own_port}/auth/websso/"
    loop, browser = asyncio.get_running_loop(), Browser()

    async def log_in(url: str) -> None:
        login = await browser.open(url)
        answer = await browser.submit(login, username="bob", password="builder")
        assert (await browser.submit(await browser.submit(answer))).status_code == 200

    begun: list[Any] = []

    def open_browser(url: str, *_: Any, **__: Any) -> bool:
        begun.append(asyncio.run_coroutine_threadsafe(log_in(url), loop))
        return True

    monkeypatch.setattr("webbrowser.open", open_browser)
    options = {**at(port), "trusted_dashboard": (dashboard,)}
    async with trusting(tmp_path, idp, options) as cloud, served(cloud, port) as url:
        idp.trust(f"{url}/{PAIR}")
        auth = WebSSO(url, "corp", "saml2", redirect_port=own_port)
        access = await asyncio.to_thread(auth.get_access, Session())
        assert access.username == "bob"
        await asyncio.wrap_future(begun[0])
    await browser.close()


K2K_RULES = [
    {
        "local": [{"user": {"name": "{0}"}}, {"groups": "{1}"}],
        "remote": [{"type": "openstack_user"}, {"type": "openstack_groups"}],
    }
]


async def test_from_cloud_to_cloud(tmp_path: Path) -> None:
    """Keystone to keystone, by the plugin of keystoneauth, unchanged."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    write_pair(tmp_path / "certificate.pem", tmp_path / "key.pem", "cloud")
    saml = SamlIdp(
        certfile=str(tmp_path / "certificate.pem"),
        keyfile=str(tmp_path / "key.pem"),
        idp_entity_id="https://one.example.org/saml2/idp",
        idp_sso_endpoint="https://one.example.org/saml2/sso",
    )
    peer = SamlPeer(metadata_file=str(tmp_path / "metadata.xml"), unsolicited=True)
    clock, ports = SystemClock(), (free_port(), free_port())
    trusts = {"federation": {"corp": {"saml2": peer}}, **at(ports[1])}
    async with (
        cloud_at(tmp_path / "one", clock=clock, saml=saml) as one,
        cloud_at(tmp_path / "two", clock=clock, **trusts) as two,
        served(one, ports[0]) as first,
        served(two, ports[1]) as second,
    ):
        shown = await one.http.get("/v3/OS-FEDERATION/saml2/metadata")
        assert shown.headers["content-type"] == "text/xml"
        (tmp_path / "metadata.xml").write_bytes(shown.content)
        await trust(two, "saml2", K2K_RULES, saml.idp_entity_id)
        group, far = await two.make("group", name="crew"), await two.make("project")
        await two.grant(f"/projects/{far['id']}/groups/{group['id']}", "reader")
        user, project, token = await one.member()
        crew = await one.make("group", name="crew")
        await one.call("PUT", f"/groups/{crew['id']}/users/{user['id']}")
        there = {"auth_url": f"{second}/{PAIR}/auth", "sp_url": f"{second}/{PAIR}/auth"}
        body = {"service_provider": {**there, "enabled": True}}
        await one.call("PUT", "/OS-FEDERATION/service_providers/two", json=body)
        service = await one.make("service", type="identity")
        await one.make("endpoint", service_id=service["id"], interface="public", url=first)

        def log_in() -> Any:
            local = Password(
                auth_url=first,
                user_id=user["id"],
                password="correct horse battery staple",
                project_id=project["id"],
            )
            remote = Keystone2Keystone(local, "two", project_id=far["id"])
            return remote.get_access(Session())

        access = await asyncio.to_thread(log_in)
        assert access.username == user["name"] and access.role_names == ["reader"]
        assert (await two.validate(access.auth_token)).status_code == 200
        token = await one.log_in(user["id"], scope={"project": {"id": project["id"]}})
        await _once_and_for_scoped_tokens(one, two, token, user["id"])


async def _once_and_for_scoped_tokens(one: Cloud, two: Cloud, token: str, user_id: str) -> None:
    def asked(proof: str, provider: str = "two") -> Any:
        identity = {"methods": ["token"], "token": {"id": proof}}
        return {"auth": {"identity": identity, "scope": {"service_provider": {"id": provider}}}}

    reply = await one.call("POST", "/auth/OS-FEDERATION/saml2/ecp", "", asked(token))
    assert reply.status_code == 200 and reply.headers["x-sp-url"].endswith("/auth")
    sent = {"content-type": "application/vnd.paos+xml"}
    for status in (201, 401):  # An assertion counts once.
        answer = await two.http.post(f"/v3/{PAIR}/auth", content=reply.content, headers=sent)
        assert answer.status_code == status, answer.text
    plain = await one.call("POST", "/auth/OS-FEDERATION/saml2", "", asked(token))
    assert plain.headers["content-type"] == "text/xml" and b"openstack_project" in plain.content
    unscoped = await one.log_in(user_id, scope="unscoped")
    for proof, provider, status in (
        (unscoped, "two", 403),
        (token, "none", 404),
        ("x", "two", 404),
    ):
        reply = await one.call("POST", "/auth/OS-FEDERATION/saml2", "", asked(proof, provider))
        assert reply.status_code == status, reply.text


async def test_the_settings_are_checked(tmp_path: Path, idp: SimpleSaml) -> None:
    good = {"kind": "saml2", "metadata_file": str(idp.metadata_file)}
    files, _ = key_files(tmp_path)
    write_pair(tmp_path / "other.pem", tmp_path / "other.key", "other")
    away = {"kind": "openid", "issuer": f"http://127.0.0.1:{free_port()}", "client_id": "x"}
    tables = {
        "good": good,
        "no_file": {**good, "metadata_file": "/nonexistent"},
        "no_metadata": {**good, "metadata_file": __file__},
        "no_key": {**good, "key_file": str(idp.metadata_file)},
        "not_signed": {**good, "metadata_file": by_post(idp, tmp_path)},
        "other_key": {**good, **files, "certificate_file": str(tmp_path / "other.pem")},
        "signed": {**good, **files, "metadata_file": by_post(idp, tmp_path)},
        "away": away,
    }
    keystone = {"federation": {"corp": tables}}
    found = await check(Settings(state_dir=tmp_path, keystone=keystone))
    named = {f.name: f for f in found if f.name.startswith("keystone")}
    wrong = {name.rpartition(".")[2] for name, finding in named.items() if finding.problem}
    assert wrong == {"no_file", "no_metadata", "no_key", "not_signed", "other_key", "away"}
    assert ENTITY in named["keystone.federation.corp.good"].text
    keystone["federation"]["corp"] = {"x": {**good, "metadata": "x"}}
    found = await check(Settings(state_dir=tmp_path, keystone=keystone))
    assert "metadata" in found[-1].problem

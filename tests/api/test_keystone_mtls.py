"""OAuth 2.0 clients with certificates, over real TLS. Source: RFC 8705."""

import asyncio
import base64
import dataclasses
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from keystone_cloud import Cloud, Heard, by_password, cloud_at
from keystoneauth1.identity.v3 import OAuth2mTlsClientCredential
from keystoneauth1.session import Session
from tests.certificates import Pair, pair

from aerostat.assembly.engines import HaProxy, free_port
from aerostat.assembly.settings import Settings
from aerostat.cli.configuration import check
from aerostat.kit.clock import SystemClock
from aerostat.kit.http.proxies import BehindProxies, networks
from aerostat.kit.http.serve import GRACE_S, HttpServer, Tls

RULES = [
    {
        "local": [{"user": {"name": "{0}", "email": "{1}", "domain": {"name": "{2}"}}}],
        "remote": [
            {"type": "SSL_CLIENT_SUBJECT_DN_CN"},
            {"type": "SSL_CLIENT_SUBJECT_DN_EMAILADDRESS"},
            {"type": "SSL_CLIENT_SUBJECT_DN_DC"},
            {"type": "SSL_CLIENT_ISSUER_DN_CN", "any_one_of": ["authority"]},
        ],
    }
]


@dataclass
class World:
    """A cloud behind TLS, an authority, and a user with a default project."""

    cloud: Cloud
    url: str
    folder: Path
    authority: Pair
    user: Any
    project: Any
    plain: int = 0

    def write(self, signed: Pair, name: str) -> tuple[str, str]:
        """Write a pair; return the names of its files."""
        files = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        signed.write(*files)
        return str(files[0]), str(files[1])

    def client(self, shown: Pair | None = None) -> httpx.AsyncClient:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if shown is not None:
            context.load_cert_chain(*self.write(shown, "shown"))
        return httpx.AsyncClient(base_url=self.url, verify=context)

    def certificate(self, **changes: str) -> Pair:
        """Return a certificate that says who the user is, but for `changes`."""
        known = {"email_address": "ada@corp", "domain_component": "Default", **changes}
        return pair(known.pop("name", self.user["name"]), self.authority, **known)

    async def ask(self, shown: Pair | None, client_id: str = "") -> httpx.Response:
        form = {"grant_type": "client_credentials", "client_id": client_id or self.user["id"]}
        async with self.client(shown) as client:
            return await client.post("/v3/OS-OAUTH2/token", data=form)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    authority = pair("authority")
    authority.write(tmp_path / "ca.pem", tmp_path / "ca.key")
    pair("localhost", authority).write(tmp_path / "server.pem", tmp_path / "server.key")
    tls = Tls(*(str(tmp_path / n) for n in ("server.pem", "server.key", "ca.pem")))
    port = free_port()
    async with cloud_at(tmp_path, clock=SystemClock()) as cloud:
        server = HttpServer(cloud.app, "127.0.0.1", port, tls)
        await server.start()
        body = {"mapping": {"rules": RULES}}
        reply = await cloud.call("PUT", "/OS-FEDERATION/mappings/oauth2_mapping", json=body)
        assert reply.status_code == 201
        project = await cloud.make("project")
        user = await cloud.user(default_project_id=project["id"], email="ada@corp")
        await cloud.grant(f"/projects/{project['id']}/users/{user['id']}", "member")
        url = f"https://localhost:{port}"
        yield World(cloud, url, tmp_path, authority, user, project)
        await server.stop()


async def test_a_token_that_is_bound_to_its_certificate(world: World) -> None:
    own, other = world.certificate(), world.certificate(name="other")
    reply = await world.ask(own)
    assert reply.status_code == 200, reply.text
    token = reply.json()["access_token"]
    shown = (await world.cloud.validate(token)).json()["token"]
    assert shown["methods"] == ["oauth2_credential"]
    assert shown["project"]["id"] == world.project["id"]
    assert len(shown["oauth2_credential"]["x5t#S256"]) == 44
    headers = {"X-Auth-Token": token}
    for certificate, status in ((own, 200), (other, 401), (None, 401)):
        async with world.client(certificate) as client:
            answer = await client.get("/v3/auth/projects", headers=headers)
            assert answer.status_code == status
    rescoped = {"identity": {"methods": ["token"], "token": {"id": token}}}
    async with world.client(own) as client:
        again = await client.post("/v3/auth/tokens", json={"auth": rescoped})
    assert again.json()["token"]["oauth2_credential"] == shown["oauth2_credential"]


async def test_idle_clients_hold_up_no_end(tmp_path: Path) -> None:
    pair("localhost").write(tmp_path / "cert.pem", tmp_path / "key.pem")
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    async with cloud_at(tmp_path) as cloud, httpx.AsyncClient(verify=context) as client:
        tls = Tls(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
        server = HttpServer(cloud.app, "127.0.0.1", 0, tls)
        port = await server.start()
        assert (await client.get(f"https://localhost:{port}/v3")).status_code == 200
        async with asyncio.timeout(GRACE_S / 2):
            await server.stop()


async def test_who_is_refused(world: World) -> None:
    for changes in (
        {"name": "another"},
        {"email_address": "other@corp"},
        {"domain_component": "elsewhere"},
    ):
        assert (await world.ask(world.certificate(**changes))).status_code == 401
    assert (await world.ask(world.certificate(), client_id="unknown")).status_code == 401
    assert (await world.ask(None)).status_code == 401
    admin = (await world.cloud.get("/users?name=admin"))["users"][0]
    assert (await world.ask(world.certificate(), client_id=admin["id"])).status_code == 401
    stranger = pair(world.user["name"], pair("stranger"), email_address="ada@corp")
    with pytest.raises(httpx.TransportError):  # TLS itself refuses it.
        await world.ask(stranger)
    body = {"user": {"enabled": False}}
    await world.cloud.call("PATCH", f"/users/{world.user['id']}", json=body)
    assert (await world.ask(world.certificate())).status_code == 401


async def test_a_mapping_that_names_nobody_lets_nobody_in(world: World) -> None:
    rules = [{"local": [{"user": {"domain": {"name": "Default"}}}], "remote": RULES[0]["remote"]}]
    path = "/OS-FEDERATION/mappings/oauth2_mapping"
    await world.cloud.call("PATCH", path, json={"mapping": {"rules": rules}})
    assert (await world.ask(world.certificate())).status_code == 401
    await world.cloud.call("DELETE", path)
    assert (await world.ask(world.certificate())).status_code == 401


async def test_keystoneauth(world: World) -> None:
    """The plugin v3oauth2mtlsclientcredential, unchanged."""
    files = world.write(world.certificate(), "own")

    def log_in() -> Any:
        auth = OAuth2mTlsClientCredential(
            auth_url=f"{world.url}/v3",
            oauth2_endpoint=f"{world.url}/v3/OS-OAUTH2/token",
            oauth2_client_id=world.user["id"],
        )
        return auth.get_access(Session(verify=str(world.folder / "ca.pem"), cert=files))

    access = await asyncio.to_thread(log_in)
    assert access.user_id == world.user["id"] and "member" in access.role_names


BEHIND = pytest.mark.skipif(not HaProxy.program.exists(), reason="needs Debian's haproxy")
WRONG = {"auth": {"identity": by_password("nobody", "guess")}}
PROXY = "127.0.0.9"
"""The address that a balancer has towards the cloud; tests themselves come from 127.0.0.1."""


class TlsHaProxy(HaProxy):
    """An HAProxy that ends TLS, and tells a cloud about its clients (RFC 9440)."""

    copy = 0

    def initialise(self) -> None:
        super().initialise()
        (self.folder / "api.pem").write_bytes(self.server.certificate_pem + self.server.key_pem)
        (self.folder / "ca.pem").write_bytes(self.authority.certificate_pem)
        config = self.folder / "haproxy.cfg"
        lines = config.read_text().split("listen ")[0].splitlines()
        where = f"bind 127.0.0.1:{self.port} ssl crt {self.folder}/api.pem"
        lines += [
            "listen api",
            f"  {where} ca-file {self.folder}/ca.pem verify optional",
            "  option forwardfor",
            "  http-request del-header Client-Cert",
            "  http-request set-header Client-Cert :%[ssl_c_der,base64]: if { ssl_c_used }",
            f"  server s 127.0.0.1:{self.copy} source {PROXY}",
        ]
        config.write_text("\n".join(lines) + "\n")
        for path in self.folder.iterdir():
            path.chmod(0o644)

    def __init__(self, folder: Path, copy: int, server: Pair, authority: Pair) -> None:
        super().__init__(folder, {free_port(): []})
        self.copy, self.server, self.authority = copy, server, authority


@pytest.fixture
async def balanced(world: World) -> AsyncIterator[World]:
    """The same cloud behind an HAProxy that speaks TLS for it."""
    port, folder = free_port(), Path(tempfile.mkdtemp(prefix="aerostat-haproxy-"))
    folder.chmod(0o755)
    app = BehindProxies(world.cloud.app, networks(f"{PROXY}/32, 10.0.0.0/8"), "Client-Cert")
    server = HttpServer(app, "127.0.0.1", port)
    await server.start()
    proxy = TlsHaProxy(folder / "server", port, pair("localhost", world.authority), world.authority)
    await asyncio.to_thread(proxy.start)
    yield dataclasses.replace(world, url=f"https://localhost:{proxy.port}", plain=port)
    proxy.kill()
    await server.stop()
    shutil.rmtree(folder)


@BEHIND
async def test_behind_a_balancer_that_ends_tls(balanced: World) -> None:
    own = balanced.certificate()
    reply = await balanced.ask(own)
    assert reply.status_code == 200, reply.text
    headers = {"X-Auth-Token": reply.json()["access_token"]}
    for certificate, status in ((own, 200), (balanced.certificate(name="other"), 401), (None, 401)):
        async with balanced.client(certificate) as client:
            answer = await client.get("/v3/auth/projects", headers=headers)
            assert answer.status_code == status
    async with balanced.client() as client:  # The certificate itself is no secret.
        forged = {**headers, "Client-Cert": header_of(own)}
        assert (await client.get("/v3/auth/projects", headers=forged)).status_code == 401


def header_of(shown: Pair) -> str:
    der = shown.certificate.public_bytes(Encoding.DER)
    return f":{base64.b64encode(der).decode()}:"


@BEHIND
async def test_headers_count_from_balancers_only(balanced: World) -> None:
    own = balanced.certificate()
    token = (await balanced.ask(own)).json()["access_token"]
    pem, raw = own.certificate_pem.decode(), header_of(own)
    for address, values, status in (
        (PROXY, [raw], 200),
        (PROXY, [raw.strip(":")], 200),
        (PROXY, [quote(pem)], 200),
        (PROXY, [], 401),
        (PROXY, [""], 401),
        (PROXY, [raw[:-9]], 401),
        (PROXY, ["x" * 5000], 401),
        (PROXY, [raw, raw], 401),
        ("127.0.0.1", [raw], 401),
    ):
        headers = [("X-Auth-Token", token), *(("Client-Cert", value) for value in values)]
        transport = httpx.AsyncHTTPTransport(local_address=address)
        url = f"http://127.0.0.1:{balanced.plain}/v3/auth/projects"
        async with httpx.AsyncClient(transport=transport) as client:
            answer = await client.get(url, headers=headers)
            assert answer.status_code == status, (address, values)


@BEHIND
async def test_links_have_the_scheme_that_balancers_spoke(balanced: World) -> None:
    for address, said, scheme in (
        (PROXY, ["https"], "https"),
        (PROXY, [], "http"),
        (PROXY, ["https", "http"], "http"),
        (PROXY, ["javascript"], "http"),
        ("127.0.0.1", ["https"], "http"),
    ):
        transport = httpx.AsyncHTTPTransport(local_address=address)
        async with httpx.AsyncClient(transport=transport) as client:
            headers = [("X-Forwarded-Proto", value) for value in said]
            answer = await client.get(f"http://127.0.0.1:{balanced.plain}/v3", headers=headers)
        (link,) = answer.json()["version"]["links"]
        assert link["href"] == f"{scheme}://127.0.0.1:{balanced.plain}/v3/", (address, said)


@pytest.mark.parametrize(("text", "good"), [("10.0.0.1, fe80::/10", True), ("balancer", False)])
async def test_who_is_trusted_is_checked(tmp_path: Path, text: str, good: bool) -> None:
    found = await check(Settings(state_dir=tmp_path, trusted_proxies=text))
    assert [not f.problem for f in found if f.name == "trusted_proxies"] == [good]


@BEHIND
async def test_events_say_where_clients_are(balanced: World) -> None:
    """Not where they say they are: what stands before what a balancer saw is anybody's word."""
    balanced.cloud.keystone.notifier = heard = Heard()
    async with balanced.client() as client:
        for lie in ({}, {"X-Forwarded-For": "192.0.2.1"}):
            await client.post("/v3/auth/tokens", json=WRONG, headers=lie)
    said = [event.payload["initiator"]["host"]["address"] for event in heard.events]
    assert said == ["127.0.0.1", "127.0.0.1"]
    transport = httpx.AsyncHTTPTransport(local_address=PROXY)
    async with httpx.AsyncClient(transport=transport) as client:
        url = f"http://127.0.0.1:{balanced.plain}/v3/auth/tokens"
        for hops in ("192.0.2.1, 198.51.100.7, 10.1.2.3", "10.1.2.3", "nowhere"):
            await client.post(url, json=WRONG, headers={"X-Forwarded-For": hops})
    said = [event.payload["initiator"]["host"]["address"] for event in heard.events[2:]]
    assert said == ["198.51.100.7", PROXY, PROXY]

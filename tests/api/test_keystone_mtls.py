"""OAuth 2.0 clients with certificates, over real TLS. Source: RFC 8705."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from keystone_cloud import Cloud, cloud_at
from keystoneauth1.identity.v3 import OAuth2mTlsClientCredential
from keystoneauth1.session import Session
from tests.certificates import Pair, pair

from aerostat.assembly.engines import free_port
from aerostat.kit.clock import SystemClock
from aerostat.kit.http.serve import HttpServer, Tls

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

"""Two copies of glance-api with staging folders of their own over one database.

Source: glance documentation, `worker_self_reference_url`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from glance_cloud import OCTETS, Cloud, authenticate, cloud_in
from tests import certificates

from aerostat.assembly.image_stores import open_stores
from aerostat.kit.clock import SystemClock
from aerostat.kit.http.edge import Api
from aerostat.kit.http.policy import Policy
from aerostat.kit.http.serve import HttpServer, Tls
from aerostat.services.glance import runtime
from aerostat.services.glance.config import FileStore, GlanceConfig
from aerostat.services.glance.domain import leases
from aerostat.services.glance.peers import Peers
from aerostat.services.glance.service import manifest

DATA = b"staged" * 10_000


@dataclass
class Pair:
    """Two copies; `servers` listen, each at its own URL."""

    one: Cloud
    two: Cloud
    servers: list[HttpServer]

    async def staged(self) -> str:
        """Return an image whose data lies with the first copy."""
        image = await self.one.image()
        path = f"/v2/images/{image['id']}/stage"
        reply = await self.one.ask("PUT", path, content=DATA, headers=OCTETS)
        assert reply.status_code == 204, reply.text
        return str(image["id"])


class _Later:
    """An application that is known after its server's port is."""

    app: Api[runtime.Glance]

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        await self.app(scope, receive, send)  # type: ignore[arg-type]


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair_at(tmp_path, "http://127.0.0.1") as started:
        yield started


@asynccontextmanager
async def pair_at(tmp_path: Path, address: str, tls: Tls | None = None) -> AsyncIterator[Pair]:
    apps = [_Later(), _Later()]
    servers = [HttpServer(app, "127.0.0.1", 0, tls) for app in apps]
    urls = [f"{address}:{await server.start()}" for server in servers]
    store = {"file": FileStore(filesystem_store_datadir=str(tmp_path / "images"))}
    configs = [GlanceConfig(enabled_backends=store, worker_self_reference_url=url) for url in urls]
    async with cloud_in(tmp_path / "one", configs[0]) as one:
        state = tmp_path / "two"
        stores = open_stores(configs[1], state, SystemClock())
        keys = tmp_path / "one" / "glance"
        glance = runtime.build(one.glance.db, state, stores, configs[1], keys=keys)
        api = Api(manifest.api, glance, Policy(manifest.rules), authenticate)
        apps[0].app, apps[1].app = one.app, api
        transport = httpx.ASGITransport(app=api)
        async with httpx.AsyncClient(transport=transport, base_url="http://glance") as http:
            yield Pair(one, Cloud(glance, http, api), servers)
        await asyncio.gather(*(server.stop() for server in servers))
        await glance.close()


async def test_an_import_goes_where_the_data_is(pair: Pair) -> None:
    image_id = await pair.staged()
    shown = await pair.two.show(image_id)
    assert shown["status"] == "uploading" and "os_glance_stage_host" not in shown
    body = {"method": {"name": "glance-direct"}, "all_stores": True}
    reply = await pair.two.ask("POST", f"/v2/images/{image_id}/import", json=body)
    assert reply.status_code == 202, reply.text
    await pair.one.settled()
    assert (await pair.two.show(image_id))["status"] == "active"
    for copy in (pair.one, pair.two):
        assert (await copy.ask("GET", f"/v2/images/{image_id}/file")).content == DATA


@pytest.mark.parametrize("trusted", [True, False])
async def test_an_authority_of_ones_own(tmp_path: Path, trusted: bool) -> None:
    authority, files = certificates.pair("authority"), ("server.pem", "server.key", "ca.pem")
    authority.write(tmp_path / "ca.pem", tmp_path / "ca.key")
    certificates.pair("localhost", authority).write(tmp_path / files[0], tmp_path / files[1])
    cert, key, ca = (str(tmp_path / file) for file in files)
    async with pair_at(tmp_path, "https://localhost", Tls(cert, key)) as pair:
        pair.two.glance.peers = Peers(ca if trusted else "")
        body = {"method": {"name": "glance-direct"}}
        path = f"/v2/images/{await pair.staged()}/import"
        reply = await pair.two.ask("POST", path, json=body)
        assert reply.status_code == (202 if trusted else 504)
        await pair.one.settled()


async def test_what_the_other_copy_says_is_said(pair: Pair) -> None:
    image_id = await pair.staged()
    path, body = f"/v2/images/{image_id}/import", {"method": {"name": "glance-direct"}}
    assert (await pair.two.ask("POST", path, "other", json=body)).status_code == 404
    wrong = await pair.two.ask("POST", path, json={**body, "stores": ["no"]})
    assert wrong.status_code == 400 and "no" in wrong.json()["message"]
    await pair.servers[0].stop()
    gone = await pair.two.ask("POST", path, json=body)
    assert gone.status_code == 504 and gone.json()["message"] == "Stage host is unavailable"
    assert (await pair.two.show(image_id))["status"] == "uploading"


@pytest.mark.parametrize("away", [False, True])
async def test_a_deletion_takes_the_staged_data_along(pair: Pair, away: bool) -> None:
    image_id = await pair.staged()
    assert pair.one.files() == [image_id]
    if away:
        await pair.servers[0].stop()
    assert (await pair.two.ask("DELETE", f"/v2/images/{image_id}")).status_code == 204
    assert (await pair.one.ask("GET", f"/v2/images/{image_id}")).status_code == 404
    assert pair.one.files() == ([image_id] if away else [])
    pair.one.glance.db.shared = True  # type: ignore[misc]
    await leases.recover(pair.one.glance)
    assert pair.one.files() == []


async def test_a_copy_that_starts_again_knows_its_own(pair: Pair) -> None:
    image_id = await pair.staged()
    (pair.two.glance.staging.folder / "left.part").write_bytes(b"x")
    (pair.one.glance.staging.folder / "left.part").write_bytes(b"x")
    pair.one.glance.db.shared = True  # type: ignore[misc]
    await leases.recover(pair.one.glance)
    assert pair.one.files() == [image_id]
    await leases.recover(pair.two.glance)
    assert list(pair.two.glance.staging.folder.iterdir()) == []
    (pair.one.glance.staging.folder / image_id).unlink()
    await leases.recover(pair.two.glance)
    assert (await pair.two.show(image_id))["status"] == "uploading"
    await leases.recover(pair.one.glance)
    assert (await pair.two.show(image_id))["status"] == "queued"


async def test_a_ticket_opens_at_every_copy(pair: Pair) -> None:
    image = await pair.one.image()
    assert (await pair.one.upload(image["id"], DATA)).status_code == 204
    ticket = pair.one.glance.tickets.issue(image["id"], int(SystemClock().now()) + 60)
    path = f"{image['file']}?ticket={ticket}"
    assert (await pair.two.http.get(path)).content == DATA

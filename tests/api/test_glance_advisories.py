"""What upstream's advisories on glance were about, where no other test holds it."""

import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from glance_cloud import OCTETS, Cloud, cloud_in

from aerostat.kit.log import Secret
from aerostat.services.glance.config import FileStore, GlanceConfig, S3Store, SwiftStore

DATA = b"an image" * 1000
KEY = "not-to-be-seen"


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with cloud_in(tmp_path) as cloud:
        yield cloud


@dataclass
class Web:
    """A server that sends everybody on to another place; what it was asked for."""

    server: ThreadingHTTPServer
    to: str = ""
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


def _web() -> Web:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.asked.append(self.path)
            self.send_response(302 if web.to else 200)
            self.send_header("location", web.to)
            self.send_header("content-length", str(len(DATA)))
            self.end_headers()
            self.wfile.write(DATA)

        def log_message(self, *_args: Any) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    web = Web(server)
    return web


@pytest.fixture
def webs() -> Iterator[tuple[Web, Web]]:
    """A server that tenants may name, and one inside, to which it sends them on."""
    outside, inside = _web(), _web()
    outside.to = f"{inside.url}/secret"
    yield outside, inside
    for web in (outside, inside):
        web.server.shutdown()


class Catalogue:
    """A catalogue with one image service."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def endpoint(self, **_wanted: str) -> str:
        return self._url


@pytest.mark.parametrize("method", ["web-download", "glance-download"])
async def test_redirects_are_not_followed(
    tmp_path: Path, webs: tuple[Web, Web], method: str
) -> None:
    outside, inside = webs
    ports = (outside.server.server_port, inside.server.server_port)
    config = GlanceConfig(
        import_methods=(method,), web_download_networks=("127.0.0.0/8",), web_download_ports=ports
    )
    async with cloud_in(tmp_path, config) as cloud:
        identity: Any = Catalogue(outside.url)
        cloud.glance.identity = identity
        image = await cloud.image()
        body = {"name": method, "uri": f"{outside.url}/x"}
        body |= {"glance_image_id": image["id"], "glance_region": "RegionTwo"}
        path = f"{image['self']}/import"
        assert (await cloud.ask("POST", path, json={"method": body})).status_code == 202
        await cloud.settled()
        assert outside.asked and inside.asked == []
        assert (await cloud.show(image["id"]))["status"] == "queued" and cloud.files() == []


@pytest.mark.parametrize("uri", ["http://127.0.0.1/x", "http://0x7f.1/", "file:///etc/passwd"])
async def test_the_old_way_to_import_is_filtered_too(cloud: Cloud, uri: str) -> None:
    given = {"image_properties": {"name": "x"}, "import_from": uri, "import_from_format": "raw"}
    body = {"type": "import", "input": given}
    made = await cloud.ask("POST", "/v2/tasks", "admin", json=body)
    task = (await cloud.ask("GET", f"/v2/tasks/{made.json()['id']}", "admin")).json()
    assert task["status"] == "failure" and "does not pass filtering" in task["message"]
    assert await cloud.names(who="admin") == []


async def test_policy_comes_before_the_cache(cloud: Cloud) -> None:
    image = await cloud.image(visibility="private")
    assert (await cloud.upload(image["id"], DATA)).status_code == 204
    assert (await cloud.ask("PUT", f"/v2/cache/{image['id']}", "admin")).status_code == 202
    await cloud.settled()
    assert cloud.glance.cache is not None and image["id"] in cloud.glance.cache.entries
    assert (await cloud.ask("GET", image["file"])).content == DATA
    assert (await cloud.ask("GET", image["file"], "other")).status_code == 404
    off = f"{image['self']}/actions/deactivate"
    assert (await cloud.ask("POST", off, "admin")).status_code == 204
    assert (await cloud.ask("GET", image["file"])).status_code == 403
    assert (await cloud.ask("GET", image["file"], "admin")).content == DATA


@pytest.mark.parametrize("visibility", ["private", "shared", "community", "public"])
async def test_nobody_deletes_what_is_not_theirs(cloud: Cloud, visibility: str) -> None:
    image = await cloud.image("admin", visibility=visibility)
    assert (await cloud.upload(image["id"], DATA, "admin")).status_code == 204
    await cloud.ask("POST", f"{image['self']}/members", "admin", json={"member": "p1"})
    for who in ("member", "reader", "other"):
        seen = (await cloud.ask("GET", image["self"], who)).status_code == 200
        deleted = await cloud.ask("DELETE", image["self"], who)
        assert deleted.status_code == (403 if seen else 404)
    assert (await cloud.ask("GET", image["file"], "admin")).content == DATA


async def test_nobody_says_what_status_an_image_has(cloud: Cloud) -> None:
    born = await cloud.ask("POST", "/v2/images", json={"name": "x", "status": "active"})
    assert born.status_code == 403
    image = await cloud.image()
    says = {"x-image-meta-status": "active", **OCTETS}
    sent = await cloud.ask("PUT", image["file"], content=DATA, headers=says)
    assert sent.status_code == 204
    for status in ("queued", "saving", "deleted"):
        change = [{"op": "replace", "path": "/status", "value": status}]
        assert (await cloud.patch(image["id"], change)).status_code == 403
        says = {"x-image-meta-status": status, **OCTETS}
        again = await cloud.ask("PUT", image["file"], content=b"other", headers=says)
        assert again.status_code == 409
    assert (await cloud.ask("GET", image["file"])).content == DATA


@pytest.mark.parametrize("kind", ["s3", "swift"])
async def test_credentials_of_stores_are_not_told(
    tmp_path: Path, webs: tuple[Web, Web], caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(logging.DEBUG)
    refuses = webs[1].url
    store = {
        "s3": S3Store(
            s3_store_host=refuses,
            s3_store_bucket="b",
            s3_store_access_key=Secret("the-name"),
            s3_store_secret_key=Secret(KEY),
        ),
        "swift": SwiftStore(
            swift_store_auth_address=f"{refuses}/v3",
            swift_store_user="services:glance",
            swift_store_key=Secret(KEY),
        ),
    }[kind]
    config = GlanceConfig(
        enabled_backends={"far": store, "file": FileStore()},
        default_backend="far",
        show_multiple_locations=True,
        show_image_direct_url=True,
    )
    async with cloud_in(tmp_path, config) as cloud:
        image = await cloud.image()
        reply = await cloud.upload(image["id"], DATA)
        assert reply.status_code == 503
        shown = await cloud.show(image["id"])
        driver = cloud.glance.stores.get("far")
        told = f"{reply.text} {shown} {driver.url(image['id'])} {config} {caplog.text}"
        assert KEY not in told

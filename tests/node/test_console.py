"""The console of a real guest: its screen through the token-checked websocket, and in a browser."""

import asyncio
import base64
import json
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from msgspec import structs
from nova_guests import guest_image
from tests.whole_cloud import User, WholeCloud
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from aerostat.kit.http.edge import Api
from aerostat.services.nova.drivers.base import NodeIdentity
from aerostat.services.nova.drivers.libvirt.driver import LibvirtDriver
from aerostat.services.nova.tasks.novncproxy import NovncProxy

pytestmark = [pytest.mark.guest, pytest.mark.root, pytest.mark.timeout(240)]

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--window-size=1000,700",
]
BINARY = [Subprotocol("binary")]


class AppSource:
    """Image data from the image API of this very process."""

    def __init__(self) -> None:
        self.app: Api[object] | None = None

    async def stream(self, path: str) -> AsyncIterator[bytes]:
        assert self.app is not None
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://glance") as client:
            reply = await client.get(path)
            assert reply.status_code == 200
            yield reply.content

    async def close(self) -> None:
        pass


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Screen:
    """A server with a screen, and the proxy in front of it."""

    def __init__(self, admin: User, server_id: str, port: int) -> None:
        self._admin, self._server_id, self.port = admin, server_id, port

    async def url(self) -> str:
        """Return the console URL as `openstack console url show` gets it."""
        body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        reply = await self._admin.post(
            "nova", f"/v2.1/servers/{self._server_id}/remote-consoles", body
        )
        assert reply.status_code == 200, reply.text
        return str(reply.json()["remote_console"]["url"])

    def websocket(self, url: str) -> str:
        """Return where noVNC's page connects to."""
        path = parse_qs(urlsplit(url).query)["path"][0]
        return f"ws://127.0.0.1:{self.port}/{path}"


@pytest.fixture
async def screen() -> AsyncIterator[Screen]:
    folder = Path(tempfile.mkdtemp(prefix="nova-console-", dir="/var/tmp"))
    folder.chmod(0o755)
    cloud, source, port = WholeCloud(folder), AppSource(), free_port()
    image = await asyncio.to_thread(guest_image)
    identity = NodeIdentity("host-1", "host-1", "127.0.0.1")
    state = folder / "node"
    state.mkdir(mode=0o755)
    driver = LibvirtDriver(identity, state, source)
    cloud.drivers = {"host-1": driver}  # type: ignore[dict-item]
    await driver.open(lambda server_id, power: None)
    await cloud.start()
    own = structs.replace(cloud.nova.config, instance_name_template=f"console-{port}-%08x")
    object.__setattr__(cloud.nova, "config", own)  # Guests of other clouds are here as well.
    source.app = cloud.plane.apps["glance"]
    proxy = NovncProxy(cloud.nova, "127.0.0.1", port)
    await proxy.start()
    admin = await cloud.admin()
    server_id = await boot(cloud, admin, Path(image.path))
    found = Screen(admin, server_id, port)
    yield found
    await proxy.stop()
    await driver.destroy(server_id)
    await driver.close()
    await cloud.stop()
    shutil.rmtree(folder)


async def boot(cloud: WholeCloud, admin: User, image: Path) -> str:
    """Boot the tiny guest without a network; return once its login is on the console."""
    body = {"name": "guest", "disk_format": "qcow2", "container_format": "bare"}
    image_id = (await admin.post("glance", "/v2/images", body)).json()["id"]
    data = await asyncio.to_thread(image.read_bytes)
    assert (await admin.upload(f"/v2/images/{image_id}/file", data)).status_code == 204
    flavor = {"flavor": {"name": "screen", "ram": 128, "vcpus": 1, "disk": 1}}
    flavor_id = (await admin.post("nova", "/v2.1/flavors", flavor)).json()["flavor"]["id"]
    server = {"name": "tv", "imageRef": image_id, "flavorRef": flavor_id, "networks": "none"}
    made = await admin.post("nova", "/v2.1/servers", {"server": server})
    assert made.status_code == 202, made.text
    server_id = str(made.json()["server"]["id"])
    await cloud.nova.sagas.idle()
    shown = (await admin.get("nova", f"/v2.1/servers/{server_id}")).json()["server"]
    assert shown["status"] == "ACTIVE", shown.get("fault")
    url = f"/v2.1/servers/{server_id}/action"
    async with asyncio.timeout(90):
        while True:
            said = await admin.post("nova", url, {"os-getConsoleOutput": {}})
            if "login:" in said.json()["output"]:
                return server_id
            await asyncio.sleep(0.2)


async def refused(url: str, **options: str) -> int:
    """Return the status that a websocket is refused with."""
    with pytest.raises(InvalidStatus) as caught:
        async with connect(url, subprotocols=BINARY, **options):  # type: ignore[arg-type]
            pass
    return caught.value.response.status_code


async def test_console(screen: Screen, tmp_path: Path) -> None:
    url = await screen.url()
    websocket = screen.websocket(url)
    async with connect(websocket, subprotocols=BINARY) as browser:
        assert browser.subprotocol == "binary"
        assert str(await browser.recv(), "ascii") == "RFB 003.008\n"
        await browser.send(b"RFB 003.008\n")
        kinds = await browser.recv()
        assert kinds[0] >= 1  # Security types follow: this is a VNC server.
    page = f"http://127.0.0.1:{screen.port}"
    async with connect(websocket, subprotocols=BINARY, origin=page):  # type: ignore[arg-type]
        pass
    assert await refused(websocket, origin="http://evil.example") == 403
    assert await refused(websocket.replace("token=", "token=bad")) == 403
    assert await refused(f"ws://127.0.0.1:{screen.port}/websockify") == 403
    async with httpx.AsyncClient(base_url=page, trust_env=False) as client:
        assert "noVNC" in (await client.get("/vnc_auto.html")).text
        assert (await client.get("/../../../etc/passwd")).status_code == 404
        assert (await client.get("/%2e%2e/%2e%2e/%2e%2e/etc/passwd")).status_code == 404


LIT = """(() => {
  const canvas = document.querySelector("#noVNC_container canvas");
  if (!canvas || !canvas.width) return 0;
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let lit = 0;
  for (let i = 0; i < data.length; i += 4) if (data[i] + data[i + 1] + data[i + 2] > 200) lit++;
  return lit;
})()"""
"""Counts the bright pixels of the guest's screen: its text."""


class Browser:
    """Chromium without a head, steered over its debugging protocol."""

    def __init__(self, page: ClientConnection) -> None:
        self._page, self._number = page, 0

    async def do(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        request = {"id": self._number, "method": method, "params": params}
        await self._page.send(json.dumps(request))
        while True:
            reply = json.loads(await self._page.recv())
            if reply.get("id") == self._number:
                return dict(reply["result"])

    async def lit(self) -> int:
        """Return how many pixels of the guest's screen are bright."""
        found = await self.do("Runtime.evaluate", expression=LIT, returnByValue=True)
        return int(found["result"].get("value", 0))


@asynccontextmanager
async def browse(url: str, profile: Path) -> AsyncIterator[Browser]:
    """Open a page in Chromium."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", f"--remote-debugging-port={port}", url,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with connect(await _debugger(port), max_size=1 << 25) as page:
            yield Browser(page)
    finally:
        process.terminate()
        await process.wait()


async def _debugger(port: int) -> str:
    async with (
        httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as client,
        asyncio.timeout(60),
    ):
        while True:
            try:
                pages = (await client.get("/json")).json()
                return next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page")
            except (httpx.TransportError, StopIteration):
                await asyncio.sleep(0.1)


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
async def test_console_in_a_browser(screen: Screen, tmp_path: Path) -> None:
    parts = urlsplit(await screen.url())
    url = f"http://127.0.0.1:{screen.port}{parts.path}?{parts.query}"
    async with browse(url, tmp_path / "profile") as browser, asyncio.timeout(60):
        while await browser.lit() < 500:  # noqa: ASYNC110 - a canvas tells nobody of its drawing
            await asyncio.sleep(0.2)
        shot = await browser.do("Page.captureScreenshot", format="png")
        (tmp_path / "screen.png").write_bytes(base64.b64decode(shot["data"]))

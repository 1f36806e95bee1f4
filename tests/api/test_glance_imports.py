"""Imports: plugins that change data, bombs among it, and images of another region."""

import asyncio
import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from glance_cloud import OCTETS, Cloud, cloud_in

from aerostat.kit.http.serve import HttpServer
from aerostat.services.glance.config import GlanceConfig

DATA = bytes(range(256)) * 1000
CAP = 1 << 20
PLUGINS = ("image_decompression", "image_conversion", "inject_image_metadata")


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    config = GlanceConfig(
        image_import_plugins=PLUGINS, image_size_cap=CAP, inject={"source": "import"}
    )
    async with cloud_in(tmp_path, config) as cloud:
        yield cloud


async def _import(cloud: Cloud, data: bytes, who: str = "member", **more: Any) -> dict[str, Any]:
    """Return the image after its import."""
    image = await cloud.image(who, **more)
    path = f"/v2/images/{image['id']}"
    staged = await cloud.ask("PUT", f"{path}/stage", who, content=data, headers=OCTETS)
    assert staged.status_code == 204, staged.text
    body = {"method": {"name": "glance-direct"}}
    assert (await cloud.ask("POST", f"{path}/import", who, json=body)).status_code == 202
    await cloud.settled()
    return await cloud.show(image["id"], who)


def _zip(*files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, data in enumerate(files):
            archive.writestr(f"{number}", data)
    return out.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, _zip])
async def test_decompression(cloud: Cloud, pack: Any) -> None:
    now = await _import(cloud, pack(DATA), container_format="compressed")
    assert (now["status"], now["container_format"], now["size"]) == ("active", "bare", len(DATA))
    assert now["source"] == "import"
    assert (await cloud.ask("GET", now["file"])).content == DATA
    bomb = await _import(cloud, pack(bytes(4 * CAP)), container_format="compressed")
    assert bomb["status"] == "queued" and bomb["container_format"] == "compressed"
    cut = await _import(cloud, pack(DATA)[:-9], container_format="compressed")
    assert cut["status"] == "queued"
    assert cloud.files() == [now["id"]]


async def test_what_is_not_unpacked(cloud: Cloud) -> None:
    two = await _import(cloud, _zip(DATA, DATA), container_format="compressed")
    assert two["status"] == "queued"
    plain = await _import(cloud, DATA, container_format="compressed")
    assert (plain["status"], plain["container_format"]) == ("active", "compressed")
    packed = await _import(cloud, gzip.compress(DATA))
    assert (packed["status"], packed["size"]) == ("active", len(gzip.compress(DATA)))


async def test_administrators_inject_nothing(cloud: Cloud) -> None:
    assert "source" not in await _import(cloud, DATA, "admin")


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-utils is not installed")
async def test_conversion(cloud: Cloud, tmp_path: Path) -> None:
    raw, qcow2 = tmp_path / "raw", tmp_path / "qcow2"
    raw.write_bytes(DATA + bytes(CAP // 2 - len(DATA)))
    command = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(qcow2)]
    await asyncio.to_thread(subprocess.run, command, check=True)
    now = await _import(cloud, qcow2.read_bytes(), disk_format="qcow2")
    assert (now["status"], now["disk_format"], now["size"]) == ("active", "raw", CAP // 2)
    assert (await cloud.ask("GET", now["file"])).content == raw.read_bytes()
    command = ["qemu-img", "create", "-q", "-f", "qcow2", str(qcow2), str(16 * CAP)]
    await asyncio.to_thread(subprocess.run, command, check=True)
    large = await _import(cloud, qcow2.read_bytes(), disk_format="qcow2")
    assert large["status"] == "queued" and large["disk_format"] == "qcow2"
    backed = qcow2.read_bytes()[:8] + bytes([0, 0, 0, 0, 0, 0, 1, 0]) + qcow2.read_bytes()[16:]
    hostile = await _import(cloud, backed, disk_format="qcow2")
    assert hostile["status"] == "queued"
    assert cloud.files() == [now["id"]]


class Catalogue:
    """Keystone's side: where another region's glance is."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def endpoint(self, *, service_type: str, region: str, interface: str) -> str:
        return self.url if region == "RegionTwo" else ""

    async def limits(self, *, service_type: str, project_id: str) -> dict[str, int]:
        return {}

    async def project_exists(self, *, project_id: str) -> bool:
        return True

    async def register(self, *, region: str, services: list[Any]) -> None:
        raise NotImplementedError


async def test_glance_download(tmp_path: Path) -> None:
    config = GlanceConfig(import_methods=("glance-download",))
    async with cloud_in(tmp_path / "a", config) as here, cloud_in(tmp_path / "b") as there:
        server = HttpServer(there.app, "127.0.0.1", 0)
        port = await server.start()
        here.glance.identity = Catalogue(f"http://127.0.0.1:{port}")
        remote = await there.image(hw_disk_bus="scsi", other="stays")
        assert (await there.upload(remote["id"], DATA)).status_code == 204

        async def take(image_id: str, region: str = "RegionTwo") -> tuple[int, dict[str, Any]]:
            image = await here.image(disk_format="iso", hw_disk_bus="ide")
            method = {
                "name": "glance-download",
                "glance_image_id": image_id,
                "glance_region": region,
            }
            path = f"/v2/images/{image['id']}/import"
            reply = await here.ask("POST", path, json={"method": method})
            await here.settled()
            return reply.status_code, await here.show(image["id"])

        status, now = await take(remote["id"])
        assert status == 202 and now["status"] == "active" and now["hw_disk_bus"] == "scsi"
        assert "other" not in now
        assert (await here.ask("GET", now["file"])).content == DATA
        assert now["disk_format"] == "raw"
        assert (await take("../../etc/passwd"))[0] == 400
        hidden, empty = await there.image("other"), await there.image()
        for wrong in ((remote["id"], "RegionThree"), (hidden["id"],), (empty["id"],)):
            status, now = await take(*wrong)
            assert (status, now["status"]) == (202, "queued")
            tasks = await here.ask("GET", f"/v2/images/{now['id']}/tasks")
            assert tasks.json()["tasks"][0]["status"] == "failure"
        await server.stop()


async def test_an_import_that_is_deleted(cloud: Cloud, monkeypatch: Any) -> None:
    image = await cloud.image()
    path = f"/v2/images/{image['id']}"
    await cloud.ask("PUT", f"{path}/stage", content=DATA, headers=OCTETS)
    driver: Any = cloud.glance.stores.get("file")
    add, started, go_on = driver.add, asyncio.Event(), asyncio.Event()

    async def slow(*args: Any) -> None:
        started.set()
        await go_on.wait()
        await add(*args)

    monkeypatch.setattr(driver, "add", slow)
    body = {"method": {"name": "glance-direct"}}
    assert (await cloud.ask("POST", f"{path}/import", json=body)).status_code == 202
    await started.wait()
    assert (await cloud.ask("POST", f"{path}/import", json=body)).status_code == 409
    assert (await cloud.ask("DELETE", path)).status_code == 204
    go_on.set()
    await cloud.settled()
    assert cloud.files() == []

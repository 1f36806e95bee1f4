"""Image data through glance's HTTP API: limits, ranges, hostile data, failures, crashes."""

import asyncio
import errno
import os
import sys
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from glance_cloud import OCTETS, Cloud, cloud_in

from aerostat.services.glance.config import GlanceConfig
from aerostat.services.glance.domain import leases
from aerostat.services.glance.runtime import Glance

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
import glance_disks as disks

CAP = 1 << 20


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with cloud_in(tmp_path, GlanceConfig(image_size_cap=CAP)) as cloud:
        yield cloud


async def _untouched(cloud: Cloud, image_id: str) -> None:
    now = await cloud.show(image_id)
    assert now["status"] == "queued" and now["size"] is None and now["checksum"] is None
    assert cloud.files() == []


async def _failing() -> AsyncIterator[bytes]:
    yield b"x" * 1000
    raise ConnectionResetError


async def _too_much() -> AsyncIterator[bytes]:
    for _ in range(5):
        yield bytes(CAP // 4)


async def test_uploads_that_fail_leave_nothing(cloud: Cloud) -> None:
    image = await cloud.image()
    assert (await cloud.upload(image["id"], bytes(CAP + 1))).status_code == 413
    await _untouched(cloud, image["id"])
    assert (await cloud.upload(image["id"], _too_much())).status_code == 413
    await _untouched(cloud, image["id"])
    assert (await cloud.upload(image["id"], _failing())).status_code == 500
    await _untouched(cloud, image["id"])
    reply = await cloud.ask("PUT", image["file"], content=b"x")
    assert reply.status_code == 415
    await _untouched(cloud, image["id"])
    assert (await cloud.upload(image["id"], b"x", "other")).status_code == 404
    assert (await cloud.upload(image["id"], b"x", "reader")).status_code == 403
    unset = await cloud.image(disk_format=None)
    assert (await cloud.upload(unset["id"], b"x")).status_code == 400
    assert (await cloud.upload(image["id"], bytes(CAP))).status_code == 204


@pytest.mark.parametrize(
    ("disk_format", "data"),
    [
        ("qcow2", disks.qcow2(backing=512)),
        ("qcow2", disks.qcow2(features=4)),
        ("qcow2", b"not qcow2"),
        ("raw", disks.qcow2()),
        ("raw", disks.vmdk()),
        ("raw", disks.iso()),
        ("iso", b"not iso"),
        ("vmdk", disks.vmdk(extents=b'RW 2048 FLAT "/etc/passwd" 0')),
        ("vmdk", b"plain"),
        ("vhd", disks.vhd(kind=4)),
        ("vdi", disks.vhd()),
    ],
)
async def test_unacceptable_data_is_refused(cloud: Cloud, disk_format: str, data: bytes) -> None:
    image = await cloud.image(disk_format=disk_format)
    reply = await cloud.upload(image["id"], data)
    assert reply.status_code == 415, reply.text
    await _untouched(cloud, image["id"])


async def test_virtual_size_and_empty_data(cloud: Cloud) -> None:
    image = await cloud.image(disk_format="qcow2")
    assert (await cloud.upload(image["id"], disks.qcow2(size=5 << 30))).status_code == 204
    assert (await cloud.show(image["id"]))["virtual_size"] == 5 << 30
    empty = await cloud.image(disk_format="qcow2")
    assert (await cloud.upload(empty["id"], b"")).status_code == 204
    now = await cloud.show(empty["id"])
    assert now["status"] == "active" and now["size"] == 0
    assert (await cloud.ask("GET", empty["file"])).status_code == 204


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", b"0"),
        ("bytes=2-4", b"234"),
        ("bytes=7-", b"789"),
        ("bytes=-2", b"89"),
        ("bytes=-99", b"0123456789"),
        ("bytes=8-99", b"89"),
        ("bytes=10-", None),
        ("bytes=5-4", None),
        ("bytes=-0", None),
        ("bytes=-", None),
        ("bytes=1-2,4-5", None),
        ("lines=1-2", None),
    ],
)
async def test_ranges(cloud: Cloud, header: str, expected: bytes | None) -> None:
    image = await cloud.image()
    await cloud.upload(image["id"], b"0123456789")
    reply = await cloud.ask("GET", image["file"], headers={"range": header})
    if expected is None:
        assert reply.status_code == 416
        return
    assert reply.status_code == 206 and reply.content == expected
    start = b"0123456789".index(expected)
    last = start + len(expected) - 1
    assert reply.headers["content-range"] == f"bytes {start}-{last}/10"


async def test_deleted_while_it_is_uploaded(cloud: Cloud) -> None:
    image = await cloud.image()
    started = asyncio.Event()
    go_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        started.set()
        await go_on.wait()
        yield b"y"

    uploading = asyncio.create_task(cloud.upload(image["id"], slow()))
    await started.wait()
    assert (await cloud.show(image["id"]))["status"] == "saving"
    assert (await cloud.upload(image["id"], b"z")).status_code == 409
    assert (await cloud.ask("DELETE", image["self"])).status_code == 204
    go_on.set()
    assert (await uploading).status_code == 410
    assert cloud.files() == []


async def _nothing(_glance: Glance, *_args: object) -> None:
    """What a killed process still does."""


@pytest.mark.parametrize("where", ["while it comes", "announced", "stored"])
async def test_recovery_after_a_kill(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    whole, half = [await cloud.image() for _ in range(2)]
    await cloud.upload(whole["id"], b"data")
    driver = cloud.glance.stores.get("file")
    add = driver.add

    async def killed(image_id: str, source: Path) -> None:
        if where == "stored":
            await add(image_id, source)
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(leases, "end", _nothing)
        patch.setattr(driver, "add", killed)
        data = _failing() if where == "while it comes" else b"half"
        assert (await cloud.upload(half["id"], data)).status_code == 500
    (cloud.glance.staging.folder / "unknown").write_bytes(b"nobody's")
    assert (await cloud.show(half["id"]))["status"] == "saving"
    await leases.recover(cloud.glance)
    await _untouched_but(cloud, half["id"], [whole["id"]])
    assert (await cloud.upload(half["id"], b"again")).status_code == 204


async def _untouched_but(cloud: Cloud, image_id: str, files: list[str]) -> None:
    assert (await cloud.show(image_id))["status"] == "queued"
    assert cloud.files() == files


async def test_no_room(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    image = await cloud.image()

    def full(fd: int, data: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        assert (await cloud.upload(image["id"], b"x" * 100)).status_code == 413
    await _untouched(cloud, image["id"])


async def test_memory_stays_flat(tmp_path: Path) -> None:
    size, piece = 64 << 20, bytes(1 << 16)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(size // len(piece)):
            yield piece

    async with cloud_in(tmp_path) as cloud:
        image = await cloud.image()
        tracemalloc.start()
        assert (await cloud.upload(image["id"], body())).status_code == 204
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (await cloud.show(image["id"]))["size"] == size
        assert peak < 16 << 20


async def test_ranges_as_old_clients_name_them(cloud: Cloud) -> None:
    image = await cloud.image()
    await cloud.upload(image["id"], b"0123456789")
    url = f"/v2/images/{image['id']}/file"
    for header, status, data in (
        ("bytes 3-3/10", 206, b"3"),
        ("bytes 0-9/*", 206, b"0123456789"),
        ("bytes 0-10/*", 416, b""),
        ("bytes 5-4/10", 416, b""),
        ("3-3", 416, b""),
    ):
        reply = await cloud.ask("GET", url, headers={"content-range": header})
        assert reply.status_code == status, header
        assert reply.content == data or status == 416
    assert reply.headers["content-type"].startswith("application/json")


async def test_a_body_where_none_belongs_is_refused(cloud: Cloud) -> None:
    image = await cloud.image()
    url = f"/v2/images/{image['id']}"
    for method, path in (
        ("GET", url),
        ("GET", "/v2/schemas/image"),
        ("PUT", f"{url}/tags/t"),
        ("POST", f"{url}/actions/deactivate"),
        ("GET", f"{url}/file"),
        ("DELETE", url),
    ):
        reply = await cloud.ask(method, path, json=["body"])
        assert reply.status_code == 400, path
    assert (await cloud.ask("DELETE", url)).status_code == 204


@pytest.mark.parametrize(("said", "status"), [("4", 204), ("5", 400), ("3", 400), ("four", 400)])
@pytest.mark.parametrize("what", ["file", "stage"])
async def test_data_is_as_large_as_was_said(
    cloud: Cloud, said: str, status: int, what: str
) -> None:
    image = await cloud.image()
    headers = {**OCTETS, "x-openstack-image-size": said}
    url = f"/v2/images/{image['id']}/{what}"
    reply = await cloud.ask("PUT", url, content=b"data", headers=headers)
    assert reply.status_code == status, reply.text
    if status == 400:
        await _untouched(cloud, image["id"])


async def test_what_is_said_to_be_too_large_is_not_read(cloud: Cloud) -> None:
    image = await cloud.image()
    headers = {**OCTETS, "x-openstack-image-size": str(CAP + 1)}
    url = f"/v2/images/{image['id']}/file"
    assert (await cloud.ask("PUT", url, content=b"data", headers=headers)).status_code == 413
    await _untouched(cloud, image["id"])

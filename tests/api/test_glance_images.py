"""Images through glance's HTTP API: create, data, list, change, delete."""

import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from glance_cloud import PATCH, Cloud, cloud_in

from aerostat.kit.errors import NotFound
from aerostat.services.glance.provides import ImageProvider


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with cloud_in(tmp_path) as cloud:
        yield cloud


async def test_life_of_an_image(cloud: Cloud) -> None:
    made = await cloud.image(name="one", os_distro="debian", tags=["a", "b", "a"])
    assert made["status"] == "queued" and made["visibility"] == "shared" and made["size"] is None
    assert made["os_distro"] == "debian" and made["tags"] == ["a", "b"] and made["owner"] == "p1"
    assert made["self"] == f"/v2/images/{made['id']}"
    url = made["file"]
    assert (await cloud.ask("GET", url)).status_code == 204
    data = os.urandom(3 << 20)
    reply = await cloud.upload(made["id"], data)
    assert reply.status_code == 204, reply.text
    now = await cloud.show(made["id"])
    assert now["status"] == "active" and now["size"] == now["virtual_size"] == len(data)
    assert now["checksum"] == hashlib.md5(data).hexdigest()
    assert now["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert now["os_hash_algo"] == "sha512"
    got = await cloud.ask("GET", url)
    assert got.status_code == 200 and got.content == data
    assert got.headers["content-md5"] == now["checksum"]
    assert got.headers["content-length"] == str(len(data))
    assert (await cloud.upload(made["id"], b"again")).status_code == 409
    assert cloud.files() == [made["id"]]
    assert (await cloud.ask("DELETE", made["self"])).status_code == 204
    assert (await cloud.ask("GET", made["self"])).status_code == 404
    assert cloud.files() == []


async def test_provider_and_tickets(cloud: Cloud) -> None:
    made, other = await cloud.image(), await cloud.image()
    for image in (made, other):
        await cloud.upload(image["id"], b"x" * 1000)
    provider = ImageProvider(cloud.glance)
    facts = await provider.get(image_id=made["id"], project_id="p1", is_admin=False)
    assert facts.size_bytes == 1000 and facts.status == "active"
    with pytest.raises(NotFound):
        await provider.get(image_id=made["id"], project_id="p2", is_admin=False)
    path = await provider.download_path(image_id=made["id"])
    assert (await cloud.http.get(path)).content == b"x" * 1000
    stolen = path.replace(made["id"], other["id"])
    assert (await cloud.http.get(stolen)).status_code == 401
    assert (await cloud.http.get(path[:-1])).status_code == 401
    assert (await cloud.http.get(made["file"])).status_code == 401
    assert (await cloud.http.get(made["file"] + "?ticket=9999999999.é")).status_code == 401

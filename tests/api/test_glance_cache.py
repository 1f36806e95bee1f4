"""The image cache: clients do not notice it, operators see and steer it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from glance_cloud import Cloud, cloud_in
from msgspec.structs import replace

from aerostat.kit.errors import Unavailable
from aerostat.services.glance.config import FileStore, GlanceConfig
from aerostat.services.glance.domain import caching

DATA = bytes(range(256)) * 10_000


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    config = GlanceConfig(image_cache_max_size=2 * len(DATA))
    async with cloud_in(tmp_path, config) as cloud:
        cloud.glance.stores.get("file").local = False  # As if it were far away.
        yield cloud


async def _image(cloud: Cloud, data: bytes = DATA) -> dict[str, Any]:
    image = await cloud.image()
    assert (await cloud.upload(image["id"], data)).status_code == 204
    return image


async def _state(cloud: Cloud) -> tuple[dict[str, int], list[str]]:
    shown = (await cloud.ask("GET", "/v2/cache", "admin")).json()
    return {one["image_id"]: one["hits"] for one in shown["cached_images"]}, shown["queued_images"]


async def _away(*_args: Any) -> Any:
    raise Unavailable("The store is away.")


async def test_a_second_download_needs_no_store(cloud: Cloud, monkeypatch: Any) -> None:
    image = await _image(cloud)
    assert (await cloud.ask("GET", image["file"])).content == DATA
    assert await _state(cloud) == ({image["id"]: 0}, [])
    monkeypatch.setattr(cloud.glance.stores.get("file"), "read", _away)
    assert (await cloud.ask("GET", image["file"])).content == DATA
    part = await cloud.ask("GET", image["file"], headers={"range": "bytes=5-9"})
    assert part.status_code == 206 and part.content == DATA[5:10]
    assert await _state(cloud) == ({image["id"]: 2}, [])
    assert cloud.glance.cache is not None
    assert (cloud.glance.cache.hits, cloud.glance.cache.misses) == (2, 1)
    assert (await cloud.ask("GET", image["file"], "other")).status_code == 404
    assert (await cloud.ask("DELETE", image["self"])).status_code == 204
    assert await _state(cloud) == ({}, [])


async def test_parts_are_not_kept(cloud: Cloud) -> None:
    image = await _image(cloud)
    part = await cloud.ask("GET", image["file"], headers={"range": "bytes=5-9"})
    assert part.content == DATA[5:10]
    assert await _state(cloud) == ({}, [])


async def test_a_store_that_lies_is_not_kept(cloud: Cloud) -> None:
    image = await _image(cloud)
    (cloud.images / image["id"]).write_bytes(DATA[::-1])
    assert (await cloud.ask("GET", image["file"])).content == DATA[::-1]
    assert await _state(cloud) == ({}, [])


async def test_a_reader_who_leaves(cloud: Cloud) -> None:
    image = await _image(cloud)
    glance = cloud.glance
    row = await glance.db.read(caching.rows.get, image["id"])
    stream = await caching.read(glance, row, (0, len(DATA)))
    await anext(stream)
    assert glance.cache is not None and glance.cache.arriving == {image["id"]}
    again = await caching.read(glance, row, (0, len(DATA)))
    assert b"".join([piece async for piece in again]) == DATA
    await stream.aclose()  # type: ignore[attr-defined]
    assert await _state(cloud) == ({}, []) and not glance.cache.arriving
    assert (await cloud.ask("GET", image["file"])).content == DATA
    assert await _state(cloud) == ({image["id"]: 0}, [])


async def test_queue_and_api(cloud: Cloud) -> None:
    image, other = await _image(cloud), await _image(cloud, DATA[:5])
    for method, path in (
        ("GET", "/v2/cache"),
        ("PUT", f"/v2/cache/{image['id']}"),
        ("DELETE", f"/v2/cache/{image['id']}"),
        ("DELETE", "/v2/cache"),
    ):
        assert (await cloud.ask(method, path)).status_code == 403
    unknown = "00000000-0000-4000-8000-000000000000"
    assert (await cloud.ask("PUT", f"/v2/cache/{unknown}", "admin")).status_code == 404
    empty = await cloud.image()
    assert (await cloud.ask("PUT", f"/v2/cache/{empty['id']}", "admin")).status_code == 400
    for one in (image, other):
        assert (await cloud.ask("PUT", f"/v2/cache/{one['id']}", "admin")).status_code == 202
    await cloud.settled()
    assert await _state(cloud) == ({image["id"]: 0, other["id"]: 0}, [])
    gone = f"/v2/cache/{image['id']}"
    assert (await cloud.ask("DELETE", gone, "admin")).status_code == 204
    assert (await cloud.ask("DELETE", gone, "admin")).status_code == 404
    wrong = {"x-image-cache-clear-target": "both"}
    assert (await cloud.ask("DELETE", "/v2/cache", "admin", headers=wrong)).status_code == 400
    queue = {"x-image-cache-clear-target": "queue"}
    assert (await cloud.ask("DELETE", "/v2/cache", "admin", headers=queue)).status_code == 204
    assert await _state(cloud) == ({other["id"]: 0}, [])
    assert (await cloud.ask("DELETE", "/v2/cache", "admin")).status_code == 204
    assert await _state(cloud) == ({}, [])


async def test_size_limit_and_stalled_parts(cloud: Cloud) -> None:
    made = [await _image(cloud) for _ in range(3)]
    for image in (*made, made[0]):
        await cloud.ask("GET", image["file"])
    assert cloud.glance.cache is not None
    stalled = cloud.glance.staging.folder.parent / "cache" / "stalled.part"
    stalled.write_bytes(b"x")
    await caching.tidy(cloud.glance)
    cached, _ = await _state(cloud)
    assert set(cached) == {made[0]["id"], made[2]["id"]} and stalled.exists()
    await cloud.glance.cache.clean(-1)
    assert not stalled.exists()


async def test_operators_clean_and_prune(cloud: Cloud) -> None:
    made = [await _image(cloud) for _ in range(3)]
    for image in made:
        await cloud.ask("GET", image["file"])
    assert (await cloud.ask("POST", "/v2/cache/prune")).status_code == 403
    reply = await cloud.ask("POST", "/v2/cache/prune", "admin")
    assert reply.json() == {"total_files_pruned": 1, "total_bytes_pruned": len(DATA)}
    assert (await cloud.ask("POST", "/v2/cache/prune", "admin")).json()["total_files_pruned"] == 0
    assert set((await _state(cloud))[0]) == {made[1]["id"], made[2]["id"]}
    await cloud.ask("DELETE", made[1]["self"])
    assert (await cloud.ask("POST", "/v2/cache/clean")).status_code == 403
    reply = await cloud.ask("POST", "/v2/cache/clean", "admin")
    assert (reply.status_code, reply.content) == (200, b"")
    assert set((await _state(cloud))[0]) == {made[2]["id"]}


async def test_a_restart_knows_the_cache(tmp_path: Path) -> None:
    async with cloud_in(tmp_path) as cloud:
        image = await _image(cloud)
        path = f"/v2/cache/{image['id']}"
        assert (await cloud.ask("PUT", path, "admin")).status_code == 202
        await cloud.settled()
        (tmp_path / "glance" / "cache" / "half.part").write_bytes(b"x")
    async with cloud_in(tmp_path) as cloud:
        assert await _state(cloud) == ({image["id"]: 0}, [])
        assert not (tmp_path / "glance" / "cache" / "half.part").exists()
        await asyncio.gather(*(cloud.ask("GET", image["file"]) for _ in range(5)))
        assert await _state(cloud) == ({image["id"]: 5}, [])


async def test_no_cache(tmp_path: Path) -> None:
    async with cloud_in(tmp_path, GlanceConfig(image_cache=False)) as cloud:
        assert (await cloud.ask("GET", "/v2/cache", "admin")).status_code == 404
        image = await _image(cloud)
        assert (await cloud.ask("GET", image["file"])).content == DATA


async def test_copies_tell_each_other_what_they_have(tmp_path: Path) -> None:
    urls = ["http://one:9292", "http://two:9292"]
    store = {"file": FileStore(filesystem_store_datadir=str(tmp_path / "images"))}
    config = GlanceConfig(enabled_backends=store, image_cache_dir=str(tmp_path / "cache"))
    one = replace(config, worker_self_reference_url=urls[0])
    folder = str(tmp_path / "other")
    two = replace(config, worker_self_reference_url=urls[1], image_cache_dir=folder)
    async with cloud_in(tmp_path, one) as first, cloud_in(tmp_path, two) as second:
        for cloud in (first, second):
            cloud.glance.stores.get("file").local = False
        image, other = await _image(first), await _image(first)
        path = f"/v2/cache/nodes/{image['id']}"

        async def said() -> Any:
            return [(await cloud.ask("GET", path, "admin")).json() for cloud in (first, second)]

        assert await said() == [[], []]
        assert (await second.ask("GET", image["file"])).content == DATA
        assert await said() == [urls[1:]] * 2
        assert (await first.ask("PUT", f"/v2/cache/{image['id']}", "admin")).status_code == 202
        await first.settled()
        assert await said() == [urls] * 2
        gone = await second.ask("DELETE", f"/v2/cache/{image['id']}", "admin")
        assert gone.status_code == 204
        assert await said() == [urls[:1]] * 2
        assert (await first.ask("GET", f"/v2/cache/nodes/{other['id']}", "admin")).json() == []
        assert (await first.ask("GET", path)).status_code == 403
        assert (await first.ask("DELETE", image["self"])).status_code == 204
        assert (await first.ask("GET", path, "admin")).status_code == 404


async def test_a_copy_that_is_alone_knows_no_nodes(cloud: Cloud) -> None:
    image = await _image(cloud)
    reply = await cloud.ask("GET", f"/v2/cache/nodes/{image['id']}", "admin")
    assert reply.status_code == 409 and "Centralized caching is not enabled" in reply.text

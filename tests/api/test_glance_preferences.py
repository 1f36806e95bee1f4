"""Which of the stores that have an image it is read from. Source: image api-ref, `prefer`."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from glance_cloud import Cloud, cloud_in

from aerostat.kit.http.policy import Policy
from aerostat.services.glance.config import FileStore, GlanceConfig, HttpStore
from aerostat.services.glance.service import manifest

DATA = bytes(range(256))


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    slow = FileStore(filesystem_store_datadir=str(tmp_path / "slow"))
    stores = {"file": FileStore(), "slow": slow, "web": HttpStore()}
    async with cloud_in(tmp_path, GlanceConfig(enabled_backends=stores)) as cloud:
        yield cloud


async def _everywhere(cloud: Cloud, folder: Path) -> str:
    """Return an image of two stores; `slow` has other data, so that answers tell where from."""
    image_id = str((await cloud.image())["id"])
    assert (await cloud.upload(image_id, DATA)).status_code == 204
    body = {"method": {"name": "copy-image"}, "stores": ["slow"]}
    reply = await cloud.ask("POST", f"/v2/images/{image_id}/import", "admin", json=body)
    assert reply.status_code == 202, reply.text
    await cloud.settled()
    (folder / "slow" / image_id).write_bytes(DATA[::-1])
    return image_id


async def _read(cloud: Cloud, image_id: str, prefer: str, who: str = "member") -> httpx.Response:
    return await cloud.ask("GET", f"/v2/images/{image_id}/file?prefer={prefer}", who)


async def test_stores_that_are_tried_first(cloud: Cloud, tmp_path: Path) -> None:
    image_id, other = await _everywhere(cloud, tmp_path), DATA[::-1]
    for prefer, data in (
        ("", DATA),
        ("slow", other),
        ("slow,file", other),
        ("file, slow", DATA),
        ("web,slow", other),
        ("web,,", DATA),
    ):
        assert (await _read(cloud, image_id, prefer)).content == data, prefer
    reply = await _read(cloud, image_id, "slow,nowhere")
    assert reply.status_code == 400 and "'nowhere' is not configured" in reply.text
    (tmp_path / "slow" / image_id).unlink()
    assert (await _read(cloud, image_id, "slow")).content == DATA


async def test_who_may_choose_a_store_is_a_rule(cloud: Cloud, tmp_path: Path) -> None:
    image_id = await _everywhere(cloud, tmp_path)
    rules = tmp_path / "rules.json"
    rules.write_text('{"download_from_store": "role:admin"}')
    cloud.app.policy = Policy(manifest.rules, rules)
    assert (await _read(cloud, image_id, "file")).status_code == 403
    assert (await _read(cloud, image_id, "")).status_code == 200
    assert (await _read(cloud, image_id, "file", "admin")).status_code == 200

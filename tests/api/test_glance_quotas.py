"""Unified limits of keystone bind projects in glance: the whole cloud."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.whole_cloud import WholeCloud

MIB = 1 << 20


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path / "cloud")
    cloud.settings = replace(cloud.settings, glance={"use_keystone_limits": True})
    await cloud.start()
    yield cloud
    await cloud.stop()


async def _limits(cloud: WholeCloud, **values: int) -> None:
    admin = await cloud.admin()
    found = (await admin.get("keystone", "/v3/services?type=image")).json()["services"]
    body = {
        "registered_limits": [
            {"service_id": found[0]["id"], "resource_name": name, "default_limit": value}
            for name, value in values.items()
        ]
    }
    assert (await admin.post("keystone", "/v3/registered_limits", body)).status_code == 201


async def _image(user: Any, status: int = 201) -> str:
    body = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    reply = await user.post("glance", "/v2/images", body)
    assert reply.status_code == status, reply.text
    return str(reply.json().get("id"))


async def _chunks(mib: int) -> AsyncIterator[bytes]:
    for _ in range(mib):
        yield bytes(MIB)


async def _send(
    user: Any, image_id: str, mib: int, what: str = "file", *, said: bool = False
) -> int:
    """Send data whose size the request says, or does not say."""
    data = bytes(mib * MIB) if said else _chunks(mib)
    reply = await user.upload(f"/v2/images/{image_id}/{what}", data)
    return int(reply.status_code)


async def test_limits(cloud: WholeCloud) -> None:
    await _limits(
        cloud,
        image_size_total=2,
        image_stage_total=1,
        image_count_total=4,
        image_count_uploading=2,
    )
    user = await cloud.user("u", "member", "p")
    first, second, third, fourth = [await _image(user) for _ in range(4)]
    await _image(user, 413)
    assert await _send(user, first, 3, said=True) == 413
    assert await _send(user, first, 2, "stage", said=True) == 413
    assert await _send(user, first, 3) == 204
    assert await _send(user, second, 1) == 413
    assert await _send(user, third, 2, "stage") == 204
    assert await _send(user, fourth, 1, "stage") == 413
    usage = (await user.get("glance", "/v2/info/usage")).json()["usage"]
    assert usage == {
        "image_size_total": {"limit": 2, "usage": 3},
        "image_stage_total": {"limit": 1, "usage": 2},
        "image_count_total": {"limit": 4, "usage": 4},
        "image_count_uploading": {"limit": 2, "usage": 1},
    }
    method = {"method": {"name": "glance-direct"}}
    reply = await user.post("glance", f"/v2/images/{third}/import", method)
    assert reply.status_code == 413
    await user.delete("glance", f"/v2/images/{first}")
    assert await _send(user, second, 1) == 204
    other = await cloud.user("o", "member", "q")
    assert await _send(other, await _image(other), 1) == 204


async def test_what_is_not_registered_is_none(cloud: WholeCloud) -> None:
    user = await cloud.user("u", "member", "p")
    await _image(user, 413)

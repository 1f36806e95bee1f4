"""Every step of rebuilding a server, failing, crashing and run twice: it ends well or in ERROR."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.sim.test_server_sagas import (
    NOTHING,
    SIDES,
    Injected,
    create,
    left_behind,
    prepare,
    restart,
    status,
)
from tests.whole_cloud import User, WholeCloud

from aerostat.services.nova.sagas import server_rebuild

STEPS = [step.name for step in server_rebuild.saga.steps]


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path)
    await cloud.start()
    yield cloud
    await cloud.stop()


async def rebuild(cloud: WholeCloud, admin: User, server_id: str) -> str:
    """Start a rebuild from another image and return that."""
    image = await cloud.image(admin)
    url = f"/v2.1/servers/{server_id}/action"
    reply = await admin.post("nova", url, {"rebuild": {"imageRef": image, "name": "anew"}})
    assert reply.status_code == 202, reply.text
    assert reply.json()["server"]["status"] == "REBUILD"
    await cloud.nova.sagas.idle()
    return image


async def built(cloud: WholeCloud, *, off: bool = False) -> tuple[User, str]:
    admin, body = await prepare(cloud)
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    if off:
        await admin.post("nova", f"/v2.1/servers/{server_id}/action", {"os-stop": None})
        await cloud.nova.sagas.idle()
    return admin, server_id


async def check(cloud: WholeCloud, admin: User, server_id: str, image: str, wanted: str) -> None:
    server = await status(admin, server_id)
    assert (server["status"], server["name"]) == (wanted, "anew")
    assert server["image"]["id"] == image
    found = await left_behind(cloud, admin, server_id)
    assert (found["ports"], len(found["claims"]), len(found["guests"])) == (1, 1, 1)
    guest: Any = cloud.drivers["host-1"].specs[server_id]
    assert guest.image.id == image


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("how", ["crash", "twice", "retry"])
async def test_rebuild_goes_on(cloud: WholeCloud, step: str, side: str, how: str) -> None:
    admin, server_id = await built(cloud, off=True)
    cloud.nova.sagas.probe = Injected("rebuild", step, side, how)
    image = await rebuild(cloud, admin, server_id)
    if how == "crash":
        admin = await restart(cloud)
    if how == "crash":
        server = await status(admin, server_id)
        assert (server["status"], server["image"]["id"]) == ("SHUTOFF", image)
    else:
        await check(cloud, admin, server_id, image, "SHUTOFF")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("side", SIDES)
async def test_rebuild_fails(cloud: WholeCloud, step: str, side: str) -> None:
    """The server is in ERROR with its ports and claim; rebuilding again puts it right."""
    admin, server_id = await built(cloud)
    cloud.nova.sagas.probe = Injected("rebuild", step, side, "fail")
    await rebuild(cloud, admin, server_id)
    server = await status(admin, server_id)
    assert (server["status"], server["fault"]["message"]) == ("ERROR", "injected")
    image = await rebuild(cloud, admin, server_id)
    await check(cloud, admin, server_id, image, "ACTIVE")


@pytest.mark.parametrize("step", STEPS)
async def test_delete_while_it_is_rebuilt(cloud: WholeCloud, step: str) -> None:
    admin, server_id = await built(cloud)
    cloud.nova.sagas.probe = Injected("rebuild", step, "after", "crash")
    await rebuild(cloud, admin, server_id)
    assert (await admin.delete("nova", f"/v2.1/servers/{server_id}")).status_code == 204
    admin = await restart(cloud)
    assert (await admin.get("nova", f"/v2.1/servers/{server_id}")).status_code == 404
    assert await left_behind(cloud, admin, server_id) == NOTHING

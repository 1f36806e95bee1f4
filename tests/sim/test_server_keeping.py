"""Snapshots, shelves, rescue and interfaces: each step failing, crashing and run twice."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.sim.test_server_moves import GOES_ON, act, built, held, is_whole, where
from tests.sim.test_server_sagas import SIDES, Injected, restart, status
from tests.whole_cloud import User, WholeCloud

from aerostat.services.nova.db import servers as server_rows
from aerostat.services.nova.sagas import (
    server_interfaces,
    server_rescue,
    server_shelve,
    server_snapshot,
)

IMAGE = {"createImage": {"name": "shot", "metadata": {"a": "b"}}}
BACKUP = {"createBackup": {"name": "daily", "backup_type": "daily", "rotation": 1}}


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path, hosts=2)
    await cloud.start()
    yield cloud
    await cloud.stop()


def sweep(*sagas: Any) -> list[tuple[str, str]]:
    return [(saga.name, step.name) for saga in sagas for step in saga.steps]


async def images(admin: User) -> list[tuple[str, str]]:
    found = (await admin.get("glance", "/v2/images?sort=created_at:asc")).json()["images"]
    return [(i["name"], i["status"]) for i in found if i["name"] != "tiny"]


@pytest.mark.parametrize(("saga", "step"), sweep(server_snapshot.saga, server_snapshot.backup))
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("how", [*GOES_ON, "fail"])
async def test_images(cloud: WholeCloud, saga: str, step: str, side: str, how: str) -> None:
    admin, server_id, _ = await built(cloud)
    action = IMAGE if saga == "createImage" else BACKUP
    name = action[saga]["name"]
    if saga == "createBackup":
        await act(cloud, admin, server_id, action)
    cloud.nova.sagas.probe = Injected(saga, step, side, how)
    await act(cloud, admin, server_id, action)
    if how == "crash":
        admin = await restart(cloud)
    rotated = saga == "createBackup" and step == "rotate_backups" and side == "after"
    left = 0 if how == "fail" and (saga == "createImage" or rotated) else 1
    assert await images(admin) == [(name, "active")] * left
    await is_whole(cloud, admin, server_id, "tiny", 128)


SHELVES = sweep(server_shelve.shelve, server_shelve.unshelve)


@pytest.mark.parametrize(("saga", "step"), SHELVES)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("how", GOES_ON)
async def test_shelves_go_on(cloud: WholeCloud, saga: str, step: str, side: str, how: str) -> None:
    admin, server_id, _ = await built(cloud)
    cloud.nova.sagas.probe = Injected(saga, step, side, how)
    await act(cloud, admin, server_id, {"shelve": None})
    if how == "crash" and saga == "shelve":
        admin = await restart(cloud)
    assert (await status(admin, server_id))["status"] == "SHELVED_OFFLOADED"
    assert await images(admin) == [("swept-shelved", "active")]
    assert (where(cloud, server_id), await held(cloud)) == ({}, [])
    await act(cloud, admin, server_id, {"unshelve": None})
    if how == "crash" and saga == "unshelve":
        admin = await restart(cloud)
    await is_whole(cloud, admin, server_id, "tiny", 128)
    assert await images(admin) == []


@pytest.mark.parametrize(("saga", "step"), SHELVES)
@pytest.mark.parametrize("side", SIDES)
async def test_shelves_fail(cloud: WholeCloud, saga: str, step: str, side: str) -> None:
    """The server is before or after it, whole, and can go on from there."""
    admin, server_id, _ = await built(cloud)
    cloud.nova.sagas.probe = Injected(saga, step, side, "fail")
    await act(cloud, admin, server_id, {"shelve": None})
    if saga == "shelve" and step == "shelve_instance":
        await is_whole(cloud, admin, server_id, "tiny", 128)
        assert await images(admin) == []
        return
    if saga == "shelve":
        assert (await status(admin, server_id))["status"] == "SHELVED"
        await act(cloud, admin, server_id, {"shelveOffload": None})
    await act(cloud, admin, server_id, {"unshelve": None})
    if saga == "unshelve" and step != "cleanup":
        assert (await status(admin, server_id))["status"] == "SHELVED_OFFLOADED"
        assert (where(cloud, server_id), await held(cloud)) == ({}, [])
        await act(cloud, admin, server_id, {"unshelve": None})
    await is_whole(cloud, admin, server_id, "tiny", 128)


async def test_a_shelved_server_is_deleted_with_its_image(cloud: WholeCloud) -> None:
    admin, server_id, _ = await built(cloud)
    await act(cloud, admin, server_id, {"shelve": None})
    assert (await admin.delete("nova", f"/v2.1/servers/{server_id}")).status_code == 204
    await cloud.nova.sagas.idle()
    assert await images(admin) == []


@pytest.mark.parametrize(("saga", "step"), sweep(server_rescue.rescue, server_rescue.unrescue))
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("how", [*GOES_ON, "fail"])
async def test_rescue(cloud: WholeCloud, saga: str, step: str, side: str, how: str) -> None:
    admin, server_id, _ = await built(cloud)
    cloud.nova.sagas.probe = Injected(saga, step, side, how)
    url = f"/v2.1/servers/{server_id}/action"
    reply = await admin.post("nova", url, {"rescue": None})
    assert (reply.status_code, list(reply.json())) == (200, ["adminPass"])
    await cloud.nova.sagas.idle()
    if saga == "rescue" and how == "crash":
        admin = await restart(cloud)
    wanted = "ERROR" if saga == "rescue" and how == "fail" else "RESCUE"
    assert (await status(admin, server_id))["status"] == wanted
    if wanted == "ERROR":
        return
    await act(cloud, admin, server_id, {"unrescue": None})
    if saga == "unrescue" and how == "crash":
        admin = await restart(cloud)
    wanted = "ERROR" if saga == "unrescue" and how == "fail" else "ACTIVE"
    assert (await status(admin, server_id))["status"] == wanted


@pytest.mark.parametrize(
    ("saga", "step"), sweep(server_interfaces.attach, server_interfaces.detach)
)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("how", [*GOES_ON, "fail"])
async def test_interfaces(cloud: WholeCloud, saga: str, step: str, side: str, how: str) -> None:
    admin, server_id, _ = await built(cloud)
    cloud.nova.sagas.probe = Injected(saga, step, side, how)
    url = f"/v2.1/servers/{server_id}/os-interface"
    asked = asyncio.create_task(admin.post("nova", url, {"interfaceAttachment": {}}))
    allocating = saga == "attach_interface" and step == "allocate_port"
    if allocating and how == "crash":  # Nobody answers: it died over the request.
        while not cloud.nova.sagas.probe.done:  # noqa: ASYNC110
            await asyncio.sleep(0)
        asked.cancel()
    else:
        wanted = 500 if allocating and how == "fail" else 200
        assert (await asked).status_code == wanted
    await cloud.nova.sagas.idle()
    if saga == "attach_interface" and how == "crash":
        admin = await restart(cloud)
    found = (await admin.get("nova", url)).json()["interfaceAttachments"]
    plugged = {p for d in cloud.drivers.values() for p in d.ports.get(server_id, ())}
    ports = (await admin.get("neutron", f"/v2.0/ports?device_id={server_id}")).json()["ports"]
    server = await cloud.nova.db.read(server_rows.get, server_id)
    assert len(ports) == len(found) == len(server.requested["networks"])
    if saga == "attach_interface" and how == "fail":
        assert (len(found), plugged) == (1, set())
        return
    (port_id,) = {port["port_id"] for port in found} & plugged
    assert len(found) == 2
    assert (await admin.delete("nova", f"{url}/{port_id}")).status_code == 202
    await cloud.nova.sagas.idle()
    if how == "crash":
        admin = await restart(cloud)
    found = (await admin.get("nova", url)).json()["interfaceAttachments"]
    gone = how != "fail" or side == "after"
    assert len(found) == (1 if gone else 2)


async def test_a_port_that_cannot_be_attached_is_the_answer(cloud: WholeCloud) -> None:
    """Nothing is left of it, and the server can be given another one."""
    admin, server_id, _ = await built(cloud)
    url = f"/v2.1/servers/{server_id}/os-interface"
    (port,) = (await admin.get("neutron", f"/v2.0/ports?device_id={server_id}")).json()["ports"]
    quota, project = {"quota": {"port": 3}}, port["project_id"]
    reply = await admin.request("neutron", "PUT", f"/v2.0/quotas/{project}", quota)
    assert reply.status_code == 200, reply.text
    body: dict[str, Any] = {"interfaceAttachment": {}}
    replies = await asyncio.gather(*(admin.post("nova", url, body) for _ in range(4)))
    await cloud.nova.sagas.idle()
    found = (await admin.get("nova", url)).json()["interfaceAttachments"]
    done = [reply.status_code for reply in replies].count(200)
    assert (done + 1, done < len(replies)) == (len(found), True), [r.text for r in replies]
    server = await cloud.nova.db.read(server_rows.get, server_id)
    assert len(server.requested["networks"]) == len(found)

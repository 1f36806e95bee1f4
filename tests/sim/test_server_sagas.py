"""Every step of building and deleting a server, failing, crashing and run twice: nothing leaks."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.whole_cloud import User, WholeCloud

from aerostat.kit.errors import Fault, Unavailable
from aerostat.kit.saga.engine import Crash
from aerostat.services.nova.sagas import server_create, server_delete

CREATE = [step.name for step in server_create.saga.steps]
DELETE = [step.name for step in server_delete.saga.steps]
SIDES = ["before", "after"]


class Injected:
    """Does something at one side of one step (or of its undo), once."""

    def __init__(self, saga: str, step: str, side: str, how: str, *, undo: bool = False) -> None:
        self.at = (saga, step, side, undo)
        self.how, self.done = how, False

    async def before(self, saga: str, step: str, undo: bool) -> None:
        self._act((saga, step, "before", undo))

    async def after(self, saga: str, step: str, undo: bool) -> None:
        self._act((saga, step, "after", undo))

    def repeats(self, saga: str, step: str) -> int:
        return 2 if self.how == "twice" else 1

    def _act(self, at: tuple[str, str, str, bool]) -> None:
        if at != self.at or self.done or self.how == "twice":
            return
        self.done = True
        if self.how == "crash":
            raise Crash
        raise Fault("injected") if self.how == "fail" else Unavailable("injected")


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path)
    await cloud.start()
    yield cloud
    await cloud.stop()


async def prepare(cloud: WholeCloud) -> tuple[User, dict[str, Any]]:
    """Make an image, a flavor and a network; return a user and the body of a server."""
    admin = await cloud.admin()
    image = await cloud.image(admin)
    flavor = {"flavor": {"name": "tiny", "ram": 128, "vcpus": 1, "disk": 1}}
    made = (await admin.post("nova", "/v2.1/flavors", flavor)).json()["flavor"]
    net = await admin.post("neutron", "/v2.0/networks", {"network": {"name": "net"}})
    network_id = net.json()["network"]["id"]
    subnet = {"network_id": network_id, "cidr": "10.9.0.0/24", "ip_version": 4}
    assert (await admin.post("neutron", "/v2.0/subnets", {"subnet": subnet})).status_code == 201
    body = {
        "name": "swept",
        "imageRef": image,
        "flavorRef": made["id"],
        "networks": [{"uuid": network_id}],
    }
    return admin, {"server": body}


async def create(admin: User, body: dict[str, Any]) -> str:
    reply = await admin.post("nova", "/v2.1/servers", body)
    assert reply.status_code == 202, reply.text
    return str(reply.json()["server"]["id"])


async def restart(cloud: WholeCloud) -> User:
    await cloud.stop()
    await cloud.start()
    await cloud.nova.sagas.idle()
    return await cloud.admin()


async def left_behind(cloud: WholeCloud, admin: User, server_id: str) -> dict[str, Any]:
    ports = (await admin.get("neutron", f"/v2.0/ports?device_id={server_id}")).json()["ports"]
    return {
        "ports": len(ports),
        "claims": (await cloud.nova.placement.holders()).get(server_id, {}),
        "guests": [d for d in cloud.drivers.values() if server_id in d.states],
    }


NOTHING: dict[str, Any] = {"ports": 0, "claims": {}, "guests": []}


async def status(admin: User, server_id: str) -> dict[str, Any]:
    return dict((await admin.get("nova", f"/v2.1/servers/{server_id}")).json()["server"])


@pytest.mark.parametrize("step", CREATE)
@pytest.mark.parametrize("side", SIDES)
async def test_create_fails(cloud: WholeCloud, step: str, side: str) -> None:
    admin, body = await prepare(cloud)
    cloud.nova.sagas.probe = Injected("create", step, side, "fail")
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    server = await status(admin, server_id)
    assert (server["status"], server["fault"]["message"]) == ("ERROR", "injected")
    assert await left_behind(cloud, admin, server_id) == NOTHING
    assert (await admin.delete("nova", f"/v2.1/servers/{server_id}")).status_code == 204
    await cloud.nova.sagas.idle()
    assert (await admin.get("nova", f"/v2.1/servers/{server_id}")).status_code == 404


@pytest.mark.parametrize("step", CREATE)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("how", ["crash", "twice", "retry"])
async def test_create_goes_on(cloud: WholeCloud, step: str, side: str, how: str) -> None:
    admin, body = await prepare(cloud)
    cloud.nova.sagas.probe = Injected("create", step, side, how)
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    if how == "crash":
        assert (await status(admin, server_id))["status"] == "BUILD"
        admin = await restart(cloud)
    assert (await status(admin, server_id))["status"] == "ACTIVE"
    found = await left_behind(cloud, admin, server_id)
    assert (found["ports"], len(found["claims"]), len(found["guests"])) == (1, 1, 1)


@pytest.mark.parametrize("step", CREATE)
@pytest.mark.parametrize("side", SIDES)
async def test_create_crashes_while_it_is_undone(cloud: WholeCloud, step: str, side: str) -> None:
    admin, body = await prepare(cloud)

    class Both:
        first = Injected("create", "spawning", "after", "fail")
        second = Injected("create", step, side, "crash", undo=True)

        async def before(self, saga: str, name: str, undo: bool) -> None:
            await self.first.before(saga, name, undo)
            await self.second.before(saga, name, undo)

        async def after(self, saga: str, name: str, undo: bool) -> None:
            await self.first.after(saga, name, undo)
            await self.second.after(saga, name, undo)

        def repeats(self, saga: str, name: str) -> int:
            return 1

    cloud.nova.sagas.probe = Both()
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    admin = await restart(cloud)
    assert (await status(admin, server_id))["status"] == "ERROR"
    assert await left_behind(cloud, admin, server_id) == NOTHING


@pytest.mark.parametrize("step", CREATE)
async def test_delete_while_it_builds(cloud: WholeCloud, step: str) -> None:
    """Deleting gives up the build wherever it is, also when the process dies in between."""
    admin, body = await prepare(cloud)
    cloud.nova.sagas.probe = Injected("create", step, "after", "crash")
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    assert (await admin.delete("nova", f"/v2.1/servers/{server_id}")).status_code == 204
    admin = await restart(cloud)
    assert (await admin.get("nova", f"/v2.1/servers/{server_id}")).status_code == 404
    assert await left_behind(cloud, admin, server_id) == NOTHING


@pytest.mark.parametrize("step", DELETE)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("how", ["crash", "twice", "retry", "fail"])
async def test_delete(cloud: WholeCloud, step: str, side: str, how: str) -> None:
    admin, body = await prepare(cloud)
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    cloud.nova.sagas.probe = Injected("delete", step, side, how)
    url = f"/v2.1/servers/{server_id}"
    assert (await admin.delete("nova", url)).status_code == 204
    await cloud.nova.sagas.idle()
    if how == "crash":
        admin = await restart(cloud)
    if how == "fail":
        assert (await status(admin, server_id))["status"] == "ERROR"
        assert (await admin.delete("nova", url)).status_code == 204
        await cloud.nova.sagas.idle()
    assert (await admin.get("nova", url)).status_code == 404
    assert await left_behind(cloud, admin, server_id) == NOTHING

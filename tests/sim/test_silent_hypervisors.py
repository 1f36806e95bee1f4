"""Hosts whose hypervisor is silent: requests end, and what is done late is taken back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.sim.test_server_moves import where
from tests.sim.test_server_sagas import create, prepare, status
from tests.whole_cloud import User, WholeCloud

from aerostat.kit.errors import Unavailable
from aerostat.services.nova.agent.endpoint import compute_control, compute_host
from aerostat.services.nova.model.guest import SILENT, PowerState

HOSTS = ["host-1", "host-2"]


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path, hosts=2)
    await cloud.start()
    yield cloud
    await cloud.stop()


def silent(*operations: str) -> Callable[[str, str], Awaitable[None]]:
    async def before(operation: str, _server_id: str) -> None:
        if not operations or operation in operations:
            raise Unavailable("The hypervisor does not answer.", code=SILENT)

    return before


async def events(admin: User, server_id: str, action: str) -> Any:
    url = f"/v2.1/servers/{server_id}/os-instance-actions"
    found = (await admin.get("nova", url)).json()["instanceActions"]
    (request,) = [a["request_id"] for a in found if a["action"] == action]
    shown = (await admin.get("nova", f"{url}/{request}")).json()["instanceAction"]
    return [event["result"] for event in shown["events"] if "spawning" in event["event"]]


async def control(cloud: WholeCloud) -> Any:
    return compute_control.at(cloud.bus)


async def is_back(cloud: WholeCloud, host: str) -> None:
    driver = cloud.drivers[host]
    driver.before = None
    found = await driver.guests()
    await (await control(cloud)).host_up(host=host, facts=await driver.facts(), guests=found)
    await cloud.nova.sagas.idle()


async def test_a_new_server_is_tried_on_one_host_only(cloud: WholeCloud) -> None:
    """The host may make the guest all the same: another one would be its twin."""
    admin, body = await prepare(cloud)
    tried: list[str] = []
    for name, driver in cloud.drivers.items():

        async def late(operation: str, server_id: str, name: str = name) -> None:
            if operation == "spawn":
                tried.append(name)
                cloud.drivers[name].states[server_id] = PowerState.RUNNING
            raise Unavailable("The hypervisor does not answer.", code=SILENT)

        driver.before = late
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    server = await status(admin, server_id)
    assert (server["status"], len(tried)) == ("ERROR", 1)
    assert server["fault"]["message"] == "The hypervisor does not answer."
    assert where(cloud, server_id) == {tried[0]: PowerState.RUNNING}
    await is_back(cloud, tried[0])
    assert where(cloud, server_id) == {}


@pytest.mark.parametrize("zone", ["nova", "nova:host-2"])
async def test_a_server_that_no_host_takes_says_why(cloud: WholeCloud, zone: str) -> None:
    admin, body = await prepare(cloud)
    for driver in cloud.drivers.values():
        driver.before = silent()
    body["server"]["availability_zone"] = zone
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    server = await status(admin, server_id)
    message = server["fault"]["message"]
    assert (server["status"], message) == ("ERROR", "The hypervisor does not answer.")
    assert not await cloud.nova.placement.holders()
    assert await events(admin, server_id, "create") == ["Error"]
    for driver in cloud.drivers.values():
        driver.before = None


async def test_a_guest_made_late_is_removed(cloud: WholeCloud) -> None:
    admin, body = await prepare(cloud)
    for driver in cloud.drivers.values():
        driver.before = silent()
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    for driver in cloud.drivers.values():
        driver.before = None
    cloud.drivers["host-1"].states[server_id] = PowerState.RUNNING
    lifecycle = (await control(cloud)).lifecycle
    state = PowerState.RUNNING
    assert await lifecycle(host="host-1", server_id=server_id, power_state=state)
    await cloud.nova.sagas.idle()
    assert where(cloud, server_id) == {}


async def test_a_power_action_ends_by_its_deadline(tmp_path: Path) -> None:
    cloud = WholeCloud(tmp_path)
    cloud.settings.nova.update(power_timeout_s=0.3, delete_timeout_s=0.3)
    await cloud.start()
    admin, body = await prepare(cloud)
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    cloud.drivers["host-1"].before = silent()
    await admin.post("nova", f"/v2.1/servers/{server_id}/action", {"os-stop": None})
    await cloud.nova.sagas.idle()
    server = await status(admin, server_id)
    assert (server["status"], server["OS-EXT-STS:task_state"]) == ("ACTIVE", None)
    url = f"/v2.1/servers/{server_id}/os-instance-actions"
    newest = (await admin.get("nova", url)).json()["instanceActions"][0]
    assert (newest["action"], newest["message"]) == ("stop", "The hypervisor does not answer.")

    assert (await admin.request("nova", "DELETE", f"/v2.1/servers/{server_id}")).status_code == 204
    await cloud.nova.sagas.idle()
    server = await status(admin, server_id)
    assert server["status"] == "ERROR"
    assert server["fault"]["message"] == "The hypervisor does not answer."
    cloud.drivers["host-1"].before = None
    assert (await admin.request("nova", "DELETE", f"/v2.1/servers/{server_id}")).status_code == 204
    await cloud.nova.sagas.idle()
    assert where(cloud, server_id) == {}
    await cloud.stop()


@pytest.mark.parametrize("action", ["delete", "reboot"])
async def test_a_guest_that_hangs_is_killed(cloud: WholeCloud, action: str) -> None:
    """An operation on it never ends and holds its lock; nobody waits for that."""
    admin, body = await prepare(cloud)
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    (host,) = where(cloud, server_id)
    killed, hangs = asyncio.Event(), asyncio.Event()

    async def before(operation: str, _server_id: str) -> None:
        if operation == "kill":
            killed.set()
        if operation == "pause":
            hangs.set()
            await killed.wait()
            raise Unavailable("The hypervisor failed.", code="hypervisor_failed")

    cloud.drivers[host].before = before
    waiting = compute_host.at(cloud.bus, host).pause(server_id=server_id)
    pausing = asyncio.create_task(waiting)
    await hangs.wait()
    url = f"/v2.1/servers/{server_id}"
    if action == "delete":
        assert (await admin.request("nova", "DELETE", url)).status_code == 204
    else:
        await admin.post("nova", f"{url}/action", {"reboot": {"type": "HARD"}})
    await cloud.nova.sagas.idle()
    await asyncio.gather(pausing, return_exceptions=True)
    there = {} if action == "delete" else {host: PowerState.RUNNING}
    assert where(cloud, server_id) == there


async def test_an_ailing_host_is_disabled_until_it_is_well(cloud: WholeCloud) -> None:
    admin, _ = await prepare(cloud)
    told = await control(cloud)

    async def shown() -> tuple[str, str | None, str]:
        url = "/v2.1/os-services?binary=nova-compute&host=host-1"
        (found,) = (await admin.get("nova", url)).json()["services"]
        return found["status"], found["disabled_reason"], found["id"]

    await told.heartbeat(host="host-1", ailment="Connection to libvirt lost")
    status_, reason, service_id = await shown()
    assert (status_, reason) == ("disabled", "AUTO: Connection to libvirt lost")
    await is_back(cloud, "host-1")
    assert (await shown())[:2] == ("enabled", None)

    url = f"/v2.1/os-services/{service_id}"
    body = {"status": "disabled", "disabled_reason": "a new disk"}
    assert (await admin.request("nova", "PUT", url, body)).status_code == 200
    await told.heartbeat(host="host-1", ailment="Connection to libvirt lost")
    await is_back(cloud, "host-1")
    assert (await shown())[:2] == ("disabled", "a new disk")

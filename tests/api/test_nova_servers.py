"""Servers through the compute API, on a whole cloud with a fake host."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.sim.test_server_sagas import create, prepare, status
from tests.whole_cloud import User, WholeCloud


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path)
    await cloud.start()
    yield cloud
    await cloud.stop()


async def act(cloud: WholeCloud, user: User, server_id: str, action: dict[str, Any]) -> int:
    reply = await user.post("nova", f"/v2.1/servers/{server_id}/action", action)
    await cloud.nova.sagas.idle()
    return reply.status_code


async def test_life_of_a_server(cloud: WholeCloud) -> None:
    admin, body = await prepare(cloud)
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    server = await status(admin, server_id)
    assert server["status"] == "ACTIVE"
    assert server["addresses"]["net"][0]["version"] == 4
    assert server["security_groups"] == [{"name": "default"}]
    assert server["flavor"]["original_name"] == "tiny"
    for action, becomes in (
        ({"os-stop": None}, "SHUTOFF"),
        ({"os-start": None}, "ACTIVE"),
        ({"pause": None}, "PAUSED"),
        ({"unpause": None}, "ACTIVE"),
        ({"suspend": None}, "SUSPENDED"),
        ({"resume": None}, "ACTIVE"),
        ({"reboot": {"type": "SOFT"}}, "ACTIVE"),
        ({"reboot": {"type": "HARD"}}, "ACTIVE"),
    ):
        assert await act(cloud, admin, server_id, action) == 202
        assert (await status(admin, server_id))["status"] == becomes
    assert await act(cloud, admin, server_id, {"os-start": None}) == 409
    url = f"/v2.1/servers/{server_id}/os-instance-actions"
    actions = (await admin.get("nova", url)).json()["instanceActions"]
    assert [a["action"] for a in actions][-3:] == ["start", "stop", "create"]
    shown = (await admin.get("nova", f"{url}/{actions[-1]['request_id']}")).json()
    events = [e["event"] for e in shown["instanceAction"]["events"]]
    assert events == [
        "compute_scheduling",
        "compute_networking",
        "compute_block_device_mapping",
        "compute_spawning",
    ]


async def test_a_guest_that_stops_by_itself_is_shutoff(cloud: WholeCloud) -> None:
    admin, body = await prepare(cloud)
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    from aerostat.services.nova.agent.endpoint import compute_control
    from aerostat.services.nova.model.guest import PowerState

    control = compute_control.at(cloud.bus)
    await control.lifecycle(host="host-1", server_id=server_id, power_state=PowerState.SHUTDOWN)
    assert (await status(admin, server_id))["status"] == "SHUTOFF"


@pytest.mark.parametrize(
    ("change", "code", "names"),
    [
        ({"name": ""}, 400, "name"),
        ({"name": 5}, 400, "name"),
        ({"flavorRef": "nope"}, 400, "nope"),
        ({"imageRef": "nope"}, 400, "image"),
        ({"colour": "red"}, 400, "colour"),
        ({"networks": [{"uuid": "00000000-0000-0000-0000-000000000000"}]}, 400, "00000000"),
        ({"key_name": "nope"}, 400, "key_name"),
        ({"user_data": "!!"}, 400, "user_data"),
        ({"availability_zone": "mars"}, 400, "zone"),
        ({"min_count": 3, "max_count": 1}, 400, "min_count"),
        ({"min_count": 50, "max_count": 50}, 403, "instances"),
        ({"metadata": {"a": 1}}, 400, "metadata"),
    ],
)
async def test_bad_bodies_name_the_field(
    cloud: WholeCloud, change: dict[str, Any], code: int, names: str
) -> None:
    admin, body = await prepare(cloud)
    reply = await admin.post("nova", "/v2.1/servers", {"server": {**body["server"], **change}})
    assert reply.status_code == code, reply.text
    assert names in reply.text
    assert (await admin.get("nova", "/v2.1/servers")).json()["servers"] == []


async def test_no_host_left_says_which_filter(cloud: WholeCloud) -> None:
    admin, body = await prepare(cloud)
    services = (await admin.get("nova", "/v2.1/os-services")).json()["services"]
    url = f"/v2.1/os-services/{services[0]['id']}"
    await admin.request("nova", "PUT", url, {"status": "disabled"})
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    server = await status(admin, server_id)
    assert server["status"] == "ERROR"
    assert "ComputeFilter removed 1 of 1 hosts" in server["fault"]["message"]


async def test_microversions(cloud: WholeCloud) -> None:
    admin, body = await prepare(cloud)
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    url = f"/v2.1/servers/{server_id}"

    async def fields(version: str) -> dict[str, Any]:
        headers = {"OpenStack-API-Version": f"compute {version}"}
        reply = await admin.request("nova", "GET", url, headers=headers)
        assert reply.headers["openstack-api-version"] == f"compute {version}"
        return dict(reply.json()["server"])

    oldest = await fields("2.1")
    assert "description" not in oldest
    assert "links" in oldest["flavor"]
    assert "description" in await fields("2.19")
    assert "tags" not in await fields("2.25")
    assert "vcpus" in (await fields("2.47"))["flavor"]
    for wrong, code in (("2.999", 406), ("nonsense", 400)):
        headers = {"OpenStack-API-Version": f"compute {wrong}"}
        assert (await admin.request("nova", "GET", url, headers=headers)).status_code == code


async def test_projects_do_not_see_each_other(cloud: WholeCloud) -> None:
    admin, body = await prepare(cloud)
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    other = await cloud.user("mallory", "member", "elsewhere")
    reader = await cloud.user("rita", "reader", "elsewhere")
    url = f"/v2.1/servers/{server_id}"
    assert (await other.get("nova", url)).status_code == 404
    assert (await other.delete("nova", url)).status_code == 404
    assert (await other.get("nova", "/v2.1/servers?all_tenants=1")).status_code == 403
    assert (await other.get("nova", "/v2.1/servers")).json()["servers"] == []
    assert (await reader.post("nova", "/v2.1/servers", body)).status_code == 403
    for action in ({"os-stop": None}, {"lock": None}):
        assert await act(cloud, other, server_id, action) == 404


async def test_server_groups_keep_apart(tmp_path: Path) -> None:
    cloud = WholeCloud(tmp_path, hosts=2)
    await cloud.start()
    admin, body = await prepare(cloud)
    group = {"server_group": {"name": "apart", "policy": "anti-affinity"}}
    made = (await admin.post("nova", "/v2.1/os-server-groups", group)).json()["server_group"]
    hinted = {**body, "os:scheduler_hints": {"group": made["id"]}}
    hosts = []
    for _ in range(3):
        server_id = await create(admin, hinted)
        await cloud.nova.sagas.idle()
        server = await status(admin, server_id)
        hosts.append(server["OS-EXT-SRV-ATTR:host"] or server["fault"]["message"])
    assert set(hosts[:2]) == {"host-1", "host-2"}
    assert "ServerGroupAntiAffinityFilter removed 2 of 2 hosts" in hosts[2]
    await cloud.stop()


async def test_servers_spread_and_pack(tmp_path: Path) -> None:
    """As the operator says, for all hosts or for those of an aggregate."""
    cloud = WholeCloud(tmp_path, hosts=2)
    cloud.settings.nova.update(
        ram_weight_multiplier=-1.0, cpu_weight_multiplier=-1.0, disk_weight_multiplier=-1.0
    )
    await cloud.start()
    admin, body = await prepare(cloud)

    async def three_hosts() -> int:
        made = []
        for _ in range(3):
            made.append(await create(admin, body))
            await cloud.nova.sagas.idle()
        found = [(await status(admin, one))["OS-EXT-SRV-ATTR:host"] for one in made]
        for one in made:
            await admin.delete("nova", f"/v2.1/servers/{one}")
        await cloud.nova.sagas.idle()
        return len(set(found))

    assert await three_hosts() == 1
    wide = {"aggregate": {"name": "wide"}}
    made = (await admin.post("nova", "/v2.1/os-aggregates", wide)).json()["aggregate"]
    url = f"/v2.1/os-aggregates/{made['id']}/action"
    for host in cloud.host_names:
        assert (await admin.post("nova", url, {"add_host": {"host": host}})).status_code == 200
    metadata = {f"{what}_weight_multiplier": "1.0" for what in ("ram", "cpu", "disk")}
    await admin.post("nova", url, {"set_metadata": {"metadata": metadata}})
    assert await three_hosts() == 2
    await cloud.stop()


async def test_list_pages_and_filters(cloud: WholeCloud) -> None:
    admin, body = await prepare(cloud)
    body["server"].update(min_count=5, max_count=5)
    await create(admin, body)
    await cloud.nova.sagas.idle()
    seen: list[str] = []
    url = "/v2.1/servers?limit=2&sort_key=display_name&sort_dir=asc"
    while url:
        doc = (await admin.get("nova", url)).json()
        seen += [s["name"] for s in doc["servers"]]
        url = next((x["href"] for x in doc.get("servers_links", [])), "")
    assert seen == [f"swept-{i}" for i in range(1, 6)]
    found = (await admin.get("nova", "/v2.1/servers?name=swept-[12]")).json()["servers"]
    assert len(found) == 2
    assert (await admin.get("nova", "/v2.1/servers?status=ERROR")).json()["servers"] == []
    assert (await admin.get("nova", "/v2.1/servers?marker=nope")).status_code == 400

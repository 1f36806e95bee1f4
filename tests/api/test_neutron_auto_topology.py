"""Networks that make themselves: /auto-allocated-topology, and servers that ask for `auto`."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.sim.test_server_sagas import prepare, status
from tests.whole_cloud import User, WholeCloud

URL = "/v2.0/auto-allocated-topology"
EXTERNAL = {
    "name": "public",
    "router:external": True,
    "is_default": True,
    "provider:network_type": "flat",
    "provider:physical_network": "public",
}


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path)
    await cloud.start()
    yield cloud
    await cloud.stop()


async def made(user: User, noun: str, **values: Any) -> dict[str, Any]:
    reply = await user.post("neutron", f"/v2.0/{noun}", {noun.rstrip("s"): values})
    assert reply.status_code == 201, reply.text
    return dict(reply.json()[noun.rstrip("s")])


async def furnished(cloud: WholeCloud) -> User:
    """Make what automatic networks are made of."""
    admin = await cloud.admin()
    public = await made(admin, "networks", **EXTERNAL)
    await made(admin, "subnets", network_id=public["id"], cidr="172.24.4.0/24", ip_version=4)
    pool = {"prefixes": ["10.64.0.0/16"], "default_prefixlen": 26, "is_default": True}
    await made(admin, "subnetpools", name="pool", shared=True, **pool)
    return admin


async def listed(user: User, noun: str) -> list[dict[str, Any]]:
    found = (await user.get("neutron", f"/v2.0/{noun}?project_id={user.project_id}")).json()[noun]
    return list(found)


async def test_it_is_made_once_and_goes_as_a_whole(cloud: WholeCloud) -> None:
    await furnished(cloud)
    mia = await cloud.user("mia", "member", "small")
    own = f"{URL}/{mia.project_id}"
    dry = (await mia.get("neutron", f"{own}?fields=dry-run")).json()["auto_allocated_topology"]
    assert (dry["id"], await listed(mia, "networks")) == ("dry-run=pass", [])
    first = (await mia.get("neutron", own)).json()["auto_allocated_topology"]
    again = (await mia.get("neutron", f"{URL}/None")).json()["auto_allocated_topology"]
    assert first == again == {**dry, "id": first["id"], "tenant_id": mia.project_id}
    assert [n["id"] for n in await listed(mia, "networks")] == [first["id"]]
    (router,) = await listed(mia, "routers")
    assert router["external_gateway_info"]["network_id"]
    assert [s["cidr"] for s in await listed(mia, "subnets")] == ["10.64.0.0/26"]
    assert (await mia.get("neutron", f"{own}?fields=name")).status_code == 400
    assert (await mia.delete("neutron", own)).status_code == 204
    for noun in ("networks", "routers", "subnets", "ports"):
        assert await listed(mia, noun) == []
    assert (await mia.delete("neutron", own)).status_code == 204


async def test_what_is_missing_is_said_and_strangers_are_refused(cloud: WholeCloud) -> None:
    admin = await cloud.admin()
    mia = await cloud.user("mia", "member", "small")
    eve = await cloud.user("eve", "reader", "other")
    for fields in ("", "?fields=dry-run"):
        reply = await mia.get("neutron", f"{URL}/{mia.project_id}{fields}")
        said = reply.json()["NeutronError"]
        assert (reply.status_code, said["type"]) == (409, "AutoAllocationFailure")
        assert said["message"] == "Deployment error: No default router:external network."
        assert (await eve.get("neutron", f"{URL}/{mia.project_id}{fields}")).status_code == 403
    assert (await eve.delete("neutron", f"{URL}/{eve.project_id}")).status_code == 403
    public = await made(admin, "networks", **EXTERNAL)
    reply = await mia.get("neutron", f"{URL}/{mia.project_id}")
    assert "No default subnetpools defined" in reply.text
    other = {"router:external": True, "is_default": True}
    reply = await admin.post("neutron", "/v2.0/networks", {"network": other})
    assert (reply.status_code, public["id"] in reply.text) == (409, True)


async def test_servers_share_the_network_that_is_made_for_them(cloud: WholeCloud) -> None:
    mia = await cloud.user("mia", "member", "small")
    _, body = await prepare(cloud)
    server = {**body["server"], "imageRef": await cloud.image(mia), "min_count": 3}
    auto = {"server": {**server, "networks": "auto"}}
    reply = await mia.post("nova", "/v2.1/servers", auto)
    assert (reply.status_code, "Unable to automatically allocate" in reply.text) == (400, True)
    named = {"server": {**server, "networks": [{"uuid": "auto"}]}}
    assert (await mia.post("nova", "/v2.1/servers", named)).status_code == 400
    await furnished(cloud)
    assert (await mia.post("nova", "/v2.1/servers", auto)).status_code == 202
    assert (await mia.post("nova", "/v2.1/servers", auto)).status_code == 202
    await cloud.nova.sagas.idle()
    servers = (await mia.get("nova", "/v2.1/servers")).json()["servers"]
    found = [await status(mia, s["id"]) for s in servers]
    assert {s["status"] for s in found} == {"ACTIVE"}
    (network,) = await listed(mia, "networks")
    addresses = [s["addresses"][network["name"]] for s in found]
    assert [len(a) for a in addresses] == [1] * 6
    reply = await mia.delete("neutron", f"{URL}/{mia.project_id}")
    assert (reply.status_code, len(await listed(mia, "routers"))) == (409, 1)
    for one in servers:
        await mia.delete("nova", f"/v2.1/servers/{one['id']}")
    await cloud.nova.sagas.idle()
    assert (await mia.delete("neutron", f"{URL}/{mia.project_id}")).status_code == 204


async def test_without_networks_before_auto_there_is_none(cloud: WholeCloud) -> None:
    mia = await cloud.user("mia", "member", "small")
    _, body = await prepare(cloud)
    server = {**body["server"], "imageRef": await cloud.image(mia)}
    old = {"OpenStack-API-Version": "compute 2.36"}
    auto = {"server": {**server, "networks": "auto"}}
    assert (await mia.request("nova", "POST", "/v2.1/servers", auto, old)).status_code == 400
    server.pop("networks")
    reply = await mia.request("nova", "POST", "/v2.1/servers", {"server": server}, old)
    assert reply.status_code == 202, reply.text
    await cloud.nova.sagas.idle()
    assert (await status(mia, reply.json()["server"]["id"]))["addresses"] == {}

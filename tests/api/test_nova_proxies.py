"""What nova showed of images and networks before glance and neutron were asked themselves."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.sim.test_server_moves import act, built
from tests.sim.test_server_sagas import status
from tests.whole_cloud import User, WholeCloud


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path, hosts=2)
    await cloud.start()
    yield cloud
    await cloud.stop()


async def call(
    user: User, method: str, url: str, body: Any = None, version: str = "2.1"
) -> tuple[int, Any]:
    headers = {"OpenStack-API-Version": f"compute {version}"}
    reply = await user.request("nova", method, f"/v2.1{url}", body, headers)
    return reply.status_code, reply.json() if reply.content else None


async def test_images(cloud: WholeCloud) -> None:
    admin, server_id, _ = await built(cloud)
    await act(cloud, admin, server_id, {"createImage": {"name": "shot"}})
    _, doc = await call(admin, "GET", f"/images/detail?server={server_id}")
    (image,) = doc["images"]
    assert (image["name"], image["status"], image["progress"]) == ("shot", "ACTIVE", 100)
    assert image["server"]["id"] == server_id
    _, doc = await call(admin, "GET", "/images?type=snapshot&limit=1")
    assert ([i["id"] for i in doc["images"]], "images_links" in doc) == ([image["id"]], True)
    url = f"/images/{image['id']}"
    assert await call(admin, "PUT", url + "/metadata", {"metadata": {"a": "1"}}) == (
        200,
        {"metadata": {"a": "1"}},
    )
    assert (await call(admin, "POST", url + "/metadata", {"metadata": {"b": "2"}}))[1] == {
        "metadata": {"a": "1", "b": "2"}
    }
    assert (await call(admin, "PUT", url + "/metadata/c", {"meta": {"c": "3"}}))[0] == 200
    assert (await call(admin, "DELETE", url + "/metadata/a"))[0] == 204
    assert (await call(admin, "GET", url + "/metadata/a"))[0] == 404
    other = await cloud.user("mallory", "member", "elsewhere")
    for method in ("GET", "DELETE"):
        assert (await call(other, method, url))[0] == 404
    assert (await call(admin, "DELETE", url))[0] == 204
    assert (await call(admin, "GET", url))[0] == 404
    assert (await call(admin, "GET", "/images", version="2.36"))[0] == 404


async def test_security_groups(cloud: WholeCloud) -> None:
    member = await cloud.user("mia", "member", "small")
    reader = await cloud.user("rita", "reader", "small")
    body = {"security_group": {"name": "web", "description": "what may come"}}
    assert (await call(reader, "POST", "/os-security-groups", body))[0] == 403
    code, doc = await call(member, "POST", "/os-security-groups", body)
    group = doc["security_group"]
    assert (code, group["name"], group["rules"]) == (200, "web", [])
    rule = {
        "parent_group_id": group["id"],
        "ip_protocol": "tcp",
        "from_port": 80,
        "to_port": 81,
        "cidr": "10.0.0.0/8",
    }
    code, doc = await call(
        member, "POST", "/os-security-group-rules", {"security_group_rule": rule}
    )
    made = doc["security_group_rule"]
    assert (code, made["ip_range"], made["group"]) == (200, {"cidr": "10.0.0.0/8"}, {})
    for change, wrong in (
        ({}, 400),  # it is there already
        ({"ip_protocol": "ipx"}, 400),
        ({"from_port": 82}, 400),
        ({"to_port": 70000}, 400),
        ({"parent_group_id": "00000000-0000-0000-0000-000000000000"}, 404),
    ):
        body = {"security_group_rule": {**rule, **change}}
        assert (await call(member, "POST", "/os-security-group-rules", body))[0] == wrong
    _, doc = await call(reader, "GET", "/os-security-groups")
    assert sorted(g["name"] for g in doc["security_groups"]) == ["default", "web"]
    assert (await call(member, "DELETE", f"/os-security-group-rules/{made['id']}"))[0] == 202
    assert (await call(member, "DELETE", f"/os-security-group-rules/{made['id']}"))[0] == 404
    default = next(g["id"] for g in doc["security_groups"] if g["name"] == "default")
    assert (await call(member, "DELETE", f"/os-security-groups/{default}"))[0] == 400
    other = await cloud.user("mallory", "member", "elsewhere")
    assert (await call(other, "GET", f"/os-security-groups/{group['id']}"))[0] == 404
    assert (await call(member, "DELETE", f"/os-security-groups/{group['id']}"))[0] == 202
    assert (await call(member, "GET", f"/os-security-groups/{group['id']}"))[0] == 404


async def test_security_groups_of_a_server(cloud: WholeCloud) -> None:
    admin, server_id, _ = await built(cloud)
    _, doc = await call(admin, "GET", f"/servers/{server_id}/os-security-groups", version="2.90")
    (group,) = doc["security_groups"]
    assert (group["name"], len(group["id"]), len(group["rules"])) == ("default", 36, 2)


async def test_floating_addresses(cloud: WholeCloud) -> None:
    admin, server_id, _ = await built(cloud)
    net = {"name": "public", "router:external": True}
    made = await admin.post("neutron", "/v2.0/networks", {"network": net})
    public = made.json()["network"]["id"]
    subnet = {"network_id": public, "cidr": "172.24.4.0/24", "ip_version": 4, "enable_dhcp": False}
    await admin.post("neutron", "/v2.0/subnets", {"subnet": subnet})
    router = {"router": {"name": "r", "external_gateway_info": {"network_id": public}}}
    made = await admin.post("neutron", "/v2.0/routers", router)
    inner = (await admin.get("neutron", "/v2.0/subnets?cidr=10.9.0.0/24")).json()["subnets"][0]
    url = f"/v2.0/routers/{made.json()['router']['id']}/add_router_interface"
    await admin.request("neutron", "PUT", url, {"subnet_id": inner["id"]})

    assert (await call(admin, "GET", "/os-floating-ip-pools"))[1] == {
        "floating_ip_pools": [{"name": "public"}]
    }
    assert (await call(admin, "POST", "/os-floating-ips", {"pool": "mars"}))[0] == 404
    code, doc = await call(admin, "POST", "/os-floating-ips", {"pool": "public"})
    found = doc["floating_ip"]
    assert (code, found["instance_id"], found["pool"]) == (200, None, "public")
    action = {"addFloatingIp": {"address": found["ip"]}}
    assert (await call(admin, "POST", f"/servers/{server_id}/action", action))[0] == 202
    listed = (await status(admin, server_id))["addresses"]["net"]
    assert found["ip"] in [a["addr"] for a in listed]
    _, doc = await call(admin, "GET", f"/os-floating-ips/{found['id']}")
    assert doc["floating_ip"]["instance_id"] == server_id
    action = {"removeFloatingIp": {"address": found["ip"]}}
    assert (await call(admin, "POST", f"/servers/{server_id}/action", action))[0] == 202
    assert (await call(admin, "POST", f"/servers/{server_id}/action", action))[0] == 409
    code, _ = await call(admin, "POST", f"/servers/{server_id}/action", action, "2.44")
    assert code == 400
    assert (await call(admin, "DELETE", f"/os-floating-ips/{found['id']}"))[0] == 202
    assert (await call(admin, "GET", "/os-floating-ips"))[1] == {"floating_ips": []}


async def test_networks(cloud: WholeCloud) -> None:
    admin, _, _ = await built(cloud)
    _, doc = await call(admin, "GET", "/os-networks")
    (found,) = doc["networks"]
    assert (found["label"], found["cidr"], "bridge" in found) == ("net", None, True)
    for noun in ("os-networks", "os-tenant-networks"):
        code, doc = await call(admin, "GET", f"/{noun}/{found['id']}")
        assert (code, doc["network"]["label"]) == (200, "net")
    other = await cloud.user("mallory", "member", "elsewhere")
    assert (await call(other, "GET", f"/os-networks/{found['id']}"))[0] == 404
    assert (await call(other, "GET", "/os-tenant-networks"))[1] == {"networks": []}


async def test_deletion_is_never_put_off(cloud: WholeCloud) -> None:
    admin, server_id, _ = await built(cloud)
    url = f"/servers/{server_id}/action"
    assert (await call(admin, "POST", url, {"restore": None}))[0] == 409
    assert (await call(admin, "POST", url, {"forceDelete": None}))[0] == 202
    await cloud.nova.sagas.idle()
    assert (await call(admin, "GET", f"/servers/{server_id}"))[0] == 404

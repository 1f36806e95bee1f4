"""What each microversion shows and takes, as upstream's clients expect it to the field."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.sim.test_server_sagas import create, prepare, status
from tests.whole_cloud import User, WholeCloud

MARS = {"server": {"pinned_availability_zone": "mars"}}


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path, hosts=2)
    await cloud.start()
    yield cloud
    await cloud.stop()


async def ask(
    user: User, version: str, method: str, url: str, body: Any = None, *, status: int = 200
) -> dict[str, Any]:
    headers = {"OpenStack-API-Version": f"compute {version}"}
    reply = await user.request("nova", method, f"/v2.1{url}", body, headers)
    assert reply.status_code == status, reply.text
    return dict(reply.json()) if reply.content else {}


async def test_quotas(cloud: WholeCloud) -> None:
    admin = await cloud.admin()
    url = "/os-quota-sets/somebody"
    oldest = (await ask(admin, "2.1", "GET", url))["quota_set"]
    assert {"fixed_ips", "injected_files", "id", "cores"} <= oldest.keys()
    assert "networks" not in oldest
    middle = (await ask(admin, "2.36", "GET", url))["quota_set"]
    assert "fixed_ips" not in middle
    assert "injected_files" in middle
    newest = (await ask(admin, "2.57", "GET", f"{url}/detail"))["quota_set"]
    assert "injected_files" not in newest
    assert newest["cores"] == {"limit": 20, "in_use": 0, "reserved": 0}
    classes = {"quota_class_set": {"injected_files": 6}}
    await ask(admin, "2.57", "PUT", "/os-quota-class-sets/default", classes, status=400)
    told = await ask(admin, "2.56", "PUT", "/os-quota-class-sets/default", classes)
    assert told["quota_class_set"]["injected_files"] == 6
    limits = (await ask(admin, "2.1", "GET", "/limits"))["limits"]["absolute"]
    assert {"maxImageMeta", "maxPersonality", "maxSecurityGroups"} <= limits.keys()
    limits = (await ask(admin, "2.57", "GET", "/limits"))["limits"]["absolute"]
    assert not {"maxImageMeta", "maxPersonality", "maxSecurityGroups"} & limits.keys()


async def test_hypervisors_and_services(cloud: WholeCloud) -> None:
    admin = await cloud.admin()
    oldest = (await ask(admin, "2.1", "GET", "/os-hypervisors/detail"))["hypervisors"][0]
    assert oldest["id"] == 1
    assert isinstance(oldest["service"]["id"], int)
    assert not {"servers", "uptime"} & oldest.keys()
    newest = (await ask(admin, "2.88", "GET", "/os-hypervisors/detail"))["hypervisors"][0]
    assert len(newest["id"]) == 36
    assert "vcpus" not in newest
    assert " up " in newest["uptime"]
    url = "/os-hypervisors?with_servers=true"
    assert "servers" not in (await ask(admin, "2.53", "GET", url))["hypervisors"][0]
    assert (await ask(admin, "2.75", "GET", url))["hypervisors"][0]["servers"] == []
    services = (await ask(admin, "2.1", "GET", "/os-services"))["services"]
    assert isinstance(services[0]["id"], int)
    assert "uptime" in (await ask(admin, "2.1", "GET", "/os-hypervisors/1/uptime"))["hypervisor"]
    found = await ask(admin, "2.1", "GET", "/os-hypervisors/host-2/search")
    assert [h["hypervisor_hostname"] for h in found["hypervisors"]] == ["host-2"]
    hosts = (await ask(admin, "2.42", "GET", "/os-hosts"))["hosts"]
    assert {"host_name": "host-1", "service": "compute", "zone": "nova"} in hosts
    await ask(admin, "2.43", "GET", "/os-hosts", status=404)


async def test_answers_to_put_and_rebuild(cloud: WholeCloud) -> None:
    admin, body = await prepare(cloud)
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    url, change = f"/servers/{server_id}", {"server": {"name": "new"}}
    oldest = (await ask(admin, "2.1", "PUT", url, change))["server"]
    assert not any(k.startswith("OS-EXT") for k in oldest)
    assert set(oldest["flavor"]) == {"id", "links"}
    assert set(oldest["addresses"]["net"][0]) == {"addr", "version"}
    newest = (await ask(admin, "2.75", "PUT", url, change))["server"]
    assert newest["OS-EXT-STS:vm_state"] == "active"
    assert "id" not in newest["flavor"]
    assert newest["server_groups"] == []
    listed = (await ask(admin, "2.75", "GET", "/servers/detail"))["servers"][0]
    assert "server_groups" not in listed
    again = {"rebuild": {"imageRef": body["server"]["imageRef"]}}
    for version, has in (("2.53", set()), ("2.54", {"key_name"}), ("2.57", {"user_data"})):
        told = (await ask(admin, version, "POST", f"{url}/action", again, status=202))["server"]
        await cloud.nova.sagas.idle()
        assert has <= told.keys()
        assert ("key_name" in told) == (version != "2.53")
        assert ("user_data" in told) == (version == "2.57")
    pinned = {"server": {"pinned_availability_zone": "nova"}}
    await ask(admin, "2.103", "PUT", url, pinned, status=400)
    assert (await ask(admin, "2.104", "PUT", url, pinned))["server"][
        "pinned_availability_zone"
    ] == "nova"
    await ask(
        admin, "2.104", "PUT", url, {"server": {"pinned_availability_zone": "mars"}}, status=400
    )


async def test_servers_by_address(cloud: WholeCloud) -> None:
    admin, body = await prepare(cloud)
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    address = (await status(admin, server_id))["addresses"]["net"][0]["addr"]
    found = (await ask(admin, "2.1", "GET", f"/servers?ip={address}"))["servers"]
    assert [s["id"] for s in found] == [server_id]
    assert (await ask(admin, "2.1", "GET", "/servers?ip=192.0.2.1"))["servers"] == []
    await ask(admin, "2.1", "GET", "/servers?ip=(", status=400)


async def test_anti_affinity_holds_when_servers_come_at_once(cloud: WholeCloud) -> None:
    admin, body = await prepare(cloud)
    group = {"server_group": {"name": "apart", "policy": "anti-affinity"}}
    made = (await admin.post("nova", "/v2.1/os-server-groups", group)).json()["server_group"]
    body["server"].update(min_count=2, max_count=2)
    await create(admin, {**body, "os:scheduler_hints": {"group": made["id"]}})
    await cloud.nova.sagas.idle()
    found = (await admin.get("nova", "/v2.1/servers/detail")).json()["servers"]
    assert {s["OS-EXT-SRV-ATTR:host"] for s in found} == {"host-1", "host-2"}


async def test_security_groups_of_a_server(cloud: WholeCloud) -> None:
    admin, body = await prepare(cloud)
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    group = {"security_group": {"name": "web"}}
    assert (await admin.post("neutron", "/v2.0/security-groups", group)).status_code == 201
    url = f"/servers/{server_id}/action"
    for action, code in (("add", 202), ("add", 202), ("remove", 202), ("remove", 404)):
        await ask(
            admin, "2.1", "POST", url, {f"{action}SecurityGroup": {"name": "web"}}, status=code
        )
        names = [g["name"] for g in (await status(admin, server_id))["security_groups"]]
        assert names == (["default", "web"] if action == "add" else ["default"])
    await ask(admin, "2.1", "POST", url, {"addSecurityGroup": {"name": "nope"}}, status=404)
    await ask(admin, "2.1", "POST", url, {"addSecurityGroup": {}}, status=400)


async def test_keypairs(cloud: WholeCloud) -> None:
    admin = await cloud.admin()
    windows = {"keypair": {"name": "windows", "type": "x509"}}
    made = (await ask(admin, "2.2", "POST", "/os-keypairs", windows, status=201))["keypair"]
    assert made["public_key"].startswith("-----BEGIN CERTIFICATE")
    assert made["private_key"].startswith("-----BEGIN PRIVATE KEY")
    assert "type" not in (await ask(admin, "2.1", "GET", "/os-keypairs"))["keypairs"][0]["keypair"]

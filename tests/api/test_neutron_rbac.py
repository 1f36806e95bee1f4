"""RBAC policies: networks shared, and external, with some projects only."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.whole_cloud import User, WholeCloud

URL = "/v2.0/rbac-policies"
SHARED, EXTERNAL = "access_as_shared", "access_as_external"


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path)
    await cloud.start()
    yield cloud
    await cloud.stop()


async def asked(
    user: User, method: str, url: str, body: Any = None, status: int = 200
) -> dict[str, Any]:
    reply = await user.request("neutron", method, f"/v2.0/{url}", body)
    assert reply.status_code == status, f"{method} {url}: {reply.status_code} {reply.text}"
    return dict(reply.json()) if reply.content else {}


async def network(user: User, **values: Any) -> dict[str, Any]:
    made = await asked(user, "POST", "networks", {"network": {"name": "n", **values}}, 201)
    return dict(made["network"])


async def policy(
    user: User, network_id: str, target: str, action: str = SHARED, status: int = 201
) -> dict[str, Any]:
    values = {"object_type": "network", "object_id": network_id, "action": action}
    body = {"rbac_policy": {**values, "target_tenant": target}}
    return (await asked(user, "POST", "rbac-policies", body, status)).get("rbac_policy", {})


async def seen(user: User, query: str = "") -> set[str]:
    return {n["id"] for n in (await asked(user, "GET", f"networks{query}"))["networks"]}


async def listed(user: User, network_id: str) -> list[tuple[str, str]]:
    found = await asked(user, "GET", f"rbac-policies?object_id={network_id}&object_type=network")
    return sorted((p["action"], p["target_tenant"]) for p in found["rbac_policies"])


async def test_a_network_is_shared_with_one_project(cloud: WholeCloud) -> None:
    mia = await cloud.user("mia", "member", "mine")
    bob = await cloud.user("bob", "member", "his")
    eve = await cloud.user("eve", "member", "hers")
    net = await network(mia)
    subnet = {"network_id": net["id"], "cidr": "10.1.0.0/24", "ip_version": 4}
    await asked(mia, "POST", "subnets", {"subnet": subnet}, 201)
    port = {"port": {"network_id": net["id"]}}
    await asked(bob, "POST", "ports", port, 404)
    made = await policy(mia, net["id"], bob.project_id)
    assert made == {
        "id": made["id"],
        "tenant_id": mia.project_id,
        "project_id": mia.project_id,
        "object_type": "network",
        "object_id": net["id"],
        "action": SHARED,
        "target_tenant": bob.project_id,
    }
    assert (await seen(bob), await seen(eve)) == ({net["id"]}, set())
    assert await seen(bob, "?shared=True") == {net["id"]}
    assert await seen(mia, "?shared=True") == set()
    shown = (await asked(bob, "GET", f"networks/{net['id']}"))["network"]
    assert shown["shared"] is True
    assert (await asked(mia, "GET", f"networks/{net['id']}"))["network"]["shared"] is False
    assert len((await asked(bob, "GET", "subnets"))["subnets"]) == 1
    assert (await asked(eve, "GET", "subnets"))["subnets"] == []
    await asked(bob, "PUT", f"networks/{net['id']}", {"network": {"name": "x"}}, 403)
    theirs = (await asked(bob, "POST", "ports", port, 201))["port"]
    one = f"rbac-policies/{made['id']}"
    await asked(bob, "GET", one, status=404)
    said = await asked(mia, "DELETE", one, status=409)
    assert said["NeutronError"]["type"] == "RbacPolicyInUse"
    target = {"rbac_policy": {"target_tenant": eve.project_id}}
    await asked(mia, "PUT", one, target, 409)
    await asked(bob, "DELETE", f"ports/{theirs['id']}", status=204)
    changed = (await asked(mia, "PUT", one, target))["rbac_policy"]
    assert changed == {**made, "target_tenant": eve.project_id}
    assert (await seen(bob), await seen(eve)) == (set(), {net["id"]})
    await asked(mia, "DELETE", one, status=204)
    assert await seen(eve) == set()


async def test_what_is_refused(cloud: WholeCloud) -> None:
    admin = await cloud.admin()
    mia = await cloud.user("mia", "member", "mine")
    bob = await cloud.user("bob", "member", "his")
    rita = await cloud.user("rita", "reader", "mine")
    net, other = await network(mia), await network(admin, shared=True)
    await policy(mia, net["id"], "*", status=403)
    await policy(rita, net["id"], bob.project_id, status=403)
    await policy(mia, other["id"], bob.project_id, status=400)
    await policy(bob, net["id"], bob.project_id, status=400)
    await policy(mia, net["id"], bob.project_id, "access_as_king", status=400)
    values = {"object_type": "router", "object_id": net["id"], "action": SHARED}
    body = {"rbac_policy": {**values, "target_tenant": bob.project_id}}
    await asked(mia, "POST", "rbac-policies", body, 400)
    made = await policy(mia, net["id"], bob.project_id)
    await policy(mia, net["id"], bob.project_id, status=409)
    body = {"rbac_policy": {"target_tenant": "*"}}
    await asked(mia, "PUT", f"rbac-policies/{made['id']}", body, 403)
    await asked(rita, "DELETE", f"rbac-policies/{made['id']}", status=403)
    await asked(mia, "PUT", f"rbac-policies/{made['id']}", {"rbac_policy": {"action": "x"}}, 400)
    limit = {"quota": {"rbac_policy": 1}}
    await asked(admin, "PUT", f"quotas/{mia.project_id}", limit)
    await policy(mia, net["id"], "another", status=409)
    await asked(mia, "DELETE", f"networks/{net['id']}", status=204)
    assert await listed(mia, net["id"]) == []


async def test_shared_with_everybody_is_a_policy(cloud: WholeCloud) -> None:
    admin = await cloud.admin()
    mia = await cloud.user("mia", "member", "mine")
    net = await network(admin, shared=True)
    assert (await listed(admin, net["id"]), net["revision_number"]) == ([(SHARED, "*")], 1)
    change = {"network": {"shared": False}}
    assert (await asked(admin, "PUT", f"networks/{net['id']}", change))["network"][
        "shared"
    ] is False
    assert (await listed(admin, net["id"]), await seen(mia)) == ([], set())
    made = await policy(admin, net["id"], "*")
    shown = (await asked(mia, "GET", f"networks/{net['id']}"))["network"]
    assert shown["shared"] is True
    port = (await asked(mia, "POST", "ports", {"port": {"network_id": net["id"]}}, 201))["port"]
    await asked(admin, "PUT", f"networks/{net['id']}", change, 409)
    await asked(admin, "DELETE", f"rbac-policies/{made['id']}", status=409)
    await policy(admin, net["id"], mia.project_id)
    await asked(admin, "DELETE", f"rbac-policies/{made['id']}", status=204)
    assert (await asked(admin, "GET", f"networks/{net['id']}"))["network"]["shared"] is False
    assert await seen(mia) == {net["id"]}
    await asked(mia, "DELETE", f"ports/{port['id']}", status=204)


async def test_external_for_some(cloud: WholeCloud) -> None:
    admin = await cloud.admin()
    mia = await cloud.user("mia", "member", "mine")
    bob = await cloud.user("bob", "member", "his")
    flat = {"provider:network_type": "flat", "provider:physical_network": "public"}
    net = await network(admin, **flat)
    subnet = {"network_id": net["id"], "cidr": "172.24.4.0/24", "ip_version": 4}
    await asked(admin, "POST", "subnets", {"subnet": subnet}, 201)
    made = await policy(admin, net["id"], mia.project_id, EXTERNAL)
    shown = (await asked(mia, "GET", f"networks/{net['id']}"))["network"]
    assert (shown["router:external"], await seen(bob)) == (True, set())
    router = {"router": {"external_gateway_info": {"network_id": net["id"]}}}
    await asked(bob, "POST", "routers", router, 404)
    router_id = (await asked(mia, "POST", "routers", router, 201))["router"]["id"]
    await asked(admin, "DELETE", f"rbac-policies/{made['id']}", status=409)
    wild = await policy(admin, net["id"], "*", EXTERNAL)
    assert await seen(bob) == {net["id"]}
    await asked(admin, "DELETE", f"rbac-policies/{wild['id']}", status=204)
    assert await seen(bob) == set()
    await asked(mia, "DELETE", f"routers/{router_id}", status=204)
    await asked(admin, "DELETE", f"rbac-policies/{made['id']}", status=204)
    shown = (await asked(admin, "GET", f"networks/{net['id']}"))["network"]
    assert shown["router:external"] is False
    await policy(admin, net["id"], mia.project_id, EXTERNAL)
    change = {"network": {"router:external": False}}
    await asked(admin, "PUT", f"networks/{net['id']}", change)
    assert (await listed(admin, net["id"]), await seen(mia)) == ([], set())
    change = {"network": {"router:external": True, "is_default": True}}
    await asked(admin, "PUT", f"networks/{net['id']}", change)
    assert await listed(admin, net["id"]) == [(EXTERNAL, "*")]
    assert await seen(bob) == {net["id"]}
    found = (await asked(admin, "GET", "rbac-policies?target_tenant=*"))["rbac_policies"]
    said = await asked(admin, "DELETE", f"rbac-policies/{found[0]['id']}", status=409)
    assert "Default external networks" in said["NeutronError"]["message"]

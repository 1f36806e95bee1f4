"""Neutron through its HTTP API."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from aerostat.contracts.compute import MetadataReply, metadata
from aerostat.contracts.network import RequestedNetwork
from aerostat.kit.bus.embedded import EmbeddedBus
from aerostat.kit.clock import SystemClock
from aerostat.kit.context import Context
from aerostat.kit.db.migrate import differences, upgrade
from aerostat.kit.db.sqlite import SqliteDatabase
from aerostat.kit.errors import BadRequest, Conflict, NotFound, Unauthorized
from aerostat.kit.http.edge import Api
from aerostat.kit.http.policy import Policy
from aerostat.services.neutron.agent.endpoint import AgentReport, MetadataRequest, network_control
from aerostat.services.neutron.agent.node import NetworkAgent
from aerostat.services.neutron.config import NetworkAgentConfig
from aerostat.services.neutron.db.tables import metadata as tables
from aerostat.services.neutron.domain.control import Control
from aerostat.services.neutron.drivers.fake import FakeDataplane
from aerostat.services.neutron.provides import NetworkProvider
from aerostat.services.neutron.runtime import NeutronService, build
from aerostat.services.neutron.schemas import nouns
from aerostat.services.neutron.service import manifest

ROLES = {
    "admin": ("admin", "manager", "member", "reader"),
    "member": ("member", "reader"),
    "reader": ("reader",),
}


async def _authenticate(token: str) -> Context:
    role, _, project = token.partition("@")
    if role not in ROLES:
        raise Unauthorized()
    return Context("", user_id="u", project_id=project or "p", roles=ROLES[role])


class Nova:
    async def get(self, *, server_id: str, path: str, address: str) -> MetadataReply:
        return MetadataReply(200, "text/plain", f"{server_id} {path} {address}".encode())


@dataclass
class Cloud:
    """neutron-server with one fake host."""

    http: httpx.AsyncClient
    neutron: NeutronService
    provides: NetworkProvider
    plane: FakeDataplane

    async def ask(
        self, verb: str, path: str, doc: Any = None, *, who: str = "member@p", status: int = 0
    ) -> Any:
        reply = await self.http.request(
            verb, f"/v2.0{path}", json=doc, headers={"X-Auth-Token": who}
        )
        expected = status or {"POST": 201, "DELETE": 204}.get(verb, 200)
        assert reply.status_code == expected, f"{verb} {path}: {reply.status_code} {reply.text}"
        return reply.json() if reply.content else None

    async def make(self, noun: str, *, who: str = "member@p", **values: Any) -> dict[str, Any]:
        singular = noun.rstrip("s").replace("-", "_")
        made = await self.ask("POST", f"/{noun}", {singular: values}, who=who)
        return dict(made[singular])

    async def error(self, verb: str, path: str, doc: Any, status: int, **more: Any) -> str:
        reply = await self.ask(verb, path, doc, status=status, **more)
        return str(reply["NeutronError"]["type"])

    async def tenant(self) -> tuple[dict[str, Any], dict[str, Any]]:
        network = await self.make("networks", name="n")
        subnet = await self.make(
            "subnets", network_id=network["id"], cidr="10.0.0.0/24", ip_version=4
        )
        return network, subnet

    async def public(self) -> tuple[dict[str, Any], dict[str, Any]]:
        network = await self.make(
            "networks",
            who="admin@a",
            name="public",
            **{
                "router:external": True,
                "provider:network_type": "flat",
                "provider:physical_network": "public",
            },
        )
        subnet = await self.make(
            "subnets",
            who="admin@a",
            network_id=network["id"],
            cidr="172.24.4.0/24",
            ip_version=4,
            enable_dhcp=False,
        )
        return network, subnet


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    db = SqliteDatabase(tmp_path / "db")
    await upgrade(db, "neutron", manifest.migrations)
    assert await db.read(differences, "neutron", tables) == []
    bus = EmbeddedBus()
    neutron = build(db, bus, SystemClock())
    network_control.serve(bus, Control(neutron))
    metadata.serve(bus, Nova())
    plane = FakeDataplane()
    agent = NetworkAgent(bus, "h1", NetworkAgentConfig(report_interval_s=3600), plane)
    await agent.start()
    await agent.ensure(port_ids=[], revision=0)
    api = Api(manifest.api, neutron, Policy(manifest.rules), _authenticate)
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://neutron") as http:
        cloud = Cloud(http, neutron, NetworkProvider(neutron), plane)
        await until_agents(cloud)
        yield cloud
    await agent.close()
    await db.close()


async def until_agents(cloud: Cloud) -> None:
    async with asyncio.timeout(5):
        while len((await cloud.ask("GET", "/agents", who="admin"))["agents"]) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_versions_and_extensions(cloud: Cloud) -> None:
    found = (await cloud.http.get("/")).json()["versions"]
    assert found[0]["id"] == "v2.0"
    aliases = {e["alias"] for e in (await cloud.ask("GET", "/extensions"))["extensions"]}
    assert {"router", "security-group", "quotas", "agent"} <= aliases


async def test_network_lifecycle_and_views(cloud: Cloud) -> None:
    network = await cloud.make("networks", name="blue", description="d")
    assert network["mtu"] == 1450 and network["status"] == "ACTIVE" and network["subnets"] == []
    assert network["tenant_id"] == "p" and "provider:network_type" not in network
    seen = (await cloud.ask("GET", f"/networks/{network['id']}", who="admin"))["network"]
    assert seen["provider:network_type"] == "vxlan" and seen["provider:segmentation_id"]
    await cloud.error("GET", f"/networks/{network['id']}", None, 404, who="member@q")
    changed = await cloud.ask("PUT", f"/networks/{network['id']}", {"network": {"name": "red"}})
    assert changed["network"]["name"] == "red"
    assert changed["network"]["revision_number"] > network["revision_number"]
    await cloud.ask("DELETE", f"/networks/{network['id']}")
    kind = await cloud.error("GET", f"/networks/{network['id']}", None, 404)
    assert kind == "NetworkNotFound"


async def test_members_may_not_set_admins_attributes(cloud: Cloud) -> None:
    for doc in ({"shared": True}, {"router:external": True}, {"provider:network_type": "flat"}):
        kind = await cloud.error("POST", "/networks", {"network": doc}, 403)
        assert kind == "PolicyNotAuthorized"
    await cloud.make("networks", shared=False)


async def test_bad_bodies_name_the_field(cloud: Cloud) -> None:
    for doc in ({"nam": "x"}, {"name": 5}, {"admin_state_up": "maybe"}, {"mtu": "x"}):
        reply = await cloud.ask("POST", "/networks", {"network": doc}, status=400)
        assert next(iter(doc)) in reply["NeutronError"]["message"]
    await cloud.ask("POST", "/networks", {"net": {}}, status=400)
    await cloud.ask("POST", "/subnets", {"subnet": {"cidr": "10.0.0.0/24"}}, status=400)


async def test_subnet_defaults_and_refusals(cloud: Cloud) -> None:
    network, subnet = await cloud.tenant()
    assert subnet["gateway_ip"] == "10.0.0.1"
    assert subnet["allocation_pools"] == [{"start": "10.0.0.2", "end": "10.0.0.254"}]
    base = {"network_id": network["id"], "ip_version": 4}
    refusals: list[tuple[dict[str, Any], int, str]] = [
        ({"cidr": "10.0.0.0/25"}, 400, "InvalidInput"),
        ({"cidr": "10.1.0.0/24", "gateway_ip": "10.1.0.255"}, 400, "InvalidInput"),
        ({"cidr": "fd00::/64"}, 400, "InvalidInput"),
        (
            {"cidr": "10.2.0.0/24", "allocation_pools": [{"start": "10.3.0.1", "end": "10.3.0.9"}]},
            400,
            "OutOfBoundsAllocationPool",
        ),
        (
            {"cidr": "10.2.0.0/24", "allocation_pools": [{"start": "10.2.0.1", "end": "10.2.0.9"}]},
            409,
            "GatewayConflictWithAllocationPools",
        ),
    ]
    for doc, status, kind in refusals:
        assert await cloud.error("POST", "/subnets", {"subnet": base | doc}, status) == kind
    v6 = await cloud.make(
        "subnets",
        network_id=network["id"],
        cidr="fd00::/64",
        ip_version=6,
        ipv6_ra_mode="slaac",
        ipv6_address_mode="slaac",
    )
    assert v6["gateway_ip"] == "fd00::1"
    port = await cloud.make("ports", network_id=network["id"])
    assert {f["subnet_id"] for f in port["fixed_ips"]} == {subnet["id"], v6["id"]}


async def test_ports_get_addresses_and_groups(cloud: Cloud) -> None:
    network, subnet = await cloud.tenant()
    port = await cloud.make("ports", network_id=network["id"], name="a")
    assert port["mac_address"].startswith("fa:16:3e")
    assert [f["subnet_id"] for f in port["fixed_ips"]] == [subnet["id"]]
    assert len(port["security_groups"]) == 1 and "binding:host_id" not in port
    fixed = [{"ip_address": "10.0.0.77"}]
    await cloud.make("ports", network_id=network["id"], fixed_ips=fixed)
    doc = {"port": {"network_id": network["id"], "fixed_ips": fixed}}
    assert await cloud.error("POST", "/ports", doc, 409) == "IpAddressInUse"
    doc["port"]["fixed_ips"] = [{"ip_address": "10.9.0.1"}]
    assert await cloud.error("POST", "/ports", doc, 400) == "InvalidIpForNetwork"
    found = await cloud.ask("GET", "/ports?fixed_ips=ip_address%3D10.0.0.77&fields=id&fields=name")
    assert len(found["ports"]) == 1 and set(found["ports"][0]) == {"id", "name"}
    assert await cloud.error("DELETE", f"/networks/{network['id']}", None, 409) == "NetworkInUse"
    assert await cloud.error("DELETE", f"/subnets/{subnet['id']}", None, 409) == "SubnetInUse"
    moved = await cloud.ask(
        "PUT",
        f"/ports/{port['id']}",
        {"port": {"fixed_ips": [{"subnet_id": subnet["id"], "ip_address": "10.0.0.99"}]}},
    )
    assert moved["port"]["fixed_ips"][0]["ip_address"] == "10.0.0.99"


async def test_a_small_pool_runs_dry_and_refills(cloud: Cloud) -> None:
    network = await cloud.make("networks")
    pool = [{"start": "10.5.0.10", "end": "10.5.0.13"}]
    await cloud.make(
        "subnets",
        network_id=network["id"],
        cidr="10.5.0.0/24",
        ip_version=4,
        allocation_pools=pool,
    )
    made = [await cloud.make("ports", network_id=network["id"]) for _ in range(3)]
    assert len({p["fixed_ips"][0]["ip_address"] for p in made}) == 3
    doc = {"port": {"network_id": network["id"]}}
    assert await cloud.error("POST", "/ports", doc, 409) == "IpAddressGenerationFailure"
    await cloud.ask("DELETE", f"/ports/{made[1]['id']}")
    again = await cloud.make("ports", network_id=network["id"])
    assert again["fixed_ips"] == made[1]["fixed_ips"]


async def test_addresses_are_never_given_twice(cloud: Cloud) -> None:
    network, _ = await cloud.tenant()
    made = await asyncio.gather(*(cloud.make("ports", network_id=network["id"]) for _ in range(60)))
    assert len({p["fixed_ips"][0]["ip_address"] for p in made}) == 60


async def test_pages_and_links(cloud: Cloud) -> None:
    for n in range(5):
        await cloud.make("networks", name=f"n{n}")
    first = await cloud.ask("GET", "/networks?limit=2&sort_key=name&sort_dir=desc")
    assert [n["name"] for n in first["networks"]] == ["n4", "n3"]
    assert [link["rel"] for link in first["networks_links"]] == ["next", "previous"]
    href = first["networks_links"][0]["href"].partition("/v2.0")[2]
    second = await cloud.ask("GET", href)
    assert [n["name"] for n in second["networks"]] == ["n2", "n1"]
    previous = next(link for link in second["networks_links"] if link["rel"] == "previous")
    back = await cloud.ask("GET", previous["href"].partition("/v2.0")[2])
    assert [n["name"] for n in back["networks"]] == ["n4", "n3"]
    assert (await cloud.ask("GET", "/networks?name=n1&name=n2&admin_state_up=True"))[
        "networks"
    ].__len__() == 2
    await cloud.ask("GET", "/networks?nonsense=1", status=400)


async def test_security_groups(cloud: Cloud) -> None:
    groups = (await cloud.ask("GET", "/security-groups"))["security_groups"]
    assert [g["name"] for g in groups] == ["default"]
    assert len(groups[0]["security_group_rules"]) == 4
    group = await cloud.make("security-groups", name="web")
    assert {r["direction"] for r in group["security_group_rules"]} == {"egress"}
    rule = {
        "security_group_id": group["id"],
        "direction": "ingress",
        "protocol": "tcp",
        "port_range_min": 22,
        "port_range_max": 22,
    }
    made = await cloud.make("security-group-rules", **rule)
    assert made["ethertype"] == "IPv4" and made["remote_ip_prefix"] is None
    from_some = rule | {"remote_ip_prefix": "10.2.3.124/24"}
    shown = await cloud.make("security-group-rules", **from_some)
    assert (shown["remote_ip_prefix"], shown["normalized_cidr"]) == ("10.2.3.124/24", "10.2.3.0/24")
    url = "/security-group-rules"
    refusals: list[tuple[dict[str, Any], int, str]] = [
        ({}, 409, "SecurityGroupRuleExists"),
        ({"remote_ip_prefix": "10.2.3.0/24"}, 409, "SecurityGroupRuleExists"),
        ({"port_range_max": 1}, 400, "SecurityGroupInvalidPortRange"),
        ({"protocol": "pinky"}, 400, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": None}, 400, "SecurityGroupProtocolRequiredWithPorts"),
        ({"remote_ip_prefix": "fd00::/64"}, 400, "SecurityGroupRuleParameterConflict"),
    ]
    for doc, status, kind in refusals:
        found = await cloud.error("POST", url, {"security_group_rule": rule | doc}, status)
        assert found == kind
    network, _ = await cloud.tenant()
    await cloud.make("ports", network_id=network["id"], security_groups=[group["id"]])
    path = f"/security-groups/{group['id']}"
    assert await cloud.error("DELETE", path, None, 409) == "SecurityGroupInUse"
    await cloud.error("DELETE", f"/security-groups/{groups[0]['id']}", None, 409)


async def test_router_and_floating_address(cloud: Cloud) -> None:
    network, subnet = await cloud.tenant()
    public, _ = await cloud.public()
    router = await cloud.make("routers", name="r")
    info = {"network_id": public["id"]}
    path = f"/routers/{router['id']}"
    port = await cloud.make("ports", network_id=network["id"])
    fip = await cloud.make("floatingips", floating_network_id=public["id"])
    assert fip["status"] == "DOWN" and fip["floating_ip_address"].startswith("172.24.4.")
    url = f"/floatingips/{fip['id']}"
    tie = {"floatingip": {"port_id": port["id"]}}
    assert await cloud.error("PUT", url, tie, 404) == "ExternalGatewayForFloatingIPNotFound"
    await cloud.ask("PUT", f"{path}/add_router_interface", {"subnet_id": subnet["id"]})
    await cloud.ask("PUT", f"{path}/add_router_interface", {"subnet_id": subnet["id"]}, status=400)
    shown = await cloud.ask("PUT", path, {"router": {"external_gateway_info": info}})
    assert shown["router"]["external_gateway_info"]["network_id"] == public["id"]
    tied = (await cloud.ask("PUT", url, tie))["floatingip"]
    assert tied["status"] == "ACTIVE" and tied["router_id"] == router["id"]
    assert tied["fixed_ip_address"] == port["fixed_ips"][0]["ip_address"]
    kind = await cloud.error(
        "PUT", f"{path}/remove_router_interface", {"subnet_id": subnet["id"]}, 409
    )
    assert kind == "RouterInterfaceInUseByFloatingIP"
    assert await cloud.error("DELETE", path, None, 409) == "RouterInUse"
    ports = (await cloud.ask("GET", f"/ports?device_id={router['id']}"))["ports"]
    assert await cloud.error("DELETE", f"/ports/{ports[0]['id']}", None, 409) == "ServicePortInUse"
    wanted = await Control(cloud.neutron).wanted(host="h1")
    assert wanted.routers[0].floating[0].fixed == tied["fixed_ip_address"]
    assert wanted.routers[0].gateway_ips == ["172.24.4.1"]
    external = next(n for n in wanted.networks if n.id == public["id"])
    assert external.bridge == "br-ex" and external.host_addresses[0].cidr == "172.24.4.1/24"
    await cloud.ask("DELETE", url)
    await cloud.ask("PUT", path, {"router": {"external_gateway_info": None}})
    await cloud.ask("PUT", f"{path}/remove_router_interface", {"subnet_id": subnet["id"]})
    await cloud.ask("DELETE", path)


async def test_quotas(cloud: Cloud) -> None:
    await cloud.ask("PUT", "/quotas/p", {"quota": {"network": 1}}, status=403)
    await cloud.ask("PUT", "/quotas/p", {"quota": {"network": 1}}, who="admin")
    await cloud.make("networks")
    assert await cloud.error("POST", "/networks", {"network": {}}, 409) == "OverQuota"
    shown = (await cloud.ask("GET", "/quotas/p/details"))["quota"]["network"]
    assert shown == {"limit": 1, "used": 1, "reserved": 0}
    assert await cloud.ask("GET", "/quotas/tenant") == {"tenant": {"tenant_id": "p"}}
    assert await cloud.ask("GET", "/quotas/project") == {"project": {"project_id": "p"}}
    less = {"network": 0, "check_limit": True}
    await cloud.ask("PUT", "/quotas/p", {"quota": less}, who="admin", status=400)
    await cloud.ask("PUT", "/quotas/p", {"quota": {**less, "force": True}}, who="admin")
    await cloud.ask("DELETE", "/quotas/p", who="admin")
    await cloud.make("networks")


async def test_what_there_is_may_be_filtered(cloud: Cloud) -> None:
    for path, count in (
        ("service-providers?service_type=VPN", 0),
        ("service-providers?service_type=L3_ROUTER_NAT", 1),
        ("availability_zones?resource=router&state=available", 1),
    ):
        (found,) = (await cloud.ask("GET", f"/{path}")).values()
        assert len(found) == count


async def test_an_external_network_without_subnets_is_a_gateway(cloud: Cloud) -> None:
    outside = await cloud.make("networks", who="admin@a", **{"router:external": True})
    gateway = {"network_id": outside["id"]}
    router = await cloud.make("routers", who="admin@a", external_gateway_info=gateway)
    assert router["external_gateway_info"]["external_fixed_ips"] == []
    wanted = await Control(cloud.neutron).wanted(host="h1")
    assert wanted.routers[0].gateway_ips == []
    (agent,) = (await cloud.ask("GET", "/agents?agent_type=L3 agent", who="admin"))["agents"]
    path, body = f"/agents/{agent['id']}/l3-routers", {"router_id": router["id"]}
    await cloud.ask("DELETE", f"{path}/{router['id']}", who="admin")
    assert await cloud.ask("POST", path, body, who="admin") is None
    await cloud.ask("DELETE", f"/routers/{router['id']}", who="admin@a")


async def test_a_mac_address_may_be_any_but_zero(cloud: Cloud) -> None:
    network, _ = await cloud.tenant()
    for mac, status in (("11:22:33:44:55:66", 201), ("00:00:00:00:00:00", 400)):
        body = {"port": {"network_id": network["id"], "mac_address": mac}}
        await cloud.ask("POST", "/ports", body, who="admin@p", status=status)


async def test_tags_and_if_match(cloud: Cloud) -> None:
    network = await cloud.make("networks")
    path = f"/networks/{network['id']}"
    await cloud.ask("PUT", f"{path}/tags", {"tags": ["red", "blue"]})
    assert await cloud.ask("PUT", f"{path}/tags/green", status=201) is None
    await cloud.ask("DELETE", f"{path}/tags/red")
    more = await cloud.ask("POST", f"{path}/tags", {"tags": ["green"]}, status=200)
    assert more == {"tags": ["green"]}
    for wrong in ({"tags": ["a", "a"]}, {"tags": "a"}, {"tags": ["a" * 256]}, {}):
        await cloud.ask("PUT", f"{path}/tags", wrong, status=400)
    assert (await cloud.ask("GET", f"{path}/tags"))["tags"] == ["blue", "green"]
    assert len((await cloud.ask("GET", "/networks?tags=blue,green"))["networks"]) == 1
    assert len((await cloud.ask("GET", "/networks?not-tags=blue"))["networks"]) == 0
    headers = {"X-Auth-Token": "member@p", "If-Match": "revision_number=99"}
    reply = await cloud.http.put(f"/v2.0{path}", json={"network": {}}, headers=headers)
    assert reply.status_code == 412


async def test_bulk_is_all_or_nothing(cloud: Cloud) -> None:
    docs = {"networks": [{"name": "a"}, {"name": "b"}]}
    assert len((await cloud.ask("POST", "/networks", docs))["networks"]) == 2
    docs["networks"].append({"name": "c", "mtu": 60000})  # type: ignore[dict-item]
    await cloud.ask("POST", "/networks", docs, status=400)
    assert len((await cloud.ask("GET", "/networks"))["networks"]) == 2


async def test_ports_of_a_server(cloud: Cloud) -> None:
    network, subnet = await cloud.tenant()
    nics = await cloud.provides.check(
        project_id="p", is_admin=False, requested=None, security_groups=[], count=1
    )
    assert nics == [RequestedNetwork(network_id=network["id"])]
    wish = {
        "server_id": "s1",
        "project_id": "p",
        "host": "h1",
        "availability_zone": "nova",
        "hostname": "vm",
        "requested": nics,
        "security_groups": ["default"],
    }
    first = await cloud.provides.ensure_ports(**wish)
    assert first == await cloud.provides.ensure_ports(**wish)
    assert first[0].bridge == "brq" + network["id"][:11] and first[0].vif_type == "bridge"
    assert first[0].addresses[0].cidr == "10.0.0.0/24"
    await cloud.provides.wire(server_id="s1", host="h1")
    assert f"port {first[0].port_id}" in cloud.plane.have
    assert f"dhcp {network['id']}" in cloud.plane.have
    await until_active(cloud, first[0].port_id)
    request = MetadataRequest(first[0].addresses[0].address, "/x", network_id=network["id"])
    reply = await Control(cloud.neutron).metadata(host="h1", request=request)
    assert reply.body.decode().startswith("s1 /x")
    assert (await cloud.provides.addresses(server_ids=["s1"]))["s1"][0].network_name == "n"
    assert await cloud.provides.security_groups(server_ids=["s1"]) == {"s1": ["default"]}
    await cloud.provides.release_ports(server_id="s1")
    await cloud.provides.release_ports(server_id="s1")
    assert await cloud.provides.ports(server_id="s1") == []
    await cloud.ask("DELETE", f"/networks/{network['id']}")
    assert subnet["network_id"] == network["id"]


async def until_active(cloud: Cloud, port_id: str, status: str = "ACTIVE") -> None:
    async with asyncio.timeout(5):
        while (await cloud.ask("GET", f"/ports/{port_id}"))["port"]["status"] != status:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_is_administratively_down_carries_nothing(cloud: Cloud) -> None:
    network, _ = await cloud.tenant()
    nics = [RequestedNetwork(network_id=network["id"])]
    wish = {"availability_zone": "nova", "hostname": "vm", "requested": nics}
    who = {"server_id": "s1", "project_id": "p", "host": "h1", "security_groups": []}
    (port,) = await cloud.provides.ensure_ports(**wish, **who)
    await cloud.provides.wire(server_id="s1", host="h1")
    found = await cloud.ask("GET", "/ports?device_owner=network:dhcp")
    key, one = port.port_id, f"/ports/{port.port_id}"
    served = found["ports"][0]["id"]
    for noun, at in (("port", one), ("network", f"/networks/{network['id']}")):
        for up, status in ((True, "ACTIVE"), (False, "DOWN"), (True, "ACTIVE")):
            await cloud.ask("PUT", at, {noun: {"admin_state_up": up}})
            await until_active(cloud, key, status)
            assert cloud.plane.have[f"port {key}"].admin_up is up  # type: ignore[attr-defined]
            assert (f"dhcp {network['id']}" in cloud.plane.have) is (up or noun == "port")
    for up, status in ((False, "DOWN"), (True, "ACTIVE")):
        await cloud.ask("PUT", f"/ports/{served}", {"port": {"admin_state_up": up}})
        await until_active(cloud, served, status)
        await cloud.provides.wire(server_id="s1", host="h1")
        assert (f"dhcp {network['id']}" in cloud.plane.have) is up


async def test_adopted_ports_outlive_the_server(cloud: Cloud) -> None:
    network, _ = await cloud.tenant()
    port = await cloud.make("ports", network_id=network["id"])
    nic = RequestedNetwork(port_id=port["id"])
    bound = await cloud.provides.ensure_ports(
        server_id="s2",
        project_id="p",
        host="h1",
        availability_zone="nova",
        hostname="vm",
        requested=[nic],
        security_groups=[],
    )
    assert bound[0].preexisting
    with pytest.raises(Conflict):
        await cloud.provides.check(
            project_id="p", is_admin=False, requested=[nic], security_groups=[], count=1
        )
    await cloud.provides.release_ports(server_id="s2")
    after = (await cloud.ask("GET", f"/ports/{port['id']}"))["port"]
    assert after["device_id"] == "" and after["status"] == "DOWN"


async def test_check_refuses(cloud: Cloud) -> None:
    async def check(requested: list[RequestedNetwork] | None, groups: list[str]) -> Any:
        return await cloud.provides.check(
            project_id="p", is_admin=False, requested=requested, security_groups=groups, count=1
        )

    assert await check(None, []) == []
    with pytest.raises(NotFound):
        await check([RequestedNetwork(network_id="00000000-0000-0000-0000-000000000000")], [])
    with pytest.raises(NotFound):
        await check([], ["nonesuch"])
    bare = await cloud.make("networks")
    with pytest.raises(BadRequest):
        await check([RequestedNetwork(network_id=bare["id"])], [])
    await cloud.tenant()
    await cloud.tenant()
    with pytest.raises(Conflict):
        await check(None, [])


async def test_subnet_pools(cloud: Cloud) -> None:
    pool = await cloud.make(
        "subnetpools", name="p", prefixes=["10.10.0.0/16"], default_prefixlen=26
    )
    network = await cloud.make("networks")
    made = await cloud.make(
        "subnets", network_id=network["id"], ip_version=4, subnetpool_id=pool["id"]
    )
    assert made["cidr"] == "10.10.0.0/26" and made["subnetpool_id"] == pool["id"]
    again = await cloud.make(
        "subnets", network_id=network["id"], subnetpool_id=pool["id"], prefixlen=24
    )
    assert again["cidr"].endswith("/24") and again["cidr"] != made["cidr"]
    await cloud.error("DELETE", f"/subnetpools/{pool['id']}", None, 409)
    one = f"/subnetpools/{pool['id']}"
    await cloud.ask("PUT", one, {"subnetpool": {"default_quota": 64 + 256 + 32}})
    subnet = {"subnet": {"network_id": network["id"], "subnetpool_id": pool["id"]}}
    assert await cloud.error("POST", "/subnets", subnet, 409) == "SubnetPoolQuotaExceeded"
    await cloud.make("subnets", **subnet["subnet"], prefixlen=27)
    admins = {"prefixes": ["10.0.0.0/8"], "is_default": True}
    first = await cloud.make("subnetpools", who="admin@a", **admins)
    await cloud.error("POST", "/subnetpools", {"subnetpool": admins}, 400, who="admin@a")
    same = {"subnetpool": {"is_default": True}}
    await cloud.ask("PUT", f"/subnetpools/{first['id']}", same, who="admin@a")
    await cloud.error("PUT", one, same, 400, who="admin@a")


async def test_pools_of_an_address_scope(cloud: Cloud) -> None:
    """They are its IP version's, do not overlap, and only its owner changes what is in them."""
    scope = await cloud.make("address-scopes", name="s", ip_version=4)
    pool = {"name": "p", "prefixes": ["20.0.0.0/18"], "address_scope_id": scope["id"]}
    first = await cloud.make("subnetpools", **pool)
    body = {"subnetpool": {**pool, "prefixes": ["20.0.32.0/24"]}}
    kind = await cloud.error("POST", "/subnetpools", body, 409)
    assert kind == "AddressScopePrefixConflict"
    await cloud.error("POST", "/subnetpools", body, 404, who="member@q")
    sixth = {"subnetpool": {**pool, "prefixes": ["fd00::/48"]}}
    await cloud.error("POST", "/subnetpools", sixth, 400)
    other = await cloud.make("subnetpools", name="o", prefixes=["30.0.0.0/18"])
    one = f"/subnetpools/{other['id']}"
    change = {"subnetpool": {"address_scope_id": scope["id"]}}
    await cloud.ask("PUT", one, change)
    wider = {"subnetpool": {"prefixes": ["30.0.0.0/18", "20.0.0.0/20"]}}
    await cloud.error("PUT", one, wider, 409)
    theirs = await cloud.make("address-scopes", name="t", ip_version=4, shared=True, who="admin@a")
    await cloud.ask("PUT", one, {"subnetpool": {"address_scope_id": theirs["id"]}})
    grown = {"subnetpool": {"prefixes": ["30.0.0.0/17"]}}
    assert await cloud.error("PUT", one, grown, 400) == "IllegalSubnetPoolUpdate"
    await cloud.ask("PUT", one, grown, who="admin@a")

    network = await cloud.make("networks", name="n")
    place = {"network_id": network["id"], "ip_version": 4}
    await cloud.make("subnets", **place, subnetpool_id=first["id"], prefixlen=26)
    seen = (await cloud.ask("GET", f"/networks/{network['id']}"))["network"]
    assert (seen["ipv4_address_scope"], seen["ipv6_address_scope"]) == (scope["id"], None)
    for wrong in ({"subnetpool_id": other["id"]}, {"cidr": "10.1.0.0/24"}):
        kind = await cloud.error("POST", "/subnets", {"subnet": {**place, **wrong}}, 400)
        assert kind == "NetworkAddressScopeAffinityError"
    network, _ = await cloud.tenant()
    mixed = {"network_id": network["id"], "ip_version": 4, "subnetpool_id": first["id"]}
    kind = await cloud.error("POST", "/subnets", {"subnet": mixed}, 400)
    assert kind == "NetworkSubnetPoolAffinityError"


async def test_stateful_and_stateless_groups_do_not_mix(cloud: Cloud) -> None:
    network, _ = await cloud.tenant()
    groups = [
        (await cloud.make("security-groups", name="g", stateful=flag))["id"]
        for flag in (True, False)
    ]
    port = {"port": {"network_id": network["id"], "security_groups": groups}}
    assert await cloud.error("POST", "/ports", port, 409) == "SecurityGroupConflict"
    made = await cloud.make("ports", network_id=network["id"], security_groups=groups[:1])
    both = {"port": {"security_groups": groups}}
    assert await cloud.error("PUT", f"/ports/{made['id']}", both, 409) == "SecurityGroupConflict"
    other = {"security_group": {"stateful": False}}
    one = f"/security-groups/{groups[0]}"
    assert await cloud.error("PUT", one, other, 409) == "SecurityGroupInUse"
    await cloud.ask("DELETE", f"/ports/{made['id']}")
    await cloud.ask("PUT", one, other)
    for protocol in ("ipv6-encap", 43, "ipv6-icmp"):
        rule = {"security_group_id": groups[0], "direction": "ingress", "protocol": protocol}
        await cloud.error("POST", "/security-group-rules", {"security_group_rule": rule}, 400)
    await cloud.ask("PUT", "/quotas/p", {"quota": {"security_group_rule": 9}}, who="admin")
    assert await cloud.error("POST", "/security-groups", {"security_group": {}}, 409) == "OverQuota"


async def test_a_mac_address_is_made_anew(cloud: Cloud) -> None:
    network, _ = await cloud.tenant()
    port = await cloud.make("ports", network_id=network["id"])
    anew = {"port": {"mac_address": None}}
    changed = (await cloud.ask("PUT", f"/ports/{port['id']}", anew))["port"]
    assert changed["mac_address"] != port["mac_address"]
    assert changed["mac_address"].startswith("fa:16:3e")


async def test_packets_of_a_subnet_fit_its_network(cloud: Cloud) -> None:
    network = await cloud.make("networks", mtu=67)
    fourth = {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24"}
    sixth = {"network_id": network["id"], "ip_version": 6, "cidr": "fd00::/64"}
    await cloud.error("POST", "/subnets", {"subnet": fourth}, 409)
    one = f"/networks/{network['id']}"
    await cloud.ask("PUT", one, {"network": {"mtu": 1279}})
    subnet = await cloud.make("subnets", **fourth)
    await cloud.error("POST", "/subnets", {"subnet": sixth}, 409)
    kind = await cloud.error("PUT", one, {"network": {"mtu": 67}}, 409)
    assert kind == "NetworkMTUSubnetConflict"
    before = (await cloud.ask("GET", one))["network"]["revision_number"]
    await cloud.ask("PUT", f"/subnets/{subnet['id']}", {"subnet": {"name": "x"}})
    await cloud.ask("DELETE", f"/subnets/{subnet['id']}")
    assert (await cloud.ask("GET", one))["network"]["revision_number"] == before + 2


async def test_a_floating_address_stays_in_its_project(cloud: Cloud) -> None:
    public, _ = await cloud.public()
    network, subnet = await cloud.tenant()
    router = await cloud.make("routers", external_gateway_info={"network_id": public["id"]})
    inner = {"subnet_id": subnet["id"]}
    await cloud.ask("PUT", f"/routers/{router['id']}/add_router_interface", inner)
    mine = await cloud.make("ports", network_id=network["id"])
    theirs = await cloud.make("ports", who="admin@a", network_id=network["id"], project_id="q")
    floating = await cloud.make("floatingips", floating_network_id=public["id"], port_id=mine["id"])
    one = f"/floatingips/{floating['id']}"
    await cloud.error("PUT", one, {"floatingip": {"port_id": theirs["id"]}}, 400)
    assert (await cloud.ask("PUT", one, {"floatingip": {}}))["floatingip"]["port_id"] is None
    other = {"port": {"network_id": network["id"], "project_id": "q"}}
    await cloud.error("POST", "/ports", other, 400)
    found = await cloud.ask("GET", "/security-groups?project_id=new", who="admin@a")
    assert [g["name"] for g in found["security_groups"]] == ["default"]


async def test_agents(cloud: Cloud) -> None:
    found = (await cloud.ask("GET", "/agents", who="admin"))["agents"]
    assert {a["agent_type"] for a in found} == {
        "DHCP agent",
        "L3 agent",
        "Linux bridge agent",
        "Metadata agent",
    }
    assert all(a["alive"] for a in found)
    assert (await cloud.ask("GET", "/agents"))["agents"] == []


SCHEMAS = (
    nouns.NETWORK,
    nouns.SUBNET,
    nouns.PORT,
    nouns.ROUTER,
    nouns.GROUP,
    nouns.RULE,
    nouns.FLOATING,
    nouns.SUBNETPOOL,
    nouns.ADDRESS_SCOPE,
)
JUNK: list[Any] = [
    None,
    True,
    -1,
    1.5,
    10**30,
    "",
    "x" * 300,
    "\n",
    "\U0001f600",
    [],
    [None],
    [{}],
    {},
    {"a": {}},
    ["10.0.0.0/99"],
    "::/0",
    "0.0.0.0/0",
]


async def test_junk_is_refused_and_never_breaks_anything(cloud: Cloud) -> None:
    network, subnet = await cloud.tenant()
    public, _ = await cloud.public()
    port = await cloud.make("ports", network_id=network["id"])
    router = await cloud.make("routers")
    base: dict[str, dict[str, Any]] = {
        "network": {},
        "subnet": {"network_id": network["id"], "cidr": "10.200.0.0/24", "ip_version": 4},
        "port": {"network_id": network["id"]},
        "router": {},
        "security_group": {"name": "g"},
        "security_group_rule": {
            "security_group_id": port["security_groups"][0],
            "direction": "ingress",
        },
        "floatingip": {"floating_network_id": public["id"]},
        "subnetpool": {"prefixes": ["10.0.0.0/8"]},
        "address_scope": {"ip_version": 4},
    }
    existing = {
        "network": network["id"],
        "subnet": subnet["id"],
        "port": port["id"],
        "router": router["id"],
    }
    headers = {"X-Auth-Token": "admin@p"}
    broken = []
    for schema in SCHEMAS:
        path = "/v2.0/" + schema.plural.replace("_", "-")
        for name in schema.attrs:
            for junk in JUNK:
                body = {schema.singular: {**base[schema.singular], name: junk}}
                reply = await cloud.http.post(path, json=body, headers=headers)
                broken += [f"POST {path} {name}={junk!r}"] if reply.status_code >= 500 else []
                if key := existing.get(schema.singular):
                    body = {schema.singular: {name: junk}}
                    reply = await cloud.http.put(f"{path}/{key}", json=body, headers=headers)
                    broken += [f"PUT {path} {name}={junk!r}"] if reply.status_code >= 500 else []
    assert broken == []
    for body in JUNK:
        for verb in ("add_router_interface", "remove_router_interface", "add_extraroutes"):
            url = f"/v2.0/routers/{router['id']}/{verb}"
            for doc in (body, {"subnet_id": body}, {"port_id": body}, {"router": body}):
                reply = await cloud.http.put(url, json=doc, headers=headers)
                assert reply.status_code < 500, f"{verb} {doc!r}: {reply.text}"
    for name in ("limit", "marker", "sort_key", "page_reverse", "fields", "mtu", "shared", "id"):
        for value in ("", "x", "-1", "999999999999999999999", "\u0000"):
            reply = await cloud.http.get("/v2.0/networks", params={name: value}, headers=headers)
            assert reply.status_code < 500, f"{name}={value!r}: {reply.text}"
    wanted = await Control(cloud.neutron).wanted(host="h1")
    assert wanted.host == "h1"


async def test_readers_change_nothing_and_strangers_see_nothing(cloud: Cloud) -> None:
    network, subnet = await cloud.tenant()
    port = await cloud.make("ports", network_id=network["id"])
    router = await cloud.make("routers")
    group = await cloud.make("security-groups", name="web")
    things = {
        "networks": network["id"],
        "subnets": subnet["id"],
        "ports": port["id"],
        "routers": router["id"],
        "security-groups": group["id"],
    }
    bodies: dict[str, dict[str, Any]] = {
        "networks": {},
        "subnets": {"network_id": network["id"], "cidr": "10.9.0.0/24"},
        "ports": {"network_id": network["id"]},
        "routers": {},
        "security-groups": {"name": "x"},
    }
    for plural, key in things.items():
        singular = plural.rstrip("s").replace("-", "_")
        path = f"/{plural}/{key}"
        await cloud.ask("GET", path, who="reader@p")
        doc = {singular: bodies[plural]}
        await cloud.ask("POST", f"/{plural}", doc, who="reader@p", status=403)
        await cloud.ask("PUT", path, {singular: {"name": "x"}}, who="reader@p", status=403)
        await cloud.ask("DELETE", path, who="reader@p", status=403)
        await cloud.ask("PUT", f"{path}/tags/t", who="reader@p", status=403)
        await cloud.ask("GET", path, who="member@q", status=404)
        await cloud.ask("PUT", path, {singular: {"name": "x"}}, who="member@q", status=404)
        await cloud.ask("DELETE", path, who="member@q", status=404)
        stranger = await cloud.ask("GET", f"/{plural}", who="member@q")
        shown = stranger[plural.replace("-", "_")]
        assert key not in [one["id"] for one in shown]
    foreign = {"port": {"network_id": network["id"]}}
    await cloud.ask("POST", "/ports", foreign, who="member@q", status=404)


async def test_every_route_answers_without_breaking(cloud: Cloud) -> None:
    absent = "6f70656e-7374-6163-6b00-000000000000"
    for route in manifest.api.routes():
        url = re.sub(r"{\w+}", absent, route.path) or "/"
        for who in ("admin", "member", "reader"):
            reply = await cloud.http.request(
                route.method, url, json={}, headers={"X-Auth-Token": who}
            )
            assert reply.status_code < 500, (who, route.method, route.path, reply.text)
        if not route.public:
            assert (await cloud.http.request(route.method, url)).status_code == 401


async def test_a_host_whose_clock_is_off_is_reported(cloud: Cloud) -> None:
    control = network_control.at(cloud.neutron.bus)
    agent = AgentReport("Linux bridge agent", "neutron-linuxbridge-agent", {})
    for off_s, shown in ((0.5, None), (-90.0, -90.0)):
        now = cloud.neutron.clock.now() + off_s
        await control.report(host="late", agents=[agent], ports_up=[], now=now)
        found = await cloud.ask("GET", "/agents?host=late", who="admin@p")
        (one,) = found["agents"]
        assert one["configurations"].get("clock_off_s") == pytest.approx(shown, abs=1.0)

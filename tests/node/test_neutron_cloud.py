"""neutron-server and a real host together: from API calls to packets, and nothing left over."""

import asyncio
import json
import secrets
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from aerostat.contracts.compute import MetadataReply, metadata
from aerostat.contracts.network import BoundPort, RequestedNetwork
from aerostat.kit.bus.embedded import EmbeddedBus
from aerostat.kit.clock import SystemClock
from aerostat.kit.context import Context
from aerostat.kit.db.migrate import upgrade
from aerostat.kit.db.sqlite import SqliteDatabase
from aerostat.kit.http.edge import Api
from aerostat.kit.http.policy import Policy
from aerostat.services.neutron.agent.endpoint import network_control
from aerostat.services.neutron.agent.node import NetworkAgent
from aerostat.services.neutron.config import NetworkAgentConfig
from aerostat.services.neutron.drivers.linuxbridge.driver import LinuxBridge
from aerostat.services.neutron.provides import Control, NetworkProvider
from aerostat.services.neutron.runtime import build
from aerostat.services.neutron.service import manifest

pytestmark = pytest.mark.root


def run(*args: str, ok: bool = True) -> str:
    done = subprocess.run(args, capture_output=True, text=True, timeout=15, check=False)
    if ok and done.returncode:
        raise AssertionError(f"{args}: {done.stdout}{done.stderr}")
    return done.stdout


def everything() -> set[str]:
    links = {link["ifname"] for link in json.loads(run("ip", "-j", "link"))}
    spaces = {line.split()[0] for line in run("ip", "netns").splitlines()}
    return links | spaces


class Nova:
    async def get(self, *, server_id: str, path: str, address: str) -> MetadataReply:
        return MetadataReply(200, "text/plain", f"{server_id} {path} {address}".encode())


async def _authenticate(token: str) -> Context:
    roles = ("admin", "manager", "member", "reader")
    return Context("", user_id="u", project_id="p", roles=roles)


@dataclass
class Cloud:
    http: httpx.AsyncClient
    provider: NetworkProvider
    control: Control
    config: NetworkAgentConfig
    start: Callable[[], Any]
    tag: str

    async def make(self, noun: str, **values: Any) -> dict[str, Any]:
        reply = await self.http.post(f"/v2.0/{noun}", json={noun.rstrip("s"): values})
        assert reply.status_code == 201, reply.text
        return dict(reply.json()[noun.rstrip("s")])

    async def put(self, path: str, doc: Any) -> dict[str, Any]:
        reply = await self.http.put(f"/v2.0{path}", json=doc)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    async def delete(self, path: str) -> None:
        reply = await self.http.delete(f"/v2.0{path}")
        assert reply.status_code == 204, reply.text


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    tag = "c" + secrets.token_hex(3)
    db, bus = SqliteDatabase(tmp_path / "db"), EmbeddedBus()
    await upgrade(db, "neutron", manifest.migrations)
    neutron = build(db, bus, SystemClock())
    control = Control(neutron)
    network_control.serve(bus, control)
    metadata.serve(bus, Nova())
    config = NetworkAgentConfig(
        state_dir=str(tmp_path / "agent"),
        tag=tag,
        bridge_mappings={"public": "x" + tag},
        own_bridges=["x" + tag],
    )
    api = Api(manifest.api, neutron, Policy(manifest.rules), _authenticate)
    transport = httpx.ASGITransport(app=api)
    agent = NetworkAgent(bus, "h", config)
    await agent.start()
    await agent.ensure(port_ids=[], revision=0)
    headers = {"X-Auth-Token": "t"}
    async with httpx.AsyncClient(transport=transport, base_url="http://n", headers=headers) as http:
        yield Cloud(http, NetworkProvider(neutron), control, config, agent.start, tag)
    await agent.close()
    await db.close()
    run("ip", "netns", "del", f"g-{tag}", ok=False)
    await asyncio.to_thread(LinuxBridge(config).purge)


async def boot(cloud: Cloud, network_id: str) -> BoundPort:
    """Do what nova does for a server, with a namespace in the guest's place."""
    found = await cloud.provider.ensure_ports(
        server_id="s1",
        project_id="p",
        host="h",
        availability_zone="nova",
        hostname="vm",
        requested=[RequestedNetwork(network_id=network_id)],
        security_groups=[],
    )
    await cloud.provider.wire(server_id="s1", host="h")
    port, space = found[0], f"g-{cloud.tag}"
    await asyncio.to_thread(plug, port, space)
    return port


def plug(port: BoundPort, space: str) -> None:
    run("ip", "netns", "add", space)
    run("ip", "link", "add", port.tap, "type", "veth", "peer", "eth0", "netns", space)
    run("ip", "netns", "exec", space, "ip", "link", "set", "eth0", "address", port.mac, "up")
    run("ip", "link", "set", port.tap, "master", port.bridge, "up")


async def shell(space: str, command: str) -> str:
    return await asyncio.to_thread(run, "ip", "netns", "exec", space, "sh", "-c", command)


async def active(cloud: Cloud, port_id: str) -> None:
    async with asyncio.timeout(10):
        while True:
            shown = (await cloud.http.get(f"/v2.0/ports/{port_id}")).json()["port"]
            if shown["status"] == "ACTIVE":
                return
            await asyncio.sleep(0.02)


UDHCPC = """cat > {dir}/up <<'X'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev eth0
ip route add default via $router
X
chmod +x {dir}/up; busybox udhcpc -i eth0 -n -q -f -t 8 -T 1 -s {dir}/up"""


async def test_from_api_to_packets_and_back_to_nothing(cloud: Cloud, tmp_path: Path) -> None:
    before = everything()
    octet = secrets.randbelow(200) + 20
    public = await cloud.make(
        "networks",
        name="public",
        **{
            "router:external": True,
            "provider:network_type": "flat",
            "provider:physical_network": "public",
        },
    )
    outer = await cloud.make(
        "subnets", network_id=public["id"], cidr=f"172.26.{octet}.0/24", enable_dhcp=False
    )
    network = await cloud.make("networks", name="n")
    subnet = await cloud.make("subnets", network_id=network["id"], cidr="10.88.0.0/24")
    gateway = {"network_id": public["id"]}
    router = await cloud.make("routers", external_gateway_info=gateway)
    path = f"/routers/{router['id']}"
    await cloud.put(f"{path}/add_router_interface", {"subnet_id": subnet["id"]})
    port = await boot(cloud, network["id"])
    await active(cloud, port.port_id)
    space = f"g-{cloud.tag}"
    await shell(space, UDHCPC.format(dir=tmp_path))
    said = await shell(space, "busybox wget -qO- http://169.254.169.254/2009-04-04/")
    assert said == f"s1 /2009-04-04/ {port.addresses[0].address}"
    assert "1 received" in await shell(space, f"ping -c1 -W2 {outer['gateway_ip']}")
    floating = await cloud.make(
        "floatingips", floating_network_id=public["id"], port_id=port.port_id
    )
    groups = (await cloud.http.get("/v2.0/security-groups?project_id=p")).json()["security_groups"]
    rule = {"direction": "ingress", "protocol": "icmp", "security_group_id": groups[0]["id"]}
    reply = await cloud.http.post("/v2.0/security-group-rules", json={"security_group_rule": rule})
    assert reply.status_code == 201
    await reachable(floating["floating_ip_address"])
    wanted = await cloud.control.wanted(host="h")
    plane = LinuxBridge(cloud.config)
    assert await asyncio.to_thread(plane.differences, wanted) == []
    assert await asyncio.to_thread(lambda: plane.sync(wanted).changes) == []
    await cloud.delete(f"/floatingips/{floating['id']}")
    await cloud.provider.release_ports(server_id="s1")
    run("ip", "netns", "del", space)
    await cloud.put(f"{path}/remove_router_interface", {"subnet_id": subnet["id"]})
    await cloud.delete(path)
    await cloud.delete(f"/networks/{network['id']}")
    await cloud.delete(f"/networks/{public['id']}")
    async with asyncio.timeout(15):
        while everything() - before:  # noqa: ASYNC110 - a condition of the machine
            await asyncio.sleep(0.05)


async def reachable(address: str) -> None:
    async with asyncio.timeout(10):
        while "1 received" not in await asyncio.to_thread(
            run, "ping", "-c1", "-W1", address, ok=False
        ):
            pass

"""The Linux bridge data plane on real bridges, namespaces and filters, with pseudo guests."""

import asyncio
import json
import secrets
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from aerostat.contracts.compute import MetadataReply
from aerostat.kit.bus.embedded import EmbeddedBus
from aerostat.services.neutron.agent.endpoint import (
    AgentReport,
    MetadataRequest,
    apart,
    network_control,
    network_host,
)
from aerostat.services.neutron.agent.node import NetworkAgent
from aerostat.services.neutron.config import AGENTS, NetworkAgentConfig
from aerostat.services.neutron.domain.addresses import eui64
from aerostat.services.neutron.drivers.linuxbridge.driver import LinuxBridge
from aerostat.services.neutron.model.wanted import (
    Address,
    AdvertisedPrefix,
    DhcpHost,
    DhcpSubnet,
    DhcpWanted,
    FloatingWanted,
    NetworkWanted,
    PortWanted,
    RouterPort,
    RouterWanted,
    RuleWanted,
    SecurityGroupWanted,
    Wanted,
    bridge_name,
    tap_name,
)

pytestmark = pytest.mark.root


def run(*args: str, ok: bool = True) -> str:
    done = subprocess.run(args, capture_output=True, text=True, timeout=10, check=False)
    if ok and done.returncode:
        raise AssertionError(f"{args}: {done.stdout}{done.stderr}")
    return done.stdout if done.returncode == 0 else ""


def inside(namespace: str, *args: str, ok: bool = True) -> str:
    return run("ip", "netns", "exec", namespace, *args, ok=ok)


def works(namespace: str, *args: str) -> bool:
    command = ["ip", "netns", "exec", namespace, *args]
    return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0


def mac() -> str:
    return "fa:16:3e:" + ":".join(secrets.token_hex(1) for _ in range(3))


class World:
    """One tenant network with two guests, a router and an external network on an own bridge."""

    def __init__(self, directory: Path) -> None:
        self.tag = "t" + secrets.token_hex(3)
        self.octet = secrets.randbelow(200) + 20
        self.config = NetworkAgentConfig(
            state_dir=str(directory),
            tag=self.tag,
            bridge_mappings={"public": "x" + self.tag},
            own_bridges=["x" + self.tag],
        )
        self.net, self.ext, self.group = (str(uuid.uuid4()) for _ in range(3))
        self.router, self.dhcp_port = str(uuid.uuid4()), str(uuid.uuid4())
        self.subnet = str(uuid.uuid4())
        self.guests = [self._guest(n) for n in (1, 2)]
        self.guest_namespaces = [f"g{n}-{self.tag}" for n in (1, 2)]
        self.qr, self.qg = (
            RouterPort(
                str(uuid.uuid4()),
                self.net,
                mac(),
                bridge_name(self.net),
                1450,
                [Address("10.77.0.1", 24)],
            ),
            RouterPort(
                str(uuid.uuid4()),
                self.ext,
                mac(),
                "x" + self.tag,
                1500,
                [Address(self.public(2), 24)],
            ),
        )

    def public(self, last: int) -> str:
        return f"172.25.{self.octet}.{last}"

    def _guest(self, number: int) -> PortWanted:
        port_id = str(uuid.uuid4())
        return PortWanted(
            port_id,
            self.net,
            mac(),
            tap_name(port_id),
            bridge_name(self.net),
            1450,
            [Address(f"10.77.0.{10 + number}", 24)],
            security_groups=[self.group],
        )

    def wanted(self, rules: list[RuleWanted], revision: int = 1) -> Wanted:
        net = NetworkWanted(
            self.net,
            "vxlan",
            bridge_name(self.net),
            1450,
            None,
            500000 + self.octet,
            ["10.250.0.9"],
            [("fa:16:3e:99:99:99", "10.250.0.9")],
        )
        ext = NetworkWanted(
            self.ext,
            "flat",
            "x" + self.tag,
            1500,
            "public",
            host_addresses=[Address(self.public(1), 24)],
        )
        subnet = DhcpSubnet(self.subnet, "10.77.0.0/24", 4, "10.77.0.1", ["9.9.9.9"])
        hosts = [
            DhcpHost(g.id, g.mac, g.addresses[0].ip, f"guest-{n}", self.subnet)
            for n, g in enumerate(self.guests, 1)
        ]
        dhcp = DhcpWanted(
            self.net,
            self.dhcp_port,
            "fa:16:3e:00:00:05",
            bridge_name(self.net),
            1450,
            [Address("10.77.0.2", 24)],
            [subnet],
            hosts,
        )
        router = RouterWanted(
            self.router,
            [self.qr],
            self.qg,
            [self.public(1)],
            floating=[FloatingWanted(self.public(10), "10.77.0.11")],
        )
        groups = [SecurityGroupWanted(self.group, rules)]
        members = {self.group: [a.ip for g in self.guests for a in g.addresses]}
        return Wanted("h", revision, [net, ext], self.guests, groups, members, [dhcp], [router])

    def plug(self) -> None:
        """Do what a hypervisor does: make the taps and put them on the bridge."""
        for guest, namespace in zip(self.guests, self.guest_namespaces, strict=True):
            run("ip", "netns", "add", namespace)
            run("ip", "link", "add", guest.tap, "type", "veth", "peer", "eth0", "netns", namespace)
            inside(namespace, "ip", "link", "set", "eth0", "address", guest.mac, "up")
            inside(namespace, "ip", "link", "set", "lo", "up")
            run("ip", "link", "set", guest.tap, "master", guest.bridge, "up")

    def configure(self) -> None:
        for guest, namespace in zip(self.guests, self.guest_namespaces, strict=True):
            cidr = guest.addresses[0].cidr
            inside(namespace, "ip", "addr", "replace", cidr, "dev", "eth0")
            inside(namespace, "ip", "route", "replace", "default", "via", "10.77.0.1")

    def clean(self) -> None:
        for namespace in self.guest_namespaces:
            run("ip", "netns", "del", namespace, ok=False)
        LinuxBridge(self.config).purge()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.clean()


EGRESS = RuleWanted("egress", "IPv4")
SSH = RuleWanted("ingress", "IPv4", 6, 22, 22)
PING = RuleWanted("ingress", "IPv4", 1)


def ping(namespace: str, address: str) -> bool:
    return works(namespace, "ping", "-c1", "-W1", address)


def test_second_run_and_restart_change_nothing(world: World) -> None:
    wanted = world.wanted([EGRESS, PING])
    plane = LinuxBridge(world.config)
    first = plane.sync(wanted)
    assert first.failed == {} and first.changes and first.plugged == []
    assert plane.sync(wanted).changes == []
    world.plug()
    third = plane.sync(wanted)
    assert sorted(third.plugged) == sorted(p.id for p in world.guests)
    fourth = LinuxBridge(world.config).sync(wanted)
    assert fourth.changes == [] and fourth.failed == {}


def test_nothing_goes_through_a_port_that_is_down(world: World) -> None:
    plane, wanted = LinuxBridge(world.config), world.wanted([EGRESS, PING])
    plane.sync(wanted)
    world.plug()
    world.configure()
    plane.sync(wanted)
    first, second = world.guests
    _, sender = world.guest_namespaces
    address = first.addresses[0].ip
    assert ping(sender, address)
    down = [structs.replace(first, admin_up=False), second]
    done = plane.sync(structs.replace(wanted, ports=down))
    assert (done.changes, done.plugged) == ([f"{first.tap} down"], [second.id])
    assert not ping(sender, address)
    assert plane.sync(structs.replace(wanted, ports=down)).changes == []
    assert plane.sync(wanted).changes == [f"{first.tap} up"]
    assert ping(sender, address)


def test_removal_leaves_nothing(world: World) -> None:
    before = _everything()
    plane = LinuxBridge(world.config)
    plane.sync(world.wanted([EGRESS]))
    assert _everything() != before
    plane.purge()
    assert _everything() - before == set()


def _everything() -> set[str]:
    links = {link["ifname"] for link in json.loads(run("ip", "-j", "link"))}
    spaces = {line.split()[0] for line in run("ip", "netns").splitlines()}
    return links | spaces | set(run("nft", "list", "tables").splitlines())


def test_dhcp_gives_the_address(world: World, tmp_path: Path) -> None:
    LinuxBridge(world.config).sync(world.wanted([EGRESS]))
    world.plug()
    script = tmp_path / "udhcpc"
    script.write_text("#!/bin/sh\nenv > " + str(tmp_path / "lease") + "\n")
    script.chmod(0o755)
    inside(
        world.guest_namespaces[0],
        "busybox",
        "udhcpc",
        "-i",
        "eth0",
        "-n",
        "-q",
        "-f",
        "-t",
        "5",
        "-T",
        "1",
        "-O",
        "mtu",
        "-s",
        str(script),
    )
    lease = dict(
        line.split("=", 1) for line in (tmp_path / "lease").read_text().splitlines() if "=" in line
    )
    assert lease["ip"] == "10.77.0.11" and lease["router"] == "10.77.0.1"
    assert lease["dns"] == "9.9.9.9" and lease["mtu"] == "1450"
    assert lease["hostname"] == "guest-1"


def test_security_groups_are_stateful_and_stop_spoofing(world: World) -> None:
    plane = LinuxBridge(world.config)
    plane.sync(world.wanted([EGRESS]))
    world.plug()
    world.configure()
    one, two = world.guest_namespaces
    assert ping(one, "10.77.0.1")
    assert not ping(one, "10.77.0.12")
    plane.sync(world.wanted([EGRESS, PING]))
    assert ping(one, "10.77.0.12") and ping(two, "10.77.0.11")
    inside(one, "ip", "addr", "add", "10.77.0.99/24", "dev", "eth0")
    assert not works(one, "ping", "-c1", "-W1", "-I", "10.77.0.99", "10.77.0.12")
    assert not works(one, "arping", "-c1", "-w1", "-I", "eth0", "-s", "10.77.0.99", "10.77.0.12")
    assert works(one, "arping", "-c1", "-w2", "-I", "eth0", "-s", "10.77.0.11", "10.77.0.12")
    inside(one, "ip", "link", "set", "eth0", "address", "fa:16:3e:00:00:66")
    assert not ping(one, "10.77.0.12")
    inside(one, "ip", "link", "set", "eth0", "address", world.guests[0].mac)
    remote = RuleWanted("ingress", "IPv4", remote_group=world.group)
    plane.sync(world.wanted([EGRESS, remote]))
    assert ping(one, "10.77.0.12")
    assert plane.sync(world.wanted([EGRESS, remote])).changes == []
    plane.sync(world.wanted([PING]))
    assert not ping(one, "10.77.0.12")


def test_stateless_groups_judge_each_packet(world: World) -> None:
    """An answer passes a stateful group by itself, a stateless one by a rule of its own."""
    plane, wanted = LinuxBridge(world.config), world.wanted([EGRESS])
    plane.sync(wanted)
    world.plug()
    world.configure()
    first, second = world.guests
    asker, _ = world.guest_namespaces
    address, free = second.addresses[0].ip, str(uuid.uuid4())
    guests = [first, structs.replace(second, security_groups=[free])]
    pinged = SecurityGroupWanted(free, [EGRESS, PING], stateful=False)

    def answered(group: SecurityGroupWanted) -> bool:
        groups = [group, pinged]
        done = plane.sync(structs.replace(wanted, ports=guests, security_groups=groups))
        assert done.failed == {}
        return ping(asker, address)

    rules = [EGRESS]
    assert answered(SecurityGroupWanted(world.group, rules))
    assert not answered(SecurityGroupWanted(world.group, rules, stateful=False))
    assert answered(SecurityGroupWanted(world.group, [EGRESS, PING], stateful=False))
    silent = SecurityGroupWanted(free, [PING], stateful=False)
    pinged = silent
    assert not answered(SecurityGroupWanted(world.group, rules))
    pinged = SecurityGroupWanted(free, [PING])
    assert answered(SecurityGroupWanted(world.group, rules))


def test_router_snat_and_floating_address(world: World) -> None:
    plane = LinuxBridge(world.config)
    assert plane.sync(world.wanted([EGRESS])).failed == {}
    world.plug()
    world.configure()
    assert ping(world.guest_namespaces[1], world.public(1))
    assert not _host_ping(world.public(10))
    plane.sync(world.wanted([EGRESS, PING]))
    assert _host_ping(world.public(10))
    assert ping(world.guest_namespaces[1], world.public(10))
    without = world.wanted([EGRESS, PING])
    without = msgspec.structs.replace(
        without, routers=[msgspec.structs.replace(without.routers[0], floating=[])]
    )
    plane.sync(without)
    assert not _host_ping(world.public(10))


def _host_ping(address: str) -> bool:
    done = subprocess.run(["ping", "-c1", "-W1", address], capture_output=True, check=False)
    return done.returncode == 0


class Control:
    """neutron-server in a page."""

    def __init__(self, wanted: Wanted) -> None:
        self.state = wanted
        self.requests: list[MetadataRequest] = []
        self.up: list[str] = []
        self.agents: dict[str, object] = {}

    async def wanted(self, *, host: str) -> Wanted:
        return self.state

    async def report(
        self, *, host: str, agents: list[AgentReport], ports_up: list[str] | None, now: float
    ) -> None:
        self.agents |= {one.binary: one.configurations.get("apart", False) for one in agents}
        self.up = self.up if ports_up is None else ports_up

    async def metadata(self, *, host: str, request: MetadataRequest) -> MetadataReply:
        self.requests.append(request)
        return MetadataReply(200, "text/plain", request.path.encode())


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - a condition of the machine
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("parts", [[AGENTS], [AGENTS[3:], AGENTS[1:3], AGENTS[:1]]])
async def test_agents_wire_report_and_serve_metadata(
    world: World, parts: list[tuple[str, ...]]
) -> None:
    """In one process, and in several of which the bridge agent's comes last."""
    bus, control = EmbeddedBus(), Control(world.wanted([EGRESS]))
    network_control.serve(bus, control)
    agents = [
        NetworkAgent(bus, "h", msgspec.structs.replace(world.config, agents=list(part)))
        for part in parts
    ]
    serving, agent = agents[0], agents[-1]
    for one in agents:
        await one.start()
    try:
        await agent.ensure(port_ids=[g.id for g in world.guests], revision=1)
        await until(lambda: len(control.agents) == len(AGENTS))
        lonely = [name for part in parts[:-1] for name in part]
        assert [name for name in AGENTS if control.agents[name]] == sorted(lonely, key=AGENTS.index)
        await asyncio.to_thread(world.plug)
        await until(lambda: len(control.up) == 2)
        await asyncio.to_thread(world.configure)
        await until(lambda: len(serving._metadata.namespaces()) == 2)
        one = world.guest_namespaces[0]
        body = await asyncio.to_thread(
            inside, one, "busybox", "wget", "-qO-", "http://169.254.169.254/via-router"
        )
        assert body == "/via-router"
        assert control.requests[-1].router_id == world.router
        assert control.requests[-1].address == "10.77.0.11"
        await asyncio.to_thread(
            inside, one, "ip", "route", "add", "169.254.169.254/32", "via", "10.77.0.2"
        )
        body = await asyncio.to_thread(
            inside, one, "busybox", "wget", "-qO-", "http://169.254.169.254/isolated"
        )
        assert body == "/isolated" and control.requests[-1].network_id == world.net
        control.state = Wanted("h", 2)
        for told in [network_host, *apart.values()][: 1 if len(parts) == 1 else 4]:
            await told.at(bus, "h").changed(revision=2)
        await until(lambda: not serving._metadata.namespaces())
        async with asyncio.timeout(20):
            while await agent.audit():  # noqa: ASYNC110 - a condition of the machine
                await asyncio.sleep(0.02)
    finally:
        for one in agents:
            await one.close()


RUN_AND_DIE = """
import sys, msgspec, os, threading, time
from aerostat.services.neutron.config import NetworkAgentConfig
from aerostat.services.neutron.drivers.linuxbridge.driver import LinuxBridge
from aerostat.services.neutron.model.wanted import Wanted
config, wanted, delay = sys.argv[1:]
plane = LinuxBridge(msgspec.json.decode(config, type=NetworkAgentConfig))
threading.Thread(target=lambda: (time.sleep(float(delay)), os.kill(os.getpid(), 9))).start()
plane.sync(msgspec.json.decode(wanted, type=Wanted))
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("delay_ms", [2, 8, 15, 30, 45, 60, 80, 110, 150])
def test_a_kill_anywhere_is_healed_by_the_next_run(world: World, delay_ms: int) -> None:
    wanted = world.wanted([EGRESS, PING])
    config, text = msgspec.json.encode(world.config), msgspec.json.encode(wanted)
    command = [sys.executable, "-c", RUN_AND_DIE, config, text, str(delay_ms / 1000)]
    subprocess.run(command, timeout=30, check=False, capture_output=True)
    plane = LinuxBridge(world.config)
    assert plane.sync(wanted).failed == {}
    assert plane.sync(wanted).changes == []
    assert plane.differences(wanted) == []
    world.plug()
    world.configure()
    assert ping(world.guest_namespaces[1], world.public(1))


def test_router_advertises_and_guests_make_their_addresses(world: World) -> None:
    wanted = world.wanted([EGRESS, PING, RuleWanted("egress", "IPv6"), PING6])
    inner = msgspec.structs.replace(
        world.qr,
        addresses=[*world.qr.addresses, Address("fd77::1", 64)],
        advertise=[AdvertisedPrefix("fd77::/64", "slaac", ["fd77::53"])],
    )
    guests = [
        msgspec.structs.replace(g, addresses=[*g.addresses, Address(eui64("fd77::/64", g.mac), 64)])
        for g in wanted.ports
    ]
    router = msgspec.structs.replace(wanted.routers[0], ports=[inner])
    wanted = msgspec.structs.replace(wanted, routers=[router], ports=guests)
    plane = LinuxBridge(world.config)
    assert plane.sync(wanted).failed == {}
    assert plane.sync(wanted).changes == []
    world.plug()
    one, two = world.guest_namespaces
    deadline = time.monotonic() + 15
    while not all("fd77::" in inside(g, "ip", "-6", "addr") for g in (one, two)):
        assert time.monotonic() < deadline
    while "tentative" in inside(one, "ip", "-6", "addr") + inside(two, "ip", "-6", "addr"):
        assert time.monotonic() < deadline
    assert works(one, "ping", "-6", "-c1", "-W2", "fd77::1")
    assert works(one, "ping", "-6", "-c1", "-W2", eui64("fd77::/64", world.guests[1].mac))
    inside(one, "ip", "-6", "addr", "add", "fd77::bad/64", "dev", "eth0", "nodad")
    assert not works(one, "ping", "-6", "-c1", "-W1", "-I", "fd77::bad", "fd77::1")


PING6 = RuleWanted("ingress", "IPv6", 58)

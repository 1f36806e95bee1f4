"""Two hosts (a namespace each) and a VXLAN network over both."""

import secrets
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerostat.services.neutron.config import NetworkAgentConfig
from aerostat.services.neutron.drivers.base import Applied
from aerostat.services.neutron.drivers.linuxbridge.driver import LinuxBridge
from aerostat.services.neutron.drivers.linuxbridge.netlink import inside
from aerostat.services.neutron.model.wanted import (
    Address,
    NetworkWanted,
    PortWanted,
    RuleWanted,
    SecurityGroupWanted,
    Wanted,
    bridge_name,
    tap_name,
)

pytestmark = pytest.mark.root
MTU = 1400


def run(*args: str, ok: bool = True) -> bool:
    done = subprocess.run(args, capture_output=True, text=True, timeout=15, check=False)
    assert not ok or done.returncode == 0, f"{args}: {done.stderr}"
    return done.returncode == 0


class Host:
    """A namespace that plays a host with one guest."""

    def __init__(self, number: int, tag: str, network: str, directory: Path) -> None:
        self.space, self.guest_space = f"h{number}-{tag}", f"v{number}-{tag}"
        self.ip = f"10.99.0.{number}"
        port = str(uuid.uuid4())
        self.port = PortWanted(
            port,
            network,
            f"fa:16:3e:aa:00:0{number}",
            tap_name(port),
            bridge_name(network),
            MTU,
            [Address(f"10.66.0.{number}", 24)],
            security_groups=["g"],
        )
        config = NetworkAgentConfig(
            state_dir=str(directory / self.space), tag=tag, local_ip=self.ip
        )
        self.plane = LinuxBridge(config)

    def sync(self, network: str, other: "Host") -> Applied:
        net = NetworkWanted(
            network,
            "vxlan",
            bridge_name(network),
            MTU,
            vni=4242,
            peers=[other.ip],
            remote_macs=[(other.port.mac, other.ip)],
        )
        rules = [RuleWanted("egress", "IPv4"), RuleWanted("ingress", "IPv4", remote_group="g")]
        members = {"g": [a.ip for h in (self, other) for a in h.port.addresses]}
        groups = [SecurityGroupWanted("g", rules)]
        wanted = Wanted(self.space, 1, [net], [self.port], groups, members)
        return inside(self.space, lambda: self.plane.sync(wanted))

    def plug(self) -> None:
        run("ip", "netns", "add", self.guest_space)
        run(
            *("ip", "-n", self.space, "link", "add", self.port.tap, "type", "veth"),
            *("peer", "eth0", "netns", self.guest_space),
        )
        run("ip", "-n", self.guest_space, "link", "set", "eth0", "address", self.port.mac, "up")
        run("ip", "-n", self.guest_space, "link", "set", "eth0", "mtu", str(MTU))
        cidr = self.port.addresses[0].cidr
        run("ip", "-n", self.guest_space, "addr", "add", cidr, "dev", "eth0")
        run("ip", "-n", self.space, "link", "set", self.port.tap, "up")


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[str, Host, Host]]:
    tag, network = "v" + secrets.token_hex(3), str(uuid.uuid4())
    one, two = (Host(n, tag, network, tmp_path) for n in (1, 2))
    for host in (one, two):
        run("ip", "netns", "add", host.space)
        run("ip", "-n", host.space, "link", "set", "lo", "up")
    run(
        "ip", "-n", one.space, "link", "add", "u0", "type", "veth", "peer", "u0", "netns", two.space
    )
    for host in (one, two):
        run("ip", "-n", host.space, "addr", "add", f"{host.ip}/24", "dev", "u0")
        run("ip", "-n", host.space, "link", "set", "u0", "up")
    yield network, one, two
    for space in (one.guest_space, two.guest_space, one.space, two.space):
        run("ip", "netns", "del", space, ok=False)


def test_guests_on_two_hosts_reach_each_other(hosts: tuple[str, Host, Host]) -> None:
    network, one, two = hosts
    for host, other in ((one, two), (two, one)):
        assert host.sync(network, other).failed == {}
        host.plug()
        assert host.sync(network, other).plugged == [host.port.id]
        assert host.sync(network, other).changes == []
    ping = ("ip", "netns", "exec", one.guest_space, "ping", "-c1", "-W2")
    assert run(*ping, "10.66.0.2")
    assert run(*ping, "-M", "do", "-s", str(MTU - 28), "10.66.0.2")

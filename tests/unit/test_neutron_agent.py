"""The network agent with the fake data plane, and the texts that daemons are given."""

import pytest

from aerostat.contracts.compute import MetadataReply
from aerostat.kit.bus.embedded import EmbeddedBus
from aerostat.kit.errors import BadRequest, Unavailable
from aerostat.services.neutron.agent.endpoint import (
    AgentReport,
    MetadataRequest,
    network_control,
    network_host,
)
from aerostat.services.neutron.agent.node import NetworkAgent
from aerostat.services.neutron.config import NetworkAgentConfig
from aerostat.services.neutron.drivers.fake import FakeDataplane
from aerostat.services.neutron.drivers.linuxbridge.dnsmasq_files import safe
from aerostat.services.neutron.drivers.linuxbridge.ruleset import link_local, rule_text
from aerostat.services.neutron.model.wanted import PortWanted, RuleWanted, Wanted


class Control:
    def __init__(self) -> None:
        self.state = Wanted("h", 1)
        self.reads = 0

    async def wanted(self, *, host: str) -> Wanted:
        self.reads += 1
        return self.state

    async def report(
        self, *, host: str, agents: list[AgentReport], ports_up: list[str], now: float
    ) -> None:
        self.up = ports_up

    async def metadata(self, *, host: str, request: MetadataRequest) -> MetadataReply:
        return MetadataReply(404, "text/plain", b"")


async def test_ensure_returns_when_wired_and_tells_what_is_broken() -> None:
    bus, control, plane = EmbeddedBus(), Control(), FakeDataplane()
    network_control.serve(bus, control)
    agent = NetworkAgent(bus, "h", NetworkAgentConfig(), plane)
    await agent.start()
    host = network_host.at(bus, "h")
    try:
        await host.ensure(port_ids=[], revision=1)
        control.state = Wanted("h", 2, ports=[PortWanted("p", "n", "m", "tapp", "brqn", 1500)])
        await host.ensure(port_ids=["p"], revision=2)
        assert await host.audit() == []
        assert control.up == ["p"] or plane.have
        plane.break_with = "no such thing"
        control.state = Wanted("h", 3, ports=control.state.ports)
        with pytest.raises(Unavailable):
            await host.ensure(port_ids=["p"], revision=3)
    finally:
        await agent.close()


async def test_a_storm_of_notices_is_few_runs() -> None:
    bus, control, plane = EmbeddedBus(), Control(), FakeDataplane()
    network_control.serve(bus, control)
    agent = NetworkAgent(bus, "h", NetworkAgentConfig(), plane)
    await agent.start()
    try:
        for revision in range(2, 200):
            await agent.changed(revision=revision)
        control.state = Wanted("h", 200)
        await agent.ensure(port_ids=[], revision=200)
        assert plane.syncs <= 4
    finally:
        await agent.close()


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", "\x7f"])
def test_no_control_character_reaches_a_daemon(text: str) -> None:
    with pytest.raises(BadRequest):
        safe(text)


def test_link_local_address() -> None:
    assert link_local("fa:16:3e:00:00:01") == "fe80::f816:3eff:fe00:1"


def test_rule_texts() -> None:
    assert rule_text(RuleWanted("ingress", "IPv4", 6, 22, 22)) == (
        "meta nfproto ipv4 meta l4proto 6 th dport 22 accept"
    )
    assert rule_text(RuleWanted("egress", "IPv6", 58, 128, 0)) == (
        "meta nfproto ipv6 icmpv6 type 128 icmpv6 code 0 goto inbound"
    )

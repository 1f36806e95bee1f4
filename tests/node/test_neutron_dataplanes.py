"""What every data plane must do, the fake one and the real one."""

import secrets
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from aerostat.services.neutron.config import NetworkAgentConfig
from aerostat.services.neutron.drivers.base import Dataplane
from aerostat.services.neutron.drivers.fake import FakeDataplane
from aerostat.services.neutron.drivers.linuxbridge.driver import LinuxBridge
from aerostat.services.neutron.model.wanted import (
    Address,
    DhcpHost,
    DhcpSubnet,
    DhcpWanted,
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


def make_wanted() -> Wanted:
    net, subnet, group, router = (str(uuid.uuid4()) for _ in range(4))
    port, dhcp, inner = (str(uuid.uuid4()) for _ in range(3))
    bridge = bridge_name(net)
    where = (bridge, 1450)
    guest = PortWanted(
        port,
        net,
        "fa:16:3e:00:00:01",
        tap_name(port),
        *where,
        [Address("10.55.0.9", 24)],
        security_groups=[group],
    )
    return Wanted(
        "h",
        7,
        [NetworkWanted(net, "local", *where)],
        [guest],
        [SecurityGroupWanted(group, [RuleWanted("egress", "IPv4")])],
        {},
        [
            DhcpWanted(
                net,
                dhcp,
                "fa:16:3e:00:00:02",
                *where,
                [Address("10.55.0.2", 24)],
                [DhcpSubnet(subnet, "10.55.0.0/24", 4, "10.55.0.1")],
                [DhcpHost(port, guest.mac, "10.55.0.9", "vm", subnet)],
            )
        ],
        [
            RouterWanted(
                router,
                [RouterPort(inner, net, "fa:16:3e:00:00:03", *where, [Address("10.55.0.1", 24)])],
            )
        ],
    )


@pytest.fixture(params=["fake", pytest.param("linuxbridge", marks=pytest.mark.root)])
def plane(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Dataplane]:
    if request.param == "fake":
        yield FakeDataplane()
        return
    config = NetworkAgentConfig(state_dir=str(tmp_path), tag="d" + secrets.token_hex(3))
    plane = LinuxBridge(config)
    yield plane
    plane.purge()


def test_a_run_makes_what_is_wanted_and_the_next_one_nothing(plane: Dataplane) -> None:
    wanted = make_wanted()
    assert plane.differences(wanted)
    first = plane.sync(wanted)
    assert first.changes and first.failed == {}
    assert plane.sync(wanted).changes == []
    assert plane.differences(wanted) == []


def test_only_differences_are_changed(plane: Dataplane) -> None:
    wanted = make_wanted()
    everything = len(plane.sync(wanted).changes)
    group = wanted.security_groups[0]
    more = SecurityGroupWanted(group.id, [*group.rules, RuleWanted("ingress", "IPv4", 1)])
    changed = plane.sync(msgspec.structs.replace(wanted, security_groups=[more])).changes
    assert 0 < len(changed) < everything / 3


def test_what_is_not_wanted_any_more_goes(plane: Dataplane) -> None:
    wanted = make_wanted()
    plane.sync(wanted)
    less = msgspec.structs.replace(wanted, routers=[], dhcp=[])
    assert plane.sync(less).changes
    assert plane.differences(less) == []
    nothing = Wanted("h", 9)
    plane.sync(nothing)
    assert plane.differences(nothing) == [] and plane.sync(nothing).changes == []


def test_purge_leaves_nothing(plane: Dataplane) -> None:
    plane.sync(make_wanted())
    assert plane.purge()
    assert plane.differences(Wanted("h", 0)) == []


def test_metadata_sockets_listen(plane: Dataplane) -> None:
    wanted = make_wanted()
    plane.sync(wanted)
    for namespace in (wanted.dhcp[0].namespace, wanted.routers[0].namespace):
        listener = plane.listen(wanted, namespace)
        owner = listener.network_id or listener.router_id
        assert namespace.endswith(str(owner)) and listener.socket.getsockname()[1] > 0
        listener.socket.close()

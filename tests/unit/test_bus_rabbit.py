"""The bus over a real RabbitMQ: nothing lost, nothing done twice, nobody speaks for another."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Protocol

import aiormq
import pytest
from pamqp.commands import Basic
from tests.servers import server

from aerostat.assembly.buses import FOR_NODES
from aerostat.assembly.engines import NAME, PASSWORD, RabbitMq
from aerostat.kit.bus.amqp import node_permissions, node_user
from aerostat.kit.bus.endpoint import Endpoint
from aerostat.kit.bus.rabbit import RabbitBus
from aerostat.kit.errors import DeadlineExceeded, Forbidden, NotFound, Unavailable
from aerostat.kit.ids import new_hex
from aerostat.services.neutron.agent.endpoint import network_control
from aerostat.services.nova.agent.endpoint import compute_control


class Counter(Protocol):
    async def add(self, *, host: str, amount: int) -> int: ...

    async def missing(self, *, host: str) -> None: ...

    async def hang(self) -> None: ...


class CounterImpl:
    def __init__(self) -> None:
        self.seen: list[int] = []
        self.hanging, self.release = asyncio.Event(), asyncio.Event()
        self.enough = asyncio.Event()

    async def add(self, *, host: str, amount: int) -> int:
        self.seen.append(amount)
        if len(self.seen) == 20:
            self.enough.set()
        return sum(self.seen)

    async def missing(self, *, host: str) -> None:
        raise NotFound("no such thing")

    async def hang(self) -> None:
        self.hanging.set()
        await self.release.wait()


class Buses:
    """Buses over one RabbitMQ, each closed at the end."""

    def __init__(self, rabbit: RabbitMq) -> None:
        self.rabbit = rabbit
        self.made: list[RabbitBus] = []
        self.served: list[CounterImpl] = []
        self.counter: Endpoint[Counter] = Endpoint(f"counter-{new_hex()[:8]}", Counter)

    async def open(self, url: str = "", host: str = "") -> RabbitBus:
        bus = RabbitBus([url or self.rabbit.url], host=host, for_nodes=[self.counter.name])
        bus.connect()
        await bus.connected()
        self.made.append(bus)
        return bus

    async def serving(self) -> tuple[RabbitBus, CounterImpl]:
        bus = RabbitBus([self.rabbit.url], for_nodes=[self.counter.name])
        impl = CounterImpl()
        self.counter.serve(bus, impl)
        bus.connect()
        await bus.connected()
        self.made.append(bus)
        self.served.append(impl)
        return bus, impl


@pytest.fixture
async def buses() -> AsyncIterator[Buses]:
    rabbit = server("rabbitmq")
    assert isinstance(rabbit, RabbitMq)
    made = Buses(rabbit)
    yield made
    for impl in made.served:
        impl.release.set()
    for bus in made.made:
        await bus.close()


async def test_calls_and_faults(buses: Buses) -> None:
    await buses.serving()
    caller = await buses.open()
    far = buses.counter.at(caller)
    assert [await far.add(host="h", amount=n) for n in (1, 2)] == [1, 3]
    with pytest.raises(NotFound, match="no such thing"):
        await far.missing(host="h")
    with pytest.raises(DeadlineExceeded):
        await buses.counter.at(caller, timeout_s=0.1).hang()
    with pytest.raises(Unavailable):
        await buses.counter.at(caller, "nobody").hang()


async def test_two_copies_share_the_work(buses: Buses) -> None:
    _, one = await buses.serving()
    _, two = await buses.serving()
    caller = await buses.open()
    far = buses.counter.at(caller)
    await asyncio.gather(*(far.add(host="h", amount=n) for n in range(50)))
    assert sorted(one.seen + two.seen) == list(range(50))
    assert one.seen
    assert two.seen


async def test_a_callee_that_went_is_noticed_before_the_deadline(buses: Buses) -> None:
    bus, impl = await buses.serving()
    caller = await buses.open()
    hanging = asyncio.create_task(buses.counter.at(caller, timeout_s=60).hang())
    await impl.hanging.wait()
    assert bus._session is not None
    bus._closing = True
    await bus._session.close()
    with pytest.raises(Unavailable):
        await hanging


async def test_a_killed_rabbitmq_loses_nothing_and_repeats_nothing(buses: Buses) -> None:
    _, impl = await buses.serving()
    caller = await buses.open()
    far = buses.counter.at(caller)
    calls = [asyncio.create_task(far.add(host="h", amount=n)) for n in range(300)]
    await impl.enough.wait()
    await asyncio.to_thread(buses.rabbit.sync)
    await asyncio.to_thread(buses.rabbit.kill)
    calls += [asyncio.create_task(far.add(host="h", amount=n)) for n in range(300, 320)]
    await asyncio.to_thread(buses.rabbit.start)
    await asyncio.gather(*calls)
    assert sorted(impl.seen) == list(range(320))


async def test_a_node_speaks_for_itself_alone(buses: Buses) -> None:
    _, impl = await buses.serving()
    host = f"h-{new_hex()[:6]}"
    user = node_user(host)
    await asyncio.to_thread(buses.rabbit.control, "add_user", user, PASSWORD)
    grant = ["set_permissions", "-p", "/", user, *node_permissions(host)]
    await asyncio.to_thread(buses.rabbit.control, *grant)
    url = buses.rabbit.url.replace(f"{NAME}:", f"{user}:")
    node = await buses.open(url, host)
    far = buses.counter.at(node)
    assert await far.add(host=host, amount=1) == 1
    with pytest.raises(Forbidden):
        await far.add(host="another", amount=1)
    assert impl.seen == [1]

    served: Endpoint[Counter] = Endpoint("agent", Counter)
    mine = CounterImpl()
    served.serve(node, mine, host)
    control = await buses.open()
    while True:  # The node's queue appears when it has been declared.
        try:
            assert await served.at(control, host).add(host=host, amount=5) == 5
            break
        except Unavailable:
            await asyncio.sleep(0.01)

    other: Endpoint[Counter] = Endpoint("agent", Counter)
    other.serve(node, mine, "another")
    with pytest.raises(Unavailable):  # It may not declare another host's queue.
        await served.at(control, "another", timeout_s=5).add(host="another", amount=1)


def test_what_nodes_call_says_which_host_calls() -> None:
    for endpoint in (compute_control, network_control):
        assert endpoint.name in FOR_NODES
        for name in vars(endpoint.contract):
            if not name.startswith("_"):
                assert "host" in inspect.signature(getattr(endpoint.contract, name)).parameters


async def test_a_passing_address_ends_with_its_process(buses: Buses) -> None:
    bus, caller = await buses.open(), await buses.open()
    buses.counter.serve(bus, CounterImpl(), "worker-1", passing=True)
    address = f"{buses.counter.name}@worker-1"
    while not await caller.served(address):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert await buses.counter.at(caller, "worker-1").add(host="h", amount=1) == 1
    await bus.close()
    while await caller.served(address):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    with pytest.raises(Unavailable):
        await buses.counter.at(caller, "worker-1").add(host="h", amount=1)


async def test_a_look_on_a_connection_that_breaks_ends_nobodys_task(
    buses: Buses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiormq cancels what waits for a broken connection: a heartbeat once ended for good of it."""
    bus = await buses.open()
    assert bus._session is not None

    async def cancelled(_address: str) -> int:
        raise asyncio.CancelledError

    monkeypatch.setattr(bus._session, "consumers", cancelled)
    with pytest.raises(Unavailable):
        await bus.served("anything@any")


class Refusing:
    """A channel that takes nothing, as one does that was opened while a queue had no leader."""

    confirmations: dict[int, object] = {}
    is_closed = True

    async def basic_publish(self, *_: object, **__: object) -> None:
        raise aiormq.exceptions.DeliveryError(None, Basic.Nack())


async def test_a_call_that_rabbitmq_refuses_goes_out_on_another_channel(buses: Buses) -> None:
    _, impl = await buses.serving()
    caller = await buses.open()
    assert caller._session is not None
    caller._session._calls = Refusing()
    far = buses.counter.at(caller)
    await asyncio.gather(*(far.add(host="h", amount=n) for n in range(20)))
    assert sorted(impl.seen) == list(range(20))

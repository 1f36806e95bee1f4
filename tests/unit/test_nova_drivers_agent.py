"""The compute agent over a fake driver: it is heard, in order, however long nobody listens."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from aerostat.kit.errors import Conflict, NotFound, Unavailable
from aerostat.services.nova.agent.compute import ComputeAgent
from aerostat.services.nova.drivers.base import NodeIdentity
from aerostat.services.nova.drivers.fake import FakeDriver
from aerostat.services.nova.model.guest import GuestSpec, GuestState, HostFacts, PowerState

IDENTITY = NodeIdentity(host="node", hypervisor_hostname="node", host_ip="127.0.0.1")
Report = tuple[str, PowerState]


class Control:
    """A control plane that can be away."""

    def __init__(self) -> None:
        self.away = False
        self.ups: list[list[GuestState]] = []
        self.beats = 0
        self.refused = 0
        self.busy: set[str] = set()
        self.unlike: list[str] = []
        self.reports: list[Report] = []
        self.changed = asyncio.Condition()

    async def host_up(self, *, host: str, facts: HostFacts, guests: list[GuestState]) -> list[str]:
        await self._listen()
        self.ups.append(guests)
        await self._notify()
        return self.unlike

    async def heartbeat(self, *, host: str) -> None:
        await self._listen()
        self.beats += 1
        await self._notify()

    async def lifecycle(self, *, host: str, server_id: str, power_state: PowerState) -> bool:
        await self._listen()
        if server_id == "unknown":
            raise NotFound
        self.reports.append((server_id, power_state))
        await self._notify()
        return server_id not in self.busy

    async def until(self, ask: Callable[[], object]) -> None:
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(lambda: bool(ask()))

    async def _listen(self) -> None:
        if self.away:
            self.refused += 1
            await self._notify()
            raise Unavailable

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()


def spec(server_id: str) -> GuestSpec:
    return GuestSpec(
        server_id=server_id,
        name="a",
        instance_name="instance-1",
        project_id="p",
        user_id="u",
        flavor_name="f",
        vcpus=1,
        ram_mib=1,
        root_gb=1,
    )


async def agent(control: Control, driver: FakeDriver) -> ComputeAgent:
    made = ComputeAgent("node", driver, control, heartbeat_s=0.01, retry_s=0.005)
    await made.open()
    return made


async def test_it_announces_itself_as_soon_as_it_is_heard() -> None:
    control = Control()
    control.away = True
    compute = await agent(control, FakeDriver(IDENTITY))
    await control.until(lambda: control.refused >= 2)
    control.away = False
    await control.until(lambda: len(control.ups) == 1 and control.beats >= 2)
    control.away = True
    refused = control.refused
    await control.until(lambda: control.refused > refused)
    control.away = False
    await control.until(lambda: len(control.ups) == 2)
    await compute.close()


async def test_the_newest_state_survives_an_absent_control_plane() -> None:
    control = Control()
    compute = await agent(control, FakeDriver(IDENTITY))
    await control.until(lambda: control.ups)
    control.away = True
    await compute.spawn(spec=spec("a"))
    await compute.pause(server_id="a")
    await compute.unpause(server_id="a")
    await compute.stop(server_id="a", timeout_s=0)
    refused = control.refused
    await control.until(lambda: control.refused > refused + 3)
    control.away = False
    await control.until(lambda: ("a", PowerState.SHUTDOWN) in control.reports)
    assert control.reports == [("a", PowerState.SHUTDOWN)]
    await compute.close()


async def test_a_reboot_is_not_seen_as_going_down() -> None:
    control = Control()
    compute = await agent(control, FakeDriver(IDENTITY))
    await control.until(lambda: control.ups)
    await compute.spawn(spec=spec("a"))
    await control.until(lambda: control.reports)
    await compute.reboot(server_id="a", hard=True)
    await control.until(lambda: len(control.reports) == 2)
    assert set(control.reports) == {("a", PowerState.RUNNING)}
    await compute.close()


async def test_a_guest_that_goes_down_by_itself_is_reported() -> None:
    control, driver = Control(), FakeDriver(IDENTITY)
    compute = await agent(control, driver)
    await control.until(lambda: control.ups)
    await compute.spawn(spec=spec("a"))
    driver.crash("a")
    await control.until(lambda: ("a", PowerState.SHUTDOWN) in control.reports)
    await compute.close()


async def test_a_guest_nobody_knows_is_not_reported_for_ever() -> None:
    control = Control()
    compute = await agent(control, FakeDriver(IDENTITY))
    await control.until(lambda: control.ups)
    await compute.spawn(spec=spec("unknown"))
    await compute.spawn(spec=spec("a"))
    await control.until(lambda: control.reports)
    assert control.reports == [("a", PowerState.RUNNING)]
    await compute.close()


async def test_what_happens_while_a_server_is_worked_on_is_told_again() -> None:
    """The saga may end as if it had not happened. Found by simulation, seed 87."""
    control, driver = Control(), FakeDriver(IDENTITY)
    compute = await agent(control, driver)
    await control.until(lambda: control.ups)
    control.busy.add("a")
    await compute.spawn(spec=spec("a"))
    await control.until(lambda: len(control.reports) > 2)
    driver.crash("a")
    control.busy.clear()
    await control.until(lambda: ("a", PowerState.SHUTDOWN) in control.reports)
    told = len(control.reports)
    driver.crash("a")
    await control.until(lambda: control.beats > 3)
    assert len(control.reports) == told
    await compute.close()


async def test_only_what_is_known_otherwise_is_reported_at_first() -> None:
    """As it is then, not as the list had it; a guest that is not there is off."""
    control, driver = Control(), FakeDriver(IDENTITY)
    await driver.spawn(spec("a"))
    await driver.spawn(spec("b"))
    control.unlike = ["b", "absent"]
    compute = await agent(control, driver)
    await control.until(lambda: len(control.reports) == 2)
    assert set(control.reports) == {("b", PowerState.RUNNING), ("absent", PowerState.SHUTDOWN)}
    await compute.close()


async def test_operations_on_one_guest_do_not_overlap() -> None:
    running: set[str] = set()

    async def before(operation: str, server_id: str) -> None:
        assert server_id not in running
        running.add(server_id)
        await asyncio.sleep(0)
        running.discard(server_id)

    compute = await agent(Control(), FakeDriver(IDENTITY, before=before))
    calls: list[Awaitable[None]] = [compute.spawn(spec=spec("a")) for _ in range(5)]
    await asyncio.gather(*calls, *(compute.spawn(spec=spec(f"b{n}")) for n in range(5)))
    assert len(await compute.guests()) == 6
    await compute.close()


async def test_an_injected_failure_changes_nothing() -> None:
    async def before(operation: str, server_id: str) -> None:
        if operation == "spawn":
            raise Conflict

    compute = await agent(Control(), FakeDriver(IDENTITY, before=before))
    with pytest.raises(Conflict):
        await compute.spawn(spec=spec("a"))
    assert await compute.guests() == []
    await compute.close()


async def test_fake_guests_outlive_their_process(tmp_path: Path) -> None:
    journal = tmp_path / "guests"
    first = FakeDriver(IDENTITY, journal=journal)
    await first.open(lambda server_id, state: None)
    for name in ("a", "b", "c"):
        await first.spawn(spec(name))
    await first.stop("b", 0)
    await first.destroy("c")
    with journal.open("ab") as file:
        file.write(b'{"server_id": "d", "pow')
    second = FakeDriver(IDENTITY, journal=journal)
    await second.open(lambda server_id, state: None)
    assert second.states == {"a": PowerState.RUNNING, "b": PowerState.SHUTDOWN}

"""A simulated cloud: control and node processes over one disk, one network and some machines."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import structs

from aerostat.assembly.roles import CONTROL
from aerostat.assembly.services import Plane, World, build
from aerostat.services.neutron.agent.node import NetworkAgent
from aerostat.services.neutron.config import NetworkAgentConfig
from aerostat.services.neutron.tasks.rescheduler import Rescheduler
from aerostat.services.nova.agent.compute import ComputeAgent
from aerostat.services.nova.agent.endpoint import compute_control
from aerostat.services.nova.drivers.fake import FakeDriver
from aerostat.services.nova.tasks.leftovers import Leftovers
from aerostat.services.nova.tasks.presence import Presence
from aerostat.sim.asgi import Answer, ask
from aerostat.sim.bus import Network, SimBus
from aerostat.sim.chance import Chance, Faults
from aerostat.sim.disk import Disk, SimDatabase
from aerostat.sim.machine import Machine
from aerostat.sim.process import Process
from aerostat.sim.template import EPOCH, PASSWORD, Template
from aerostat.sim.trace import Trace

HASTY_S = {
    "build_timeout_s": 10.0,
    "power_timeout_s": 5.0,
    "delete_timeout_s": 10.0,
    "migration_timeout_s": 6.0,
    "live_migration_timeout_s": 6.0,
}
"""Deadlines that are over before a host that hangs goes on."""

CALL_TIMEOUT_S = 60.0
"""A client waits for an answer this long."""


class Lost(Exception):
    """The client got no answer: it cannot know whether the request was heard."""


class SimClock:
    """The loop's time, as the world's; a process may be a little wrong about it."""

    def __init__(self, skew_s: float = 0.0) -> None:
        self._epoch = EPOCH + skew_s

    def now(self) -> float:
        return self._epoch + asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Control:
    """One start of a control process; `plane` is None until it serves."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.plane: Plane | None = None


class SimCloud:
    """Everything there is. Dead processes are started again by whoever is told by `died`."""

    def __init__(
        self, template: Template, seed: int, faults: Faults, trace: Trace, folder: Path
    ) -> None:
        self.template, self.seed, self.faults, self.trace = template, seed, faults, trace
        self.disk = Disk(template.database)
        self.ids = Chance(seed, "ids")
        self._db_chance, self._http = Chance(seed, "disk"), Chance(seed, "http")
        self._drivers = Chance(seed, "drivers")
        self.network = Network(faults, Chance(seed, "bus"), trace)
        self.machines = {
            name: Machine(name, folder) for name in (f"host-{i + 1}" for i in range(faults.hosts))
        }
        deadlines = HASTY_S if faults.hasty else {}
        self._settings = structs.replace(template.settings, nova=deadlines)
        self.controls: dict[str, Control] = {}
        self.nodes: dict[str, Process] = {}
        self.drivers: dict[str, FakeDriver] = {}
        self.processes: list[Process] = []
        self.died: Callable[[Process], None] = lambda process: None

    def start(self) -> None:
        """Start every process."""
        for i in range(self.faults.controls):
            self.start_control(f"control-{i + 1}")
        for name in self.machines:
            self.start_node(name)

    def calm(self) -> None:
        """From now on nothing is lost, repeated or refused; delays stay."""
        latency = self.faults.latency_s
        self.faults = Faults(split=self.faults.split, latency_s=latency, driver_slow_s=0.1)
        self.network.faults = self.faults
        self.network.cut.clear()
        for machine in self.machines.values():
            machine.go_on()
        self.network.wake()

    def _process(self, name: str) -> Process:
        process = Process(name, self._buried, self.trace)
        self.processes.append(process)
        self.trace(name, "start")
        return process

    def _buried(self, process: Process) -> None:
        self.trace(process.name, "killed")
        self.died(process)

    def start_control(self, name: str) -> None:
        """Start a control process, as assembly.control does."""
        process = self._process(name)
        control = self.controls[name] = Control(process)
        process.main(self._run_control(control))

    async def _run_control(self, control: Control) -> None:
        process = control.process
        db = SimDatabase(self.disk, process, lambda: self.faults, self._db_chance)
        bus = SimBus(self.network, process)
        clock = SimClock(self._db_chance.between(0.0, self.faults.skew_s))
        world = World(self._settings, db, bus, clock, self.ids.new_uuid)
        plane = await build(world, PASSWORD)
        control.plane = plane
        await plane.nova.sagas.resume(plane.nova)
        Leftovers(plane.nova).start()
        Presence(plane.nova, process.name, CONTROL).start()
        Rescheduler(plane.services["neutron"]).start()
        self.trace(process.name, "ready")

    def start_node(self, name: str) -> None:
        """Start a node process, as assembly.node does."""
        process = self._process(name)
        self.nodes[name] = process
        process.main(self._run_node(self.machines[name], process))

    async def _run_node(self, machine: Machine, process: Process) -> None:
        bus = SimBus(self.network, process)
        driver = machine.driver(process, lambda: self.faults, self._drivers)
        self.drivers[machine.name] = driver
        agent = ComputeAgent(machine.name, driver, compute_control.at(bus))
        agent.serve(bus)
        config, clock = NetworkAgentConfig(), SimClock(0.0)
        network = NetworkAgent(bus, machine.name, config, machine.dataplane, clock=clock)
        await network.start()
        await agent.open()

    async def request(
        self, service: str, method: str, url: str, body: Any, headers: dict[str, str]
    ) -> Answer:
        """Call an API as a client does, through a balancer. Raises: Lost."""
        await asyncio.sleep(self._http.about(self.faults.latency_s))
        serving = [c for c in self.controls.values() if c.process.alive and c.plane is not None]
        if not serving or self._http.happens(self.faults.http_lost / 2):
            raise Lost
        control = self._http.pick(serving)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        async def serve() -> None:
            assert control.plane is not None
            got = await ask(control.plane.apps[service], method, url, body, headers)
            if control.process.tick() and not answer.done():
                answer.set_result(got)

        control.process.on_death.append(lost := _breaker(answer))
        control.process.spawn(serve(), url)
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                got = await answer
        except (TimeoutError, ConnectionError) as why:
            raise Lost from why
        finally:
            control.process.on_death.remove(lost)
        await asyncio.sleep(self._http.about(self.faults.latency_s))
        if self._http.happens(self.faults.http_lost / 2):
            raise Lost
        return got

    def close(self) -> None:
        """Let go of everything."""
        for process in self.processes:
            process.alive = False
            process.bury()
        self.disk.close()


def _breaker(answer: "asyncio.Future[Answer]") -> Callable[[], None]:
    def broken() -> None:
        if not answer.done():
            answer.set_exception(ConnectionResetError())

    return broken

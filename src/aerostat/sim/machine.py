"""A simulated compute host: what outlives its node process, and the fakes that run on it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from aerostat.kit.errors import NoValidHost, Unavailable
from aerostat.services.neutron.drivers.base import Listener
from aerostat.services.neutron.drivers.fake import FakeDataplane
from aerostat.services.neutron.model.wanted import Wanted
from aerostat.services.nova.drivers.base import HealthSink, LifecycleSink, NodeIdentity, unheard
from aerostat.services.nova.drivers.fake import FakeDriver, FakeInventory
from aerostat.services.nova.model.guest import SILENT, PowerState
from aerostat.sim.chance import Chance, Faults
from aerostat.sim.process import Process

INVENTORY = FakeInventory(vcpus=2, ram_mib=4096, disk_gb=20)
"""Small, so that hosts are full now and then: eight small servers fit by processors."""


class SimDataplane(FakeDataplane):
    """The kernel of a host: it stays as it is when the agent dies. No socket is real."""

    def listen(self, wanted: Wanted, namespace: str) -> Listener:
        return Listener(socket.socket(socket.AF_UNIX), namespace)


class _Driver(FakeDriver):
    """Says when it has read what is on the host."""

    machine: "Machine"

    async def open(self, sink: LifecycleSink, health: HealthSink = unheard) -> None:
        await super().open(sink, health)
        self.machine.opened(self)


class Machine:
    """A host: its guests' journal is its disk, `dataplane` its kernel."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self._journal = name, folder / f"{name}.json"
        self.dataplane = SimDataplane()
        self.hanging = False
        self.refusing = False
        self.off = False
        self._woken = asyncio.Event()
        self._current: FakeDriver | None = None

    def driver(self, process: Process, faults: Callable[[], Faults], chance: Chance) -> FakeDriver:
        """Return a driver for a node process that starts here."""
        identity = NodeIdentity(self.name, self.name, "127.0.0.1")
        before = self._before(process, faults, chance)
        driver = _Driver(identity, inventory=INVENTORY, journal=self._journal, before=before)
        driver.machine = self
        return driver

    def opened(self, driver: FakeDriver) -> None:
        """Take a driver that has read the journal for the one that knows."""
        self._current = driver

    def _before(
        self, process: Process, faults: Callable[[], Faults], chance: Chance
    ) -> Callable[[str, str], Awaitable[None]]:
        async def before(operation: str, server_id: str) -> None:
            while self.hanging:
                await self._woken.wait()
            await asyncio.sleep(chance.about(faults().driver_slow_s))
            if self.refusing:
                raise Unavailable("The hypervisor does not answer.", code=SILENT, detail=operation)
            if chance.happens(faults().driver_fails):
                raise Unavailable("The hypervisor failed.", detail=operation)
            if operation != "destroy" and chance.happens(faults().driver_refuses):
                raise NoValidHost("There is no room for this guest.", detail=operation)
            if not process.tick():
                await asyncio.Future()

        return before

    def guests(self) -> dict[str, PowerState]:
        """Return the guests that there are, whether or not the node process lives."""
        return {} if self._current is None else self._current.states

    def leftovers(self) -> list[str]:
        """Return what waits for the end of a move: none of it is a guest."""
        d = self._current
        return [] if d is None else sorted({*d.aside, *d.left, *d.arriving})

    def cut_power(self, node: Process) -> None:
        """Let the host go off with all its guests; nothing is left of its network."""
        self.off = True
        node.kill()
        for server_id, state in sorted(self.guests().items()):
            if state in (PowerState.RUNNING, PowerState.PAUSED) and self._current is not None:
                node.run(self._current.crash, server_id)
        self.dataplane.purge()

    def hang(self) -> None:
        """Let every operation wait until `go_on`."""
        self.hanging = True
        self._woken.clear()

    def go_on(self) -> None:
        """Let the hypervisor work again."""
        self.hanging = self.refusing = False
        self._woken.set()

"""What strikes a simulated cloud from outside, now and then."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from aerostat.services.nova.model.guest import PowerState
from aerostat.sim.chance import Chance
from aerostat.sim.cloud import SimCloud
from aerostat.sim.process import Process, outside

DOWN_S = 3.0
"""Mean seconds until a dead process is started again."""

OFF_S = 20.0
"""Mean seconds until a host has power again."""

FUSE_MAX = 25
"""A fuse burns for at most so many commits and messages."""


class Chaos:
    """Strikes until `until`; what it broke is put right again after a while."""

    def __init__(self, cloud: SimCloud) -> None:
        self._cloud, self._chance = cloud, Chance(cloud.seed, "chaos")
        self._tasks: set[asyncio.Task[None]] = set()
        cloud.died = self._died

    async def rage(self, until: float) -> None:
        """Let one thing go wrong after the other."""
        faults, loop = self._cloud.faults, asyncio.get_running_loop()
        while faults.chaos:
            await asyncio.sleep(self._chance.about(faults.chaos_s))
            if loop.time() > until:
                return
            self._strike(self._chance.pick(faults.chaos))

    def _strike(self, kind: str) -> None:
        cloud, choose = self._cloud, self._chance
        machine = choose.pick(list(cloud.machines.values()))
        control = choose.pick(list(cloud.controls.values())).process
        node = cloud.nodes[machine.name]
        if kind == "control":
            control.kill()
        elif kind == "node":
            node.kill()
        elif kind == "fuse":
            victim = choose.pick([control, node])
            victim.fuse = choose.number(1, FUSE_MAX)
            cloud.trace(victim.name, "fuse", str(victim.fuse))
        elif kind == "power_cut":
            cloud.trace(machine.name, "power cut")
            machine.cut_power(node)
        elif kind == "partition":
            cloud.network.cut.add(machine.name)
            self._later(self._heal(machine.name, choose.about(20.0)))
        elif kind == "hang":
            machine.hang()
            cloud.trace(machine.name, "hangs")
            self._later(self._go_on(machine.name, choose.about(20.0)))
        elif kind == "refuse":
            machine.refusing = True
            cloud.trace(machine.name, "refuses")
            self._later(self._go_on(machine.name, choose.about(20.0)))
        else:
            self._power_off(node)

    def _power_off(self, node: Process) -> None:
        driver = self._cloud.drivers.get(node.name)
        states = {} if driver is None or not node.alive else driver.states
        running = sorted(s for s, state in states.items() if state == PowerState.RUNNING)
        if driver is None or not running:
            return
        server_id = self._chance.pick(running)
        self._cloud.trace(node.name, "guest.down", server_id)
        node.run(driver.crash, server_id)

    def _died(self, process: Process) -> None:
        machine = self._cloud.machines.get(process.name)
        down_s = OFF_S if machine is not None and machine.off else DOWN_S
        self._later(self._restart(process, self._chance.about(down_s)))

    async def _restart(self, process: Process, wait: float) -> None:
        await asyncio.sleep(wait)
        if process.name in self._cloud.machines:
            self._cloud.machines[process.name].off = False
            self._cloud.start_node(process.name)
        else:
            self._cloud.start_control(process.name)

    async def _heal(self, name: str, wait: float) -> None:
        self._cloud.trace(name, "cut off")
        await asyncio.sleep(wait)
        self._cloud.network.cut.discard(name)
        self._cloud.trace(name, "healed")
        self._cloud.network.wake()

    async def _go_on(self, name: str, wait: float) -> None:
        await asyncio.sleep(wait)
        self._cloud.machines[name].go_on()
        self._cloud.trace(name, "goes on")

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = outside(work)  # Whoever dies must not take it along.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

"""nova-compute: serves the host's guests over the bus and tells the control plane about them."""

import asyncio
import contextlib

from aerostat.contracts.network import BoundPort
from aerostat.kit.bus.endpoint import Bus
from aerostat.kit.errors import Fault, Unavailable
from aerostat.kit.log import Logger
from aerostat.services.nova.agent.endpoint import ComputeControl, compute_host
from aerostat.services.nova.agent.guest_locks import GuestLocks
from aerostat.services.nova.agent.moving import MovingAgent, free
from aerostat.services.nova.agent.reporting import Reporter
from aerostat.services.nova.drivers.base import Driver
from aerostat.services.nova.model.guest import (
    Diagnostics,
    GuestSpec,
    GuestState,
    HostFacts,
    PowerState,
    VncAddress,
)

log = Logger("nova.compute")
HEARTBEAT_S = 10.0
COMPARE_S = 600.0
"""Seconds between two comparisons of all guests. Source: [DEFAULT] sync_power_state_interval."""

RETRY_S = 1.0


class ComputeAgent:
    """Implements ComputeHost over a driver: one operation at a time on each guest.

    The control plane hears of the host when it starts, when it comes back into reach, and by a
    heartbeat; it hears of guests as they change. While the hypervisor does not work, heartbeats
    go on and say so.
    """

    def __init__(
        self,
        host: str,
        driver: Driver,
        control: ComputeControl,
        *,
        heartbeat_s: float = HEARTBEAT_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self._host, self._driver, self._control = host, driver, control
        self._heartbeat_s, self._retry_s = heartbeat_s, retry_s
        self._locks = GuestLocks()
        self._reporter = Reporter(host, control, self._locks, driver.power_state, retry_s=retry_s)
        self._moving = MovingAgent(driver, self._locks)
        self._presence: asyncio.Task[None] | None = None
        self._turn = asyncio.Event()
        self.ailment = ""

    def serve(self, bus: Bus) -> None:
        """Answer calls to this host on the bus."""
        compute_host.serve(bus, self, self._host)
        self._moving.serve(bus, self._host)

    async def open(self) -> None:
        """Open the driver and announce the host; both go on in the background until they succeed.

        (Not named `start`: that is what ComputeHost calls powering a guest on.)
        """
        self._presence = asyncio.create_task(self._stay_present(), name="nova-presence")

    async def close(self) -> None:
        """Stop reporting and let go of the hypervisor; guests go on running."""
        if self._presence is not None:
            self._presence.cancel()
            await asyncio.gather(self._presence, return_exceptions=True)
        await self._reporter.close()
        await self._driver.close()

    async def facts(self) -> HostFacts:
        return await self._driver.facts()

    async def spawn(self, *, spec: GuestSpec) -> None:
        async with self._locks.hold(spec.server_id):
            await self._driver.spawn(spec)

    async def destroy(self, *, server_id: str) -> None:
        await free(self._driver, self._locks, server_id)
        async with self._locks.hold(server_id):
            await self._driver.destroy(server_id)
            self._reporter.forget(server_id)

    async def start(self, *, server_id: str) -> None:
        async with self._locks.hold(server_id):
            await self._driver.start(server_id)

    async def stop(self, *, server_id: str, timeout_s: int) -> None:
        async with self._locks.hold(server_id):
            await self._driver.stop(server_id, timeout_s)

    async def reboot(self, *, server_id: str, hard: bool) -> None:
        if hard:
            await free(self._driver, self._locks, server_id)
        async with self._locks.hold(server_id):
            await self._driver.reboot(server_id, hard)

    async def pause(self, *, server_id: str) -> None:
        async with self._locks.hold(server_id):
            await self._driver.pause(server_id)

    async def unpause(self, *, server_id: str) -> None:
        async with self._locks.hold(server_id):
            await self._driver.unpause(server_id)

    async def suspend(self, *, server_id: str) -> None:
        async with self._locks.hold(server_id):
            await self._driver.suspend(server_id)

    async def resume(self, *, server_id: str) -> None:
        async with self._locks.hold(server_id):
            await self._driver.resume(server_id)

    async def snapshot(self, *, server_id: str, disk_format: str, path: str) -> None:
        async with self._locks.hold(server_id):
            await self._driver.snapshot(server_id, disk_format, path)

    async def rescue(self, *, spec: GuestSpec) -> None:
        async with self._locks.hold(spec.server_id):
            await self._driver.rescue(spec)

    async def unrescue(self, *, server_id: str) -> None:
        async with self._locks.hold(server_id):
            await self._driver.unrescue(server_id)

    async def attach_interface(self, *, server_id: str, port: BoundPort) -> None:
        async with self._locks.hold(server_id):
            await self._driver.attach_interface(server_id, port)

    async def detach_interface(self, *, server_id: str, port: BoundPort) -> None:
        async with self._locks.hold(server_id):
            await self._driver.detach_interface(server_id, port)

    async def console_output(self, *, server_id: str, lines: int | None) -> str:
        return await self._driver.console_output(server_id, lines)

    async def vnc(self, *, server_id: str) -> VncAddress:
        return await self._driver.vnc(server_id)

    async def diagnostics(self, *, server_id: str) -> Diagnostics:
        return await self._driver.diagnostics(server_id)

    async def set_admin_password(self, *, server_id: str, user: str, password: str) -> None:
        async with self._locks.hold(server_id):
            await self._driver.set_admin_password(server_id, user, password)

    async def guests(self) -> list[GuestState]:
        return await self._driver.guests()

    async def _stay_present(self) -> None:
        opened = False
        while True:
            try:
                self._turn.clear()
                if not opened:
                    await self._driver.open(self._on_event, self._on_health)
                opened = True
                facts, guests = await self._driver.facts(), await self._driver.guests()
                unlike = await self._control.host_up(host=self._host, facts=facts, guests=guests)
                log.info("host.up", host=self._host, guests=len(guests), unlike=len(unlike))
                for server_id in unlike:
                    self._reporter.report(server_id)
                await self._beat()
            except Fault as why:
                log.warning("host.unheard", host=self._host, code=why.code, detail=why.detail)
                await self._ail()

    def _on_health(self, ailment: str) -> None:
        if ailment != self.ailment:
            log.warning("host.health", host=self._host, ailment=ailment)
            self.ailment = ailment
            self._turn.set()

    async def _ail(self) -> None:
        """Say for a while what is wrong with the hypervisor, if it is that."""
        wait = self._retry_s
        if self.ailment:
            try:
                await self._control.heartbeat(host=self._host, ailment=self.ailment)
                wait = self._heartbeat_s
            except Fault as why:
                log.info("host.ailing_unheard", host=self._host, code=why.code)
        await self._turned(wait)

    async def _turned(self, wait_s: float) -> bool:
        """Tell whether the hypervisor's health changed, as soon as it does."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                return await self._turn.wait()
        return False

    def _on_event(self, server_id: str, _state: PowerState) -> None:
        self._reporter.report(server_id)

    async def _beat(self) -> None:
        """Send heartbeats until it is time to compare again.

        Raises: Fault (one is not heard, or the hypervisor does not work any more).
        """
        for _ in range(int(COMPARE_S / self._heartbeat_s)):
            if await self._turned(self._heartbeat_s):
                raise Unavailable("The hypervisor's health changed.", detail=self.ailment)
            await self._control.heartbeat(host=self._host)

"""Guests under libvirt: disks on this host, domains in libvirtd, events instead of polling."""

import asyncio
from pathlib import Path

import msgspec

from aerostat.kit.clock import Clock, SystemClock
from aerostat.kit.errors import Fault, NotFound, Unavailable
from aerostat.kit.log import Logger
from aerostat.services.nova.drivers.base import HealthSink, LifecycleSink, NodeIdentity, unheard
from aerostat.services.nova.drivers.exchange import Exchange, ExchangeConfig
from aerostat.services.nova.drivers.image_source import ImageSource
from aerostat.services.nova.drivers.libvirt import diagnostics, domains, guest_agent
from aerostat.services.nova.drivers.libvirt.connection import Connection
from aerostat.services.nova.drivers.libvirt.console import tail
from aerostat.services.nova.drivers.libvirt.daemon import LiveConfig
from aerostat.services.nova.drivers.libvirt.disks import prepare
from aerostat.services.nova.drivers.libvirt.domain_xml import HostChoice, domain_xml
from aerostat.services.nova.drivers.libvirt.extras import Extras
from aerostat.services.nova.drivers.libvirt.files import is_on_network, remove_tree
from aerostat.services.nova.drivers.libvirt.host_facts import host_facts
from aerostat.services.nova.drivers.libvirt.image_cache import ImageCache
from aerostat.services.nova.drivers.libvirt.live_moves import LiveMoves
from aerostat.services.nova.drivers.libvirt.paths import ASIDE, StatePaths, write_whole
from aerostat.services.nova.drivers.libvirt.self_test import choose_virt_type
from aerostat.services.nova.drivers.libvirt.waiting import StateWaiter
from aerostat.services.nova.drivers.threads import blocking_pool
from aerostat.services.nova.model.guest import (
    Diagnostics,
    GuestSpec,
    GuestState,
    HostFacts,
    PowerState,
    VncAddress,
)

log = Logger("nova.libvirt")
SOFT_REBOOT_TIMEOUT_S = 120
SILENCE_S = 20.0
BUTTON_AGAIN_S = 5.0
OFF = frozenset({PowerState.SHUTDOWN, PowerState.CRASHED, PowerState.SUSPENDED})


class LibvirtDriver(LiveMoves, Extras):
    """A hypervisor of QEMU guests. `state_dir` and its parents must be open to others (o+x)."""

    def __init__(
        self,
        identity: NodeIdentity,
        state_dir: Path,
        images: ImageSource,
        *,
        choice: HostChoice | None = None,
        exchange: ExchangeConfig | None = None,
        live: LiveConfig | None = None,
        silence_s: float = SILENCE_S,
        clock: Clock | None = None,
    ) -> None:
        self._identity, self._images = identity, images
        self._paths = StatePaths(state_dir)
        self._choice, self._fixed = choice or HostChoice(), choice is not None
        self._clock = clock or SystemClock()
        self._pool = blocking_pool("nova-disks")
        self._cache = ImageCache(self._paths, images, self._pool, identity.host)
        self._exchange = Exchange(exchange or ExchangeConfig(), self._pool)
        self._live = live or LiveConfig()
        self._conn = Connection(state_dir, self._live, silence_s, self._on_event, self._on_health)
        self._waiter = StateWaiter(self.power_state)
        self._sink: LifecycleSink = lambda server_id, state: None
        self._health: HealthSink = unheard
        self._tasks: set[asyncio.Task[None]] = set()
        self._chosen: asyncio.Task[HostChoice] | None = None

    async def open(self, sink: LifecycleSink, health: HealthSink = unheard) -> None:
        self._sink, self._health = sink, health
        self._paths.base.mkdir(parents=True, exist_ok=True)
        for directory in (self._paths.instances, self._paths.base):
            directory.chmod(0o755)
        closed = [str(d) for d in self._paths.base.parents if not d.stat().st_mode & 0o001]
        if closed:
            log.warning("state_dir.unreachable_for_qemu", directories=closed)
        self._cache.clean()
        if is_on_network(self._paths.instances.resolve(), Path("/proc/mounts").read_text()):
            # Another host must never find in its page cache what a guest wrote elsewhere.
            self._choice = msgspec.structs.replace(self._choice, cache_mode="none")
        if self._chosen is None:
            self._chosen = asyncio.create_task(self._choose(), name="kvm-self-test")
        await self._conn.open()

    async def close(self) -> None:
        for task in (*self._tasks, *([self._chosen] if self._chosen else [])):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._exchange.close()
        await self._conn.close()
        await self._images.close()
        self._pool.shutdown(wait=False)

    async def facts(self) -> HostFacts:
        return await host_facts(self._identity, self._paths.state, await self.choice())

    async def choice(self) -> HostChoice:
        """Return how guests run here; waits for the self-test."""
        if self._chosen is None:
            raise Unavailable("The driver is not open.")
        return await asyncio.shield(self._chosen)

    async def spawn(self, spec: GuestSpec) -> None:
        paths = self._paths.instance(spec.server_id)
        known = await self._conn.run(domains.is_defined, spec.server_id)
        if known and not paths.spawning.exists():
            return
        paths.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        paths.spawning.touch()
        await self._define(spec, True)

    async def _define(self, spec: GuestSpec, start: bool) -> None:
        """Make the disks that are missing, let the domain exist, and run if it shall `start`."""
        began, paths = self._clock.monotonic(), self._paths.instance(spec.server_id)
        name = await self._conn.run(domains.free_name, spec.instance_name, spec.server_id)
        spec = msgspec.structs.replace(spec, instance_name=name)
        disks = await prepare(spec, paths, self._cache)
        xml = domain_xml(spec, paths, disks, await self.choice(), self._paths.state)
        write_whole(paths.libvirt_xml, xml.encode())
        made = self._clock.monotonic()
        await self._conn.run(domains.define_and_start if start else domains.define, xml)
        paths.spawning.unlink(missing_ok=True)
        took = {"disks_ms": int((made - began) * 1000)}
        took["start_ms"] = int((self._clock.monotonic() - made) * 1000)
        log.info("guest.spawned", server_id=spec.server_id, started=start, **took)

    async def destroy(self, server_id: str) -> None:
        await self._conn.run(domains.remove, server_id)
        for paths in (self._paths.instance(server_id), self._paths.aside(server_id)):
            await self._conn.blocking(remove_tree, paths.root)

    async def kill(self, server_id: str) -> None:
        await self._conn.run(domains.kill, server_id)

    async def start(self, server_id: str) -> None:
        await self._conn.run(domains.start, server_id)

    async def stop(self, server_id: str, timeout_s: int) -> None:
        if timeout_s <= 0 or not await self._goes_down(server_id, timeout_s):
            await self._conn.run(domains.pull_plug, server_id)

    async def reboot(self, server_id: str, hard: bool) -> None:
        if hard or not await self._goes_down(server_id, SOFT_REBOOT_TIMEOUT_S):
            await self._conn.run(domains.pull_plug, server_id)
        await self._conn.run(domains.start, server_id)

    async def pause(self, server_id: str) -> None:
        await self._conn.run(domains.pause, server_id)

    async def unpause(self, server_id: str) -> None:
        await self._conn.run(domains.unpause, server_id)

    async def suspend(self, server_id: str) -> None:
        await self._conn.run(domains.suspend, server_id)

    async def resume(self, server_id: str) -> None:
        await self._conn.run(domains.resume, server_id)

    async def console_output(self, server_id: str, lines: int | None) -> str:
        path = self._paths.instance(server_id).console_log
        if not path.parent.exists():
            raise NotFound("The host has no such guest.", code="guest_not_found")
        return await self._conn.blocking(tail, path, lines)

    async def vnc(self, server_id: str) -> VncAddress:
        port = await self._conn.run(domains.vnc_port, server_id)
        return VncAddress(host=self._choice.vnc_listen, port=port)

    async def set_admin_password(self, server_id: str, user: str, password: str) -> None:
        await self._conn.run(guest_agent.set_password, server_id, user, password)

    async def diagnostics(self, server_id: str) -> Diagnostics:
        return await self._conn.run(diagnostics.of, server_id)

    async def guests(self) -> list[GuestState]:
        found = await self._conn.run(domains.ours, self._paths.state)
        known = {guest.server_id for guest in found}
        entries = [e.name for e in self._paths.instances.iterdir() if e.is_dir()]
        orphans = {name.removesuffix(ASIDE) for name in entries if name != "_base"}
        return found + [
            GuestState(server_id=name, power_state=PowerState.NOSTATE)
            for name in sorted(orphans - known)
        ]

    async def _choose(self) -> HostChoice:
        if not self._fixed:
            found = await choose_virt_type(self._choice.emulator, self._paths.self_test)
            self._choice = msgspec.structs.replace(self._choice, virt_type=found)
        return self._choice

    async def power_state(self, server_id: str) -> PowerState:
        return await self._conn.run(domains.power_state, server_id)

    async def _goes_down(self, server_id: str, timeout_s: float) -> bool:
        """Tell whether the guest is off after the power button was pressed, again and again."""
        if await self.power_state(server_id) is PowerState.PAUSED:
            return False  # it cannot hear the button
        end = self._clock.monotonic() + timeout_s
        while (left := end - self._clock.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._conn.run(domains.press_power_button, server_id)
            except TimeoutError:
                return False  # it hangs: the call ends with it
            if await self._waiter.until(server_id, OFF, min(left, BUTTON_AGAIN_S)):
                return True
        return False

    def _on_event(self, server_id: str, state: PowerState) -> None:
        self._waiter.tell(server_id)
        if self._paths.instance(server_id).root.exists():
            self._sink(server_id, state)

    def _on_health(self, ailment: str) -> None:
        """After a (re)connect: tell the present state of every guest, for events were lost."""
        self._health(ailment)
        if ailment:
            return
        task = asyncio.create_task(self._tell_all(), name="libvirt-resync")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell_all(self) -> None:
        try:
            for guest in await self._conn.run(domains.ours, self._paths.state):
                self._on_event(guest.server_id, guest.power_state)
        except Fault as why:
            log.warning("libvirt.resync", detail=why.detail)

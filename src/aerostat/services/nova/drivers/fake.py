"""A hypervisor without guests: as quick as a dict, for tests, for scale and for benchmarks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from aerostat.contracts.network import BoundPort
from aerostat.kit.errors import Conflict, NotFound, Unavailable
from aerostat.services.nova.drivers.base import HealthSink, LifecycleSink, NodeIdentity, unheard
from aerostat.services.nova.drivers.fake_moves import DISK_BYTES, FakeMoves
from aerostat.services.nova.drivers.fake_screen import FakeScreen
from aerostat.services.nova.drivers.image_source import ImageSource
from aerostat.services.nova.drivers.qcow2 import empty_qcow2
from aerostat.services.nova.drivers.uptime import booted_at
from aerostat.services.nova.model.guest import (
    Diagnostics,
    DiskUse,
    GuestSpec,
    GuestState,
    HostFacts,
    PowerState,
    VncAddress,
)

Hook = Callable[[str, str], Awaitable[None]]
"""Is awaited with (operation, server id) before the operation; whatever it raises is the result."""


class FakeInventory(Struct, frozen=True):
    """What the host claims to have; by default more than any test uses up."""

    vcpus: int = 1000
    ram_mib: int = 8_000_000
    disk_gb: int = 600_000


class _Line(Struct, frozen=True):
    """A line of the journal: a guest has this state, or is gone (None).

    `where`: here, aside (its disks wait for a move's end), or left (it runs elsewhere).
    """

    server_id: str
    power_state: PowerState | None
    where: str = "here"


class FakeDriver(FakeMoves):
    """Guests are entries of a dict; a journal on disk, if wanted, outlives a killed process."""

    def __init__(
        self,
        identity: NodeIdentity,
        *,
        inventory: FakeInventory | None = None,
        journal: Path | None = None,
        spawn_s: float = 0.0,
        before: Hook | None = None,
        images: ImageSource | None = None,
    ) -> None:
        super().__init__()
        self._identity, self._inventory = identity, inventory or FakeInventory()
        self._journal, self._spawn_s = journal, spawn_s
        self._sink: LifecycleSink = lambda server_id, state: None
        self._consoles: dict[str, list[str]] = {}
        self._screen = FakeScreen()
        self.states: dict[str, PowerState] = {}
        self.specs: dict[str, GuestSpec] = {}
        self.ports: dict[str, set[str]] = {}
        self.passwords: dict[str, tuple[str, str]] = {}
        self.before = before
        self.health: HealthSink = unheard
        self.images = images

    async def open(self, sink: LifecycleSink, health: HealthSink = unheard) -> None:
        self._sink, self.health = sink, health
        if self._journal is not None and self._journal.exists():
            self._replay(self._journal)

    async def close(self) -> None:
        self._sink = lambda server_id, state: None
        self._screen.close()

    async def facts(self) -> HostFacts:
        return HostFacts(
            host=self._identity.host,
            hypervisor_hostname=self._identity.hypervisor_hostname,
            hypervisor_type="fake",
            hypervisor_version=1000,
            host_ip=self._identity.host_ip,
            vcpus=self._inventory.vcpus,
            ram_mib=self._inventory.ram_mib,
            disk_gb=self._inventory.disk_gb,
            cpu_info={"arch": "x86_64", "model": "fake", "vendor": "fake", "features": []},
            traits=["COMPUTE_NODE", "HW_CPU_X86_SSE42"],
            booted_at=booted_at(),
        )

    async def spawn(self, spec: GuestSpec) -> None:
        await self._enter("spawn", spec.server_id)
        if spec.server_id in self.states:
            return
        if self._spawn_s:
            await asyncio.sleep(self._spawn_s)
        self.specs[spec.server_id] = spec
        self._boot(spec.server_id)

    async def destroy(self, server_id: str) -> None:
        await self._enter("destroy", server_id)
        self.aside.pop(server_id, None)
        self.left.discard(server_id)
        self.arriving.pop(server_id, None)
        self._gone(server_id)

    async def kill(self, server_id: str) -> None:
        await self._enter("kill", server_id)
        if server_id in self.states:
            self._move(server_id, PowerState.SHUTDOWN)

    def _gone(self, server_id: str) -> None:
        """Let the host have no guest of this id, whatever waits aside."""
        if self.states.pop(server_id, None) is not None:
            self.specs.pop(server_id, None)
            self._consoles.pop(server_id, None)
            self.passwords.pop(server_id, None)
            self._sink(server_id, PowerState.SHUTDOWN)
        self._note(server_id)

    async def start(self, server_id: str) -> None:
        await self._enter("start", server_id)
        if self._state(server_id) is not PowerState.RUNNING:
            self._boot(server_id)

    async def stop(self, server_id: str, timeout_s: int) -> None:
        await self._enter("stop", server_id)
        self._move(server_id, PowerState.SHUTDOWN)

    async def reboot(self, server_id: str, hard: bool) -> None:
        await self._enter("reboot", server_id)
        self._move(server_id, PowerState.SHUTDOWN)
        self._boot(server_id)

    async def pause(self, server_id: str) -> None:
        await self._enter("pause", server_id)
        self._turn(server_id, PowerState.RUNNING, PowerState.PAUSED)

    async def unpause(self, server_id: str) -> None:
        await self._enter("unpause", server_id)
        self._turn(server_id, PowerState.PAUSED, PowerState.RUNNING)

    async def suspend(self, server_id: str) -> None:
        await self._enter("suspend", server_id)
        self._turn(server_id, PowerState.RUNNING, PowerState.SUSPENDED)

    async def resume(self, server_id: str) -> None:
        await self._enter("resume", server_id)
        self._turn(server_id, PowerState.SUSPENDED, PowerState.RUNNING)

    async def snapshot(self, server_id: str, disk_format: str, path: str) -> None:
        await self._enter("snapshot", server_id)
        self._state(server_id)
        if self.images is None:
            raise Unavailable("The fake host was given no image API.")
        data = empty_qcow2(DISK_BYTES) if disk_format == "qcow2" else bytes(DISK_BYTES)

        async def once() -> AsyncIterator[bytes]:
            yield data

        await self.images.upload(path, once())

    async def rescue(self, spec: GuestSpec) -> None:
        await self._enter("rescue", spec.server_id)
        self._state(spec.server_id)
        self._boot(spec.server_id)

    async def unrescue(self, server_id: str) -> None:
        await self._enter("unrescue", server_id)
        self._state(server_id)
        self._boot(server_id)

    async def attach_interface(self, server_id: str, port: BoundPort) -> None:
        await self._enter("attach_interface", server_id)
        self._state(server_id)
        self.ports.setdefault(server_id, set()).add(port.port_id)

    async def detach_interface(self, server_id: str, port: BoundPort) -> None:
        await self._enter("detach_interface", server_id)
        self._state(server_id)
        self.ports.get(server_id, set()).discard(port.port_id)

    async def console_output(self, server_id: str, lines: int | None) -> str:
        self._state(server_id)
        log = self._consoles.get(server_id, [])
        return "".join(log if lines is None else log[-lines:] if lines > 0 else [])

    async def vnc(self, server_id: str) -> VncAddress:
        if self._state(server_id) is not PowerState.RUNNING:
            raise Conflict("The guest is not running.", code="guest_not_running")
        return await self._screen.address()

    async def diagnostics(self, server_id: str) -> Diagnostics:
        """A fake guest does nothing with what it has."""
        state, spec = self._state(server_id), self.specs.get(server_id)
        cpus, memory = (spec.vcpus, spec.ram_mib) if spec else (0, 0)
        disk = DiskUse("vda", 0, 0, 0, 0, 0)
        return Diagnostics(state, "fake", [0] * cpus, memory, 0, [disk], [])

    async def set_admin_password(self, server_id: str, user: str, password: str) -> None:
        await self._enter("set_admin_password", server_id)
        if self._state(server_id) is not PowerState.RUNNING:
            raise Conflict("The guest is not running.", code="guest_not_running")
        self.passwords[server_id] = (user, password)

    async def power_state(self, server_id: str) -> PowerState:
        return self._state(server_id)

    async def guests(self) -> list[GuestState]:
        waiting = {key: PowerState.NOSTATE for key in self.aside if key not in self.states}
        found = {**self.states, **waiting}
        return [GuestState(server_id=key, power_state=state) for key, state in found.items()]

    def crash(self, server_id: str) -> None:
        """Let the guest go down by itself, as a guest that powers off does."""
        self._move(server_id, PowerState.SHUTDOWN)

    async def _enter(self, operation: str, server_id: str) -> None:
        if self.before is not None:
            await self.before(operation, server_id)

    def _state(self, server_id: str) -> PowerState:
        if server_id not in self.states:
            raise NotFound(f"Instance {server_id} could not be found.", code="guest_not_found")
        return self.states[server_id]

    def _turn(self, server_id: str, old: PowerState, new: PowerState) -> None:
        if self._state(server_id) not in (old, new):
            raise Conflict(f"The guest is not {old.value}.", code="guest_state")
        self._move(server_id, new)

    def _move(self, server_id: str, new: PowerState) -> None:
        if self._state(server_id) is not new:
            self._set(server_id, new)

    def _boot(self, server_id: str) -> None:
        self._consoles[server_id] = [
            *(f"fake guest: {n}\n" for n in range(12)),
            f"{server_id} login: \n",
        ]
        self._set(server_id, PowerState.RUNNING)

    def _set(self, server_id: str, state: PowerState) -> None:
        self.states[server_id] = state
        self._note(server_id)
        self._sink(server_id, state)

    def _note(self, server_id: str) -> None:
        """Let the journal know how the guest is."""
        if self._journal is not None:
            lines = b"".join(msgspec.json.encode(line) + b"\n" for line in self._lines(server_id))
            with self._journal.open("ab") as file:
                file.write(lines)

    def _lines(self, server_id: str) -> list[_Line]:
        found = [_Line(server_id, None)]
        if server_id in self.states:
            found.append(_Line(server_id, self.states[server_id]))
        if server_id in self.aside:
            found.append(_Line(server_id, self.aside[server_id], "aside"))
        if server_id in self.left:
            found.append(_Line(server_id, PowerState.NOSTATE, "left"))
        return found

    def _replay(self, journal: Path) -> None:
        for raw in journal.read_bytes().splitlines():
            try:
                line = msgspec.json.decode(raw, type=_Line)
            except msgspec.DecodeError:
                continue  # the last line of a killed process
            if line.power_state is None:
                self.states.pop(line.server_id, None)
                self.aside.pop(line.server_id, None)
                self.left.discard(line.server_id)
            elif line.where == "left":
                self.left.add(line.server_id)
            else:
                place = self.aside if line.where == "aside" else self.states
                place[line.server_id] = line.power_state
        known = {*self.states, *self.aside, *self.left}
        kept = [msgspec.json.encode(line) for key in known for line in self._lines(key)]
        part = journal.with_suffix(".part")
        part.write_bytes(b"".join(line + b"\n" for line in kept))
        part.replace(journal)

"""What nova-compute asks of a hypervisor; every driver passes one and the same test suite."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from aerostat.contracts.network import BoundPort
from aerostat.services.nova.model.guest import (
    Diagnostics,
    GuestSpec,
    GuestState,
    HostFacts,
    PowerState,
    VncAddress,
)
from aerostat.services.nova.model.migration import MigrationStats
from aerostat.services.nova.model.moving import DiskOffer, LiveTarget

LifecycleSink = Callable[[str, PowerState], None]
"""Is told (server id, new state); called in the event loop, returns at once."""

HealthSink = Callable[[str], None]
"""Is told what keeps the hypervisor from working, "" when nothing does any more; in the loop."""


def unheard(_ailment: str) -> None:
    """Be told of the hypervisor's health, and do nothing about it."""


class NodeIdentity(Struct, frozen=True):
    """Who this node is: its names for the control plane and its address for the other nodes."""

    host: str
    hypervisor_hostname: str
    host_ip: str


class MovingDriver(Protocol):
    """What a hypervisor does for guests that change hosts; agent.moving.ComputeMoves tells what.

    Raises besides what Driver says: BadRequest (a disk would have to shrink, no live migration
    here), Conflict (given up).
    """

    async def set_aside(self, server_id: str, timeout_s: int) -> None: ...

    async def offer(self, server_id: str, aside: bool) -> DiskOffer: ...

    async def withdraw(self, server_id: str) -> None: ...

    async def take_over(self, spec: GuestSpec, offer: DiskOffer, start: bool) -> None: ...

    async def take_back(self, server_id: str, start: bool) -> None: ...

    async def forget_aside(self, server_id: str) -> None: ...

    async def live_target(self, spec: GuestSpec, offer: DiskOffer) -> LiveTarget: ...

    async def live_prepare(self, spec: GuestSpec, offer: DiskOffer, shared: bool) -> None: ...

    async def live_migrate(
        self, server_id: str, target: LiveTarget, copy_disks: bool
    ) -> MigrationStats: ...

    async def live_stats(self, server_id: str) -> MigrationStats: ...

    async def live_abort(self, server_id: str) -> bool: ...

    async def live_force(self, server_id: str) -> None: ...

    async def live_arrived(self, spec: GuestSpec) -> None: ...

    async def forget_guest(self, server_id: str, keep_files: bool) -> None: ...

    def shares_storage(self, offer: DiskOffer) -> bool: ...

    async def has_files(self, server_id: str) -> bool: ...

    async def adopt(self, spec: GuestSpec, start: bool) -> None: ...


class Driver(MovingDriver, Protocol):
    """A hypervisor. Every method may be called twice with one effect.

    Raises everywhere: NotFound (no such guest), Conflict (the guest's state does not allow it),
    Unavailable (the hypervisor is out of reach; code SILENT: it has been so for a while).
    """

    async def open(self, sink: LifecycleSink, health: HealthSink = unheard) -> None:
        """Be ready, and report every change of a guest's state to `sink` from now on.

        `health` is told from now on too, also when this raises: the driver goes on trying.
        """
        ...

    async def close(self) -> None:
        """Let go of the hypervisor; guests go on running."""
        ...

    async def facts(self) -> HostFacts: ...

    async def spawn(self, spec: GuestSpec) -> None:
        """Make the disks, define and start the guest; one that is there already stays as it is.

        Raises: BadRequest (image or flavor do not fit), NoValidHost (no room for the disks).
        """
        ...

    async def destroy(self, server_id: str) -> None:
        """Leave nothing of the guest on the host, however little of it there is."""
        ...

    async def kill(self, server_id: str) -> None:
        """Let the guest not run, though it hang; what waits for it ends. Absence is fine."""
        ...

    async def start(self, server_id: str) -> None: ...

    async def stop(self, server_id: str, timeout_s: int) -> None: ...

    async def reboot(self, server_id: str, hard: bool) -> None: ...

    async def pause(self, server_id: str) -> None: ...

    async def unpause(self, server_id: str) -> None: ...

    async def suspend(self, server_id: str) -> None: ...

    async def resume(self, server_id: str) -> None: ...

    async def snapshot(self, server_id: str, disk_format: str, path: str) -> None:
        """Upload the root disk as it is at one moment, to `path` of the image API."""
        ...

    async def rescue(self, spec: GuestSpec) -> None: ...

    async def unrescue(self, server_id: str) -> None: ...

    async def attach_interface(self, server_id: str, port: BoundPort) -> None: ...

    async def detach_interface(self, server_id: str, port: BoundPort) -> None: ...

    async def console_output(self, server_id: str, lines: int | None) -> str: ...

    async def vnc(self, server_id: str) -> VncAddress: ...

    async def diagnostics(self, server_id: str) -> Diagnostics: ...

    async def set_admin_password(self, server_id: str, user: str, password: str) -> None:
        """Give a user of the running guest a password.

        Raises: Conflict (also if it has no agent), Unsupported (its agent does not answer).
        """
        ...

    async def power_state(self, server_id: str) -> PowerState:
        """Return how the guest is right now."""
        ...

    async def guests(self) -> list[GuestState]:
        """Return every guest of this host; NOSTATE for files (also aside) without a guest."""
        ...

"""The two ends of nova on the bus: the host's, and the control plane's as hosts see it."""

from typing import Protocol

from aerostat.contracts.network import BoundPort
from aerostat.kit.bus.endpoint import Endpoint
from aerostat.services.nova.model.guest import (
    Diagnostics,
    GuestSpec,
    GuestState,
    HostFacts,
    PowerState,
    VncAddress,
)


class ComputeHost(Protocol):
    """nova-compute. Every method may be called twice with one effect.

    Raises everywhere: NotFound (the host has no such guest), Unavailable (retry).
    """

    async def facts(self) -> HostFacts: ...

    async def spawn(self, *, spec: GuestSpec) -> None:
        """Fetch the image, make the disks, define and start the guest; return once it runs.

        A guest that is there already is left as it is. Raises: BadRequest (image or flavor do not
        fit), NoValidHost (no room for the disks).
        """
        ...

    async def destroy(self, *, server_id: str) -> None:
        """Stop and undefine the guest and remove its files; an absent guest is not an error."""
        ...

    async def start(self, *, server_id: str) -> None: ...

    async def stop(self, *, server_id: str, timeout_s: int) -> None:
        """Press the power button, and pull the plug after `timeout_s`; 0 pulls it at once."""
        ...

    async def reboot(self, *, server_id: str, hard: bool) -> None: ...

    async def pause(self, *, server_id: str) -> None: ...

    async def unpause(self, *, server_id: str) -> None: ...

    async def suspend(self, *, server_id: str) -> None: ...

    async def resume(self, *, server_id: str) -> None: ...

    async def console_output(self, *, server_id: str, lines: int | None) -> str:
        """Return the last `lines` lines of the serial console, all of them for None."""
        ...

    async def vnc(self, *, server_id: str) -> VncAddress: ...

    async def diagnostics(self, *, server_id: str) -> Diagnostics:
        """Return what the guest uses right now."""
        ...

    async def snapshot(self, *, server_id: str, disk_format: str, path: str) -> None:
        """Upload the root disk as it is at one moment; the guest goes on.

        `path` is under the image API and holds a ticket. Raises: Conflict (the image has data).
        """
        ...

    async def rescue(self, *, spec: GuestSpec) -> None:
        """Boot the guest from the image of `spec`, its own root disk as the second one."""
        ...

    async def unrescue(self, *, server_id: str) -> None:
        """Boot the guest from its own disk again; one that does already is only started."""
        ...

    async def attach_interface(self, *, server_id: str, port: BoundPort) -> None:
        """Plug a port into the guest, running or not; plugging twice is fine."""
        ...

    async def detach_interface(self, *, server_id: str, port: BoundPort) -> None:
        """Unplug a port from the guest; one that is not plugged is fine."""
        ...

    async def set_admin_password(self, *, server_id: str, user: str, password: str) -> None:
        """Give a user of the running guest a password.

        Raises: Conflict (off, or without an agent), Unsupported (its agent does not answer).
        """
        ...

    async def guests(self) -> list[GuestState]:
        """Return every guest that the host has, running or not."""
        ...


class ComputeControl(Protocol):
    """What a host tells the control plane."""

    async def host_up(self, *, host: str, facts: HostFacts, guests: list[GuestState]) -> list[str]:
        """The host started (or came back), or wants to compare: its facts and what it runs.

        Returns the servers that are known in another power state: their reports are wanted.
        """
        ...

    async def heartbeat(self, *, host: str, ailment: str = "") -> None:
        """The host is there; `ailment` is what keeps its hypervisor from working, if anything."""
        ...

    async def lifecycle(self, *, host: str, server_id: str, power_state: PowerState) -> bool:
        """The hypervisor reports a change; never polled.

        False: the server is being worked on, which may end as if this had not happened; it is to
        be told again.
        """
        ...


compute_host: Endpoint[ComputeHost] = Endpoint("nova-compute", ComputeHost)
compute_control: Endpoint[ComputeControl] = Endpoint("nova-conductor", ComputeControl)

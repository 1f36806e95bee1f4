"""The host's end of moves: disks set aside and taken over, guests carried while they run."""

from typing import Protocol

from aerostat.kit.bus.endpoint import Bus, Endpoint
from aerostat.services.nova.agent.guest_locks import GuestLocks
from aerostat.services.nova.drivers.base import Driver
from aerostat.services.nova.model.guest import GuestSpec
from aerostat.services.nova.model.migration import MigrationStats
from aerostat.services.nova.model.moving import DiskOffer, LiveTarget


class ComputeMoves(Protocol):
    """nova-compute, for guests that change hosts. Every method may be called twice.

    Raises everywhere: NotFound (the host has no such guest), Unavailable (retry).
    """

    async def set_aside(self, *, server_id: str, timeout_s: int) -> None:
        """Stop the guest and put its files aside, where nothing but a move finds them."""
        ...

    async def offer(self, *, server_id: str, aside: bool) -> DiskOffer:
        """Let another host take the guest's files (those set aside, or those in place).

        A later offer replaces an earlier one.
        """
        ...

    async def withdraw(self, *, server_id: str) -> None:
        """Let nobody take the guest's files any more."""
        ...

    async def take_over(self, *, spec: GuestSpec, offer: DiskOffer, start: bool) -> None:
        """Take the files, let the disks fit the flavor, define the guest, and start it.

        Raises: BadRequest (a disk would have to shrink), NoValidHost (no room).
        """
        ...

    async def take_back(self, *, server_id: str, start: bool) -> None:
        """Put the files that were set aside back, define the guest again, and start it.

        Without files aside the guest is only started, if it is there.
        """
        ...

    async def forget_aside(self, *, server_id: str) -> None:
        """Remove the files that were set aside; absence is fine."""
        ...

    async def live_target(self, *, spec: GuestSpec, offer: DiskOffer) -> LiveTarget:
        """Tell how this host would receive the running guest; changes nothing.

        Raises: BadRequest (it cannot), Conflict (it has a guest of that id).
        """
        ...

    async def live_prepare(self, *, spec: GuestSpec, offer: DiskOffer, shared: bool) -> None:
        """Make what the arriving guest needs beside its memory: directory, images, disks."""
        ...

    async def live_migrate(
        self, *, server_id: str, target: LiveTarget, copy_disks: bool
    ) -> MigrationStats:
        """Carry the running guest away; return once it runs there, and not here.

        `copy_disks`: its disks go with it, for the hosts share no storage.

        Raises: Conflict (given up; it goes on here), Unavailable (it failed; it goes on here).
        """
        ...

    async def live_stats(self, *, server_id: str) -> MigrationStats:
        """Return how far the running migration is. Raises: Conflict (there is none)."""
        ...

    async def live_abort(self, *, server_id: str) -> bool:
        """Give up a running migration; tell whether the guest is still here afterwards."""
        ...

    async def live_force(self, *, server_id: str) -> None:
        """Let the guest stand still, so that its migration ends. Raises: Conflict (none)."""
        ...

    async def live_arrived(self, *, spec: GuestSpec) -> None:
        """Keep the guest that arrived: it is this host's from now on."""
        ...

    async def forget_guest(self, *, server_id: str, keep_files: bool) -> None:
        """Forget a guest that runs elsewhere; its files too, unless the other host uses them."""
        ...

    async def shares_storage(self, *, offer: DiskOffer) -> bool:
        """Tell whether this host sees the files of the offer as they are."""
        ...

    async def has_files(self, *, server_id: str) -> bool:
        """Tell whether the disks of the guest can be seen from this host."""
        ...

    async def adopt(self, *, spec: GuestSpec, start: bool) -> None:
        """Define the guest over the disks that are there already, and start it."""
        ...


compute_moves: Endpoint[ComputeMoves] = Endpoint("nova-compute-moves", ComputeMoves)


async def free(driver: Driver, locks: GuestLocks, server_id: str) -> None:
    """Pull the plug of a guest on which an operation is under way, so that it ends.

    For those who want the guest off: it may hang, and its lock would be held for good.
    """
    if locks.held(server_id):
        await driver.kill(server_id)


class MovingAgent:
    """Implements ComputeMoves over a driver, under the same locks as everything else."""

    def __init__(self, driver: Driver, locks: GuestLocks) -> None:
        self._driver, self._locks = driver, locks

    def serve(self, bus: Bus, host: str) -> None:
        """Answer on the bus for `host`."""
        compute_moves.serve(bus, self, host)

    async def set_aside(self, *, server_id: str, timeout_s: int) -> None:
        async with self._locks.hold(server_id):
            await self._driver.set_aside(server_id, timeout_s)

    async def offer(self, *, server_id: str, aside: bool) -> DiskOffer:
        return await self._driver.offer(server_id, aside)

    async def withdraw(self, *, server_id: str) -> None:
        await self._driver.withdraw(server_id)

    async def take_over(self, *, spec: GuestSpec, offer: DiskOffer, start: bool) -> None:
        async with self._locks.hold(spec.server_id):
            await self._driver.take_over(spec, offer, start)

    async def take_back(self, *, server_id: str, start: bool) -> None:
        async with self._locks.hold(server_id):
            await self._driver.take_back(server_id, start)

    async def forget_aside(self, *, server_id: str) -> None:
        async with self._locks.hold(server_id):
            await self._driver.forget_aside(server_id)

    async def live_target(self, *, spec: GuestSpec, offer: DiskOffer) -> LiveTarget:
        return await self._driver.live_target(spec, offer)

    async def live_prepare(self, *, spec: GuestSpec, offer: DiskOffer, shared: bool) -> None:
        async with self._locks.hold(spec.server_id):
            await self._driver.live_prepare(spec, offer, shared)

    async def live_migrate(
        self, *, server_id: str, target: LiveTarget, copy_disks: bool
    ) -> MigrationStats:
        async with self._locks.hold(server_id):
            return await self._driver.live_migrate(server_id, target, copy_disks)

    async def live_stats(self, *, server_id: str) -> MigrationStats:
        return await self._driver.live_stats(server_id)

    async def live_abort(self, *, server_id: str) -> bool:
        return await self._driver.live_abort(server_id)

    async def live_force(self, *, server_id: str) -> None:
        await self._driver.live_force(server_id)

    async def live_arrived(self, *, spec: GuestSpec) -> None:
        async with self._locks.hold(spec.server_id):
            await self._driver.live_arrived(spec)

    async def forget_guest(self, *, server_id: str, keep_files: bool) -> None:
        await free(self._driver, self._locks, server_id)
        async with self._locks.hold(server_id):
            await self._driver.forget_guest(server_id, keep_files)

    async def shares_storage(self, *, offer: DiskOffer) -> bool:
        return self._driver.shares_storage(offer)

    async def has_files(self, *, server_id: str) -> bool:
        return await self._driver.has_files(server_id)

    async def adopt(self, *, spec: GuestSpec, start: bool) -> None:
        async with self._locks.hold(spec.server_id):
            await self._driver.adopt(spec, start)

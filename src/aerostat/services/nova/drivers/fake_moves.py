"""How fake guests change hosts: what is aside, what is arriving, what has left."""

import asyncio
from collections.abc import Callable

from aerostat.kit.errors import Conflict, NotFound
from aerostat.services.nova.drivers.base import NodeIdentity
from aerostat.services.nova.model.guest import GuestSpec, PowerState
from aerostat.services.nova.model.migration import MigrationStats
from aerostat.services.nova.model.moving import DiskOffer, LiveTarget

DISK_BYTES = 1 << 20
DONE = MigrationStats(
    memory_total_bytes=DISK_BYTES,
    memory_processed_bytes=DISK_BYTES,
    elapsed_ms=1,
    downtime_ms=0,
)


class FakeMoves:
    """The moving half of FakeDriver, over its dicts.

    `live_s`: seconds that a live migration takes; it can be given up or forced meanwhile. A guest's
    memory is its power state, which the URL of an offer holds.
    """

    states: dict[str, PowerState]
    specs: dict[str, GuestSpec]
    _identity: NodeIdentity
    _boot: Callable[[str], None]
    _set: Callable[[str, PowerState], None]
    _gone: Callable[[str], None]
    _note: Callable[[str], None]

    def __init__(self) -> None:
        self.live_s = 0.0
        self.aside: dict[str, PowerState] = {}
        self.left: set[str] = set()
        self.arriving: dict[str, DiskOffer] = {}
        self._flights: dict[str, asyncio.Future[bool]] = {}

    async def _enter(self, operation: str, server_id: str) -> None:
        raise NotImplementedError

    async def set_aside(self, server_id: str, timeout_s: int) -> None:
        await self._enter("set_aside", server_id)
        if server_id in self.aside:
            return
        if server_id not in self.states:
            raise NotFound(f"Instance {server_id} could not be found.", code="guest_not_found")
        self.aside[server_id] = self.states[server_id]
        self._gone(server_id)
        self._note(server_id)

    async def offer(self, server_id: str, aside: bool) -> DiskOffer:
        await self._enter("offer", server_id)
        if server_id not in (self.aside if aside else self.states):
            raise NotFound(f"Instance {server_id} could not be found.", code="guest_not_found")
        state = PowerState.SHUTDOWN if aside else self.states[server_id]
        return DiskOffer(url=state, files=["disk"], disk_bytes=DISK_BYTES)

    async def withdraw(self, server_id: str) -> None:
        await self._enter("withdraw", server_id)

    async def take_over(self, spec: GuestSpec, offer: DiskOffer, start: bool) -> None:
        await self._enter("take_over", spec.server_id)
        await self.adopt(spec, start)

    async def take_back(self, server_id: str, start: bool) -> None:
        await self._enter("take_back", server_id)
        if self.aside.pop(server_id, None) is not None:
            self._set(server_id, PowerState.SHUTDOWN)
        if start and self.states.get(server_id) is PowerState.SHUTDOWN:
            self._boot(server_id)

    async def forget_aside(self, server_id: str) -> None:
        await self._enter("forget_aside", server_id)
        if self.aside.pop(server_id, None) is not None:
            self._note(server_id)

    async def live_target(self, spec: GuestSpec, offer: DiskOffer) -> LiveTarget:
        await self._enter("live_target", spec.server_id)
        if spec.server_id in self.states:
            raise Conflict("The destination has the guest already.", code="guest_exists")
        uri = f"fake://{self._identity.host}"
        return LiveTarget(uri=uri, data_uri=uri, state_dir="", vnc_listen="127.0.0.1")

    async def live_prepare(self, spec: GuestSpec, offer: DiskOffer, shared: bool) -> None:
        await self._enter("live_prepare", spec.server_id)
        self.arriving[spec.server_id] = offer

    async def live_migrate(
        self, server_id: str, target: LiveTarget, copy_disks: bool
    ) -> MigrationStats:
        await self._enter("live_migrate", server_id)
        if server_id in self.left:
            return DONE
        if server_id not in self.states:
            raise NotFound(f"Instance {server_id} could not be found.", code="guest_not_found")
        if self.live_s and await self._flight(server_id):
            raise Conflict("The migration was given up.", code="migration_aborted")
        self.left.add(server_id)
        self._gone(server_id)
        self._note(server_id)
        return DONE

    async def _flight(self, server_id: str) -> bool:
        """Tell whether the flight was given up before its time was over."""
        self._flights[server_id] = asyncio.get_running_loop().create_future()
        try:
            return await asyncio.wait_for(self._flights[server_id], self.live_s)
        except TimeoutError:
            return False
        finally:
            del self._flights[server_id]

    def _end(self, server_id: str, given_up: bool) -> None:
        flight = self._flights.get(server_id)
        if flight is None:
            raise Conflict("No migration of the guest is running.", code="no_migration")
        if not flight.done():
            flight.set_result(given_up)

    async def live_stats(self, server_id: str) -> MigrationStats:
        if server_id not in self._flights:
            raise Conflict("No migration of the guest is running.", code="no_migration")
        return MigrationStats(
            memory_total_bytes=DISK_BYTES,
            memory_processed_bytes=DISK_BYTES // 2,
            memory_remaining_bytes=DISK_BYTES // 2,
        )

    async def live_abort(self, server_id: str) -> bool:
        await self._enter("live_abort", server_id)
        if server_id in self._flights:
            self._end(server_id, True)
        return server_id in self.states

    async def live_force(self, server_id: str) -> None:
        await self._enter("live_force", server_id)
        self._end(server_id, False)

    async def live_arrived(self, spec: GuestSpec) -> None:
        await self._enter("live_arrived", spec.server_id)
        offer = self.arriving.pop(spec.server_id, None)
        if spec.server_id in self.states:
            return
        self.specs[spec.server_id] = spec
        if offer is not None and offer.url == PowerState.PAUSED:
            self._set(spec.server_id, PowerState.PAUSED)
        else:
            self._boot(spec.server_id)

    async def forget_guest(self, server_id: str, keep_files: bool) -> None:
        await self._enter("forget_guest", server_id)
        self.left.discard(server_id)
        self.arriving.pop(server_id, None)
        self._gone(server_id)

    def shares_storage(self, offer: DiskOffer) -> bool:
        return False

    async def has_files(self, server_id: str) -> bool:
        return False

    async def adopt(self, spec: GuestSpec, start: bool) -> None:
        await self._enter("adopt", spec.server_id)
        if spec.server_id in self.states:
            return
        self.specs[spec.server_id] = spec
        if start:
            self._boot(spec.server_id)
        else:
            self._set(spec.server_id, PowerState.SHUTDOWN)

"""What nova does for hosts and for the other services."""

from aerostat.contracts.compute import MetadataReply
from aerostat.contracts.placement import InventoryFacts
from aerostat.kit.context import system_context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, NotFound
from aerostat.kit.ids import request_id
from aerostat.kit.log import Logger
from aerostat.services.nova.db import hosts
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.domain import live, metadata, snapshots
from aerostat.services.nova.model.guest import GuestState, HostFacts, PowerState
from aerostat.services.nova.model.server import STATE_OF_POWER, Server, VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.outlooks import Outlooks
from aerostat.services.nova.sagas.scheduling import choose

log = Logger("nova.conductor")
RESTING = frozenset(STATE_OF_POWER.values())
"""States that follow what the hypervisor says."""

POWERED = (VmState.RESIZED, VmState.RESCUED, VmState.SHELVED)
"""States that stay, whether the guest is on or off."""


class Conductor:
    """What hosts tell nova (agent.endpoint.ComputeControl)."""

    def __init__(self, nova: Nova) -> None:
        self._nova = nova

    async def host_up(self, *, host: str, facts: HostFacts, guests: list[GuestState]) -> list[str]:
        """Write the host down, offer it to placement; return whose state is known differently."""
        if facts.host != host:
            raise BadRequest("A host reports itself alone.", field="host")
        nova = self._nova
        found = await nova.db.write(hosts.register, facts, nova.ids(), nova.ids(), nova.clock.now())
        await nova.placement.ensure_provider(
            provider_id=found.uuid,
            name=facts.hypervisor_hostname,
            inventories=self._inventories(facts),
            traits=facts.traits,
        )
        await nova.db.write(live.clean_up, nova, facts.host, [g.server_id for g in guests])
        await nova.db.write(hosts.follow_health, facts.host, "")
        log.info("nova.host_up", host=facts.host, guests=len(guests))
        return await nova.db.read(self._unlike, facts.host, guests)

    def _inventories(self, facts: HostFacts) -> dict[str, InventoryFacts]:
        c = self._nova.config
        return {
            "VCPU": InventoryFacts(
                facts.vcpus, max_unit=facts.vcpus, allocation_ratio=c.cpu_allocation_ratio
            ),
            "MEMORY_MB": InventoryFacts(
                facts.ram_mib,
                reserved=min(facts.reserved_ram_mib, facts.ram_mib - 1),
                max_unit=facts.ram_mib,
                allocation_ratio=c.ram_allocation_ratio,
            ),
            "DISK_GB": InventoryFacts(
                facts.disk_gb, max_unit=facts.disk_gb, allocation_ratio=c.disk_allocation_ratio
            ),
        }

    def _unlike(self, tx: Tx, host: str, guests: list[GuestState]) -> list[str]:
        """Return the servers of a host whose rows do not say what its guests are."""
        power = {g.server_id: g.power_state for g in guests}
        return [
            server.uuid
            for server in rows.on_host(tx, host)
            if server.power_state != power.get(server.uuid, PowerState.SHUTDOWN)
        ]

    def _settle(self, tx: Tx, host: str, uuid: str, power: PowerState) -> None:
        """Let a server at rest follow its guest; one that is worked on is left to its saga.

        What a host says of a server that is another's by now does not count.
        """
        try:
            server = rows.get(tx, uuid)
        except NotFound:
            return
        state = STATE_OF_POWER.get(power)
        suspended = server.vm_state == "suspended" and power == PowerState.SHUTDOWN
        if server.task_state is not None or server.host != host:
            return
        if server.vm_state not in RESTING:
            if server.vm_state in POWERED and server.power_state != power:
                rows.change(tx, uuid, self._nova.clock.now(), power_state=power)
            return
        if state is None or suspended:
            return
        if (server.vm_state, server.power_state) != (state, power):
            rows.change(tx, uuid, self._nova.clock.now(), vm_state=state, power_state=power)

    async def heartbeat(self, *, host: str, ailment: str = "") -> None:
        """Write down that the host is alive, whether it is well, and what is due on it by now."""
        nova = self._nova

        def write(tx: Tx) -> None:
            hosts.seen(tx, host, "nova-compute", nova.ids(), nova.clock.now())
            if ailment:
                hosts.follow_health(tx, host, ailment)
            else:
                live.settle(tx, nova, host)
            live.confirm_overdue(tx, nova, host)
            snapshots.offload_overdue(tx, nova, system_context(request_id()), host)

        await nova.db.write(write)

    async def lifecycle(self, *, host: str, server_id: str, power_state: PowerState) -> bool:
        """Let the server follow what the hypervisor says of its guest; False while it is busy."""
        log.info("nova.lifecycle", host=host, server_id=server_id, power_state=power_state)
        if power_state == PowerState.RUNNING:
            await live.follow(self._nova, host, server_id)

        def follow(tx: Tx) -> bool:
            if rows.is_busy(tx, server_id):
                return False
            self._settle(tx, host, server_id, power_state)
            if power_state == PowerState.RUNNING:
                live.remove_strangers(tx, self._nova, host, [server_id])
            return True

        return await self._nova.db.write(follow)


class Scheduler:
    """nova-scheduler: sagas.scheduling.Scheduler."""

    def __init__(self, nova: Nova) -> None:
        self._nova, self._outlooks = nova, Outlooks(nova)

    async def select_host(self, *, server: Server, generation: int) -> str:
        """Claim the best host for the server and return its name."""
        return await choose(self._nova, self._outlooks, server, generation)


class MetadataProvides:
    """contracts.compute.Metadata."""

    def __init__(self, nova: Nova) -> None:
        self._nova = nova

    async def get(self, *, server_id: str, path: str, address: str) -> MetadataReply:
        """Answer `GET path` of a guest."""
        return await metadata.answer(self._nova, server_id, path)

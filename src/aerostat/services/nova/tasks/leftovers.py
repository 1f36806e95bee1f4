"""Takes back what servers left behind that are gone: claims, ports, guests.

Every saga undoes what it did; yet a message may outlive the call that sent it. A claim, or a
guest's start, that was on its way when its server was deleted arrives after everything was given
back. Nobody is told of it, so it is looked for. Only what belonged to a server that this cloud
knows to be gone is touched: whatever is unknown here is an operator's matter (`doctor --audit`).
Source: nova's [DEFAULT] running_deleted_instance_action, placement's audit of nova-manage.
"""

import asyncio

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault, NotFound
from aerostat.kit.log import Logger
from aerostat.services.nova.agent.endpoint import compute_host
from aerostat.services.nova.db import hosts, moves
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.runtime import Nova

log = Logger("nova.leftovers")
CALL_TIMEOUT_S = 30.0


class Leftovers:
    """Sweeps now and then. Several conductors may: each part may be done twice."""

    def __init__(self, nova: Nova) -> None:
        self._nova = nova
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Sweep from now on, first after one interval."""
        self._task = asyncio.create_task(self._run(), name="nova-leftovers")

    async def stop(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._nova.config.leftovers_interval_s)
            try:
                await sweep(self._nova)
            except Fault as why:
                log.warning("leftovers.unswept", code=why.code, detail=why.detail)


async def sweep(nova: Nova) -> list[str]:
    """Take everything back that servers left which are gone; return what that was, as sentences.

    Raises: Unavailable (placement or neutron). A host that does not answer is left for next time.
    """
    found = await _claims(nova) + await _ports(nova)
    for host in await _hosts_up(nova):
        try:
            found += await _guests(nova, host)
        except Fault as why:
            log.info("leftovers.host_unswept", host=host, code=why.code)
    for what in found:
        log.warning("leftovers.taken_back", what=what)
    return found


async def _claims(nova: Nova) -> list[str]:
    held = list(await nova.placement.holders())
    gone = await nova.db.read(rows.gone, held)
    for server_id in gone:
        await nova.placement.release(consumer_id=server_id)
    strays = await nova.db.read(_strays, held)
    for move, back in strays.items():
        if back is None:
            await nova.placement.release(consumer_id=move)
        else:
            await nova.placement.transfer(from_id=move, to_id=back)
    return [f"claim of {server_id}" for server_id in gone] + [
        f"claim of move {move}, for {back or 'nobody'}" for move, back in strays.items()
    ]


def _strays(tx: Tx, held: list[str]) -> dict[str, str | None]:
    """Return moves that are over and hold something, each with the server that lacks it, if one.

    A server's claim that was handed to its move is handed over again when that message comes
    twice, the second time after the move.
    """
    found: dict[str, str | None] = {}
    for move in moves.over_among(tx, held):
        try:
            server = rows.get(tx, move.instance_uuid)
        except NotFound:
            found[move.uuid] = None
            continue
        if server.task_state is None:
            lacks = server.host is not None and server.uuid not in held
            found[move.uuid] = server.uuid if lacks else None
    return found


async def _ports(nova: Nova) -> list[str]:
    gone = await nova.db.read(rows.gone, await nova.network.holders())
    for server_id in gone:
        await nova.network.release_ports(server_id=server_id)
    return [f"ports of {server_id}" for server_id in gone]


async def _hosts_up(nova: Nova) -> list[str]:
    now, down_s = nova.clock.now(), nova.config.service_down_time_s
    services = await nova.db.read(hosts.services)
    return [s.host for s in services if s.binary == "nova-compute" and s.up(now, down_s)]


async def _guests(nova: Nova, host: str) -> list[str]:
    agent = compute_host.at(nova.bus, host, timeout_s=CALL_TIMEOUT_S)
    there = [guest.server_id for guest in await agent.guests()]
    gone = await nova.db.read(rows.gone, there)
    for server_id in gone:
        await agent.destroy(server_id=server_id)
    return [f"guest {server_id} on {host}" for server_id in gone]

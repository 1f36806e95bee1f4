"""How the hosts are, looked at once for all the requests that came in meanwhile.

A look at a thousand hosts takes tens of milliseconds. A request is never shown a look that began
before it came, so that what an operator has just changed counts; but all that come while one look
is under way share the next. Claims made since are counted in.
"""

import asyncio
from collections.abc import Mapping

from msgspec import Struct, structs

from aerostat.contracts.placement import Room
from aerostat.kit.db.engine import Tx
from aerostat.services.nova.db import hosts
from aerostat.services.nova.model.scheduling.hosts import HostState
from aerostat.services.nova.runtime import Nova

REST = 3.0
"""A look is followed by a rest this many times as long: it takes a quarter of the time at most."""

REST_MAX_S = 0.25


class Wish(Struct, frozen=True):
    """What is asked of placement: amounts by resource class, and traits."""

    resources: tuple[tuple[str, int], ...]
    required: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()


class Outlook:
    """The hosts with room for a wish, best known state of each."""

    def __init__(self, wish: Wish, states: list[HostState]) -> None:
        self._wish = wish
        self._states = {state.host: state for state in states}

    def states(self) -> list[HostState]:
        """Return the hosts that have room yet, with the claims made since the look."""
        return list(self._states.values())

    def claim(self, host: str, resources: Mapping[str, int]) -> None:
        """Count a claim in that is about to be made."""
        state = self._states.pop(host, None)
        if state is None:
            return  # who chose it at the same time has taken what room there was
        left = {name: amount - resources.get(name, 0) for name, amount in state.room.items()}
        if all(left.get(name, 0) >= amount for name, amount in self._wish.resources):
            self._states[host] = structs.replace(state, room=left)


class Outlooks:
    """The looks of one scheduler."""

    def __init__(self, nova: Nova) -> None:
        self._nova = nova
        self._coming: dict[Wish, asyncio.Task[Outlook]] = {}
        self._under_way: dict[Wish, asyncio.Task[Outlook]] = {}
        self._rested_at = 0.0
        self._hosts: dict[str, hosts.Host] = {}

    async def of(self, wish: Wish) -> Outlook:
        """Return a look that begins from now on. Raises: Unavailable (placement)."""
        task = self._coming.get(wish)
        if task is None:
            task = asyncio.create_task(self._look_next(wish), name="nova-outlook")
            self._coming[wish] = task
        return await asyncio.shield(task)

    async def _look_next(self, wish: Wish) -> Outlook:
        if (before := self._under_way.get(wish)) is not None:
            await asyncio.wait({before})
        clock = self._nova.clock
        await asyncio.sleep(max(0.0, self._rested_at - clock.monotonic()))
        began = clock.monotonic()
        mine = self._under_way[wish] = self._coming.pop(wish)
        try:
            return await self._look(wish)
        finally:
            ended = clock.monotonic()
            self._rested_at = ended + min(REST * (ended - began), REST_MAX_S)
            if self._under_way.get(wish) is mine:
                del self._under_way[wish]

    async def _look(self, wish: Wish) -> Outlook:
        nova = self._nova
        rooms = await nova.placement.rooms(
            resources=dict(wish.resources),
            required=list(wish.required),
            forbidden=list(wish.forbidden),
            member_of=[],
            limit=nova.config.host_candidates_max,
        )
        if not rooms:
            return Outlook(wish, [])
        self._hosts, states = await nova.db.read(_states, nova, rooms, self._hosts)
        return Outlook(wish, states)


def _states(
    tx: Tx, nova: Nova, rooms: list[Room], before: dict[str, hosts.Host]
) -> tuple[dict[str, hosts.Host], list[HostState]]:
    by_id, found = {room.provider_id: room for room in rooms}, hosts.known(tx, before)
    services = {s.host: s for s in hosts.services(tx) if s.binary == "nova-compute"}
    aggregates: dict[str, list[hosts.Aggregate]] = {}
    for aggregate in hosts.aggregates(tx):
        for name in aggregate.hosts:
            aggregates.setdefault(name, []).append(aggregate)
    now, config = nova.clock.now(), nova.config
    states = []
    for h in found.values():
        if (room := by_id.get(h.uuid)) is None:
            continue
        service, its = services.get(h.host), aggregates.get(h.host, [])
        states.append(
            HostState(
                host=h.host,
                provider_id=h.uuid,
                enabled=service is not None and not service.disabled,
                up=service is not None and service.up(now, config.service_down_time_s),
                zone=hosts.zone_of(h.host, its, config.default_availability_zone),
                room={c: most - room.used.get(c, 0) for c, most in room.capacity.items()},
                architecture=str(h.facts.cpu_info.get("arch", "x86_64")),
                hypervisor_type=h.facts.hypervisor_type,
                aggregates=[a.metadata for a in its],
            )
        )
    return found, states

"""Finding a host: placement offers, filters drop, weighers order, the first free one is claimed."""

from typing import Any, Protocol

from msgspec import structs

from aerostat.kit.bus.endpoint import Endpoint
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict, GenerationConflict, NoValidHost, Unavailable
from aerostat.services.nova.db import groups, hosts
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.flavor import Flavor, resources_of, traits_of
from aerostat.services.nova.model.scheduling import filters, weighers
from aerostat.services.nova.model.scheduling.hosts import RequestSpec
from aerostat.services.nova.model.server import Server
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.outlooks import Outlooks, Wish

NO_HOST = "No valid host was found. "


def claim_of(server: Server) -> dict[str, int]:
    """Return what a server claims of its host."""
    f = server.flavor
    disk_gb = f["root_gb"] + f["ephemeral_gb"] + (f["swap_mib"] + 1023) // 1024
    return resources_of(server.vcpus, server.ram_mib, disk_gb, f["extra_specs"])


class Scheduler(Protocol):
    """nova-scheduler."""

    async def select_host(self, *, server: Server, generation: int) -> str:
        """Claim the best host for the server and return its name; repeating claims again.

        `generation`: of what the server held when it was asked (Placement.generation).
        Raises: NoValidHost, which says what each filter removed; Unavailable (it holds something
        else by now, which an earlier try has brought about).
        """
        ...


nova_scheduler: Endpoint[Scheduler] = Endpoint("nova-scheduler", Scheduler)


async def select_host(nova: Nova, server: Server) -> str:
    """Let a scheduler claim the best host; return its name. Raises: NoValidHost, Unavailable."""
    generation = await nova.placement.generation(consumer_id=server.uuid)
    scheduler = nova_scheduler.at(nova.bus)
    return await scheduler.select_host(server=server, generation=generation)


async def choose(nova: Nova, outlooks: Outlooks, server: Server, generation: int) -> str:
    """Do what a scheduler does."""
    claim = claim_of(server)
    required, forbidden = traits_of(server.flavor["extra_specs"])
    wish = Wish(tuple(sorted(claim.items())), tuple(required), tuple(forbidden))
    outlook = await outlooks.of(wish)
    spec = await nova.db.read(_spec, server)
    states = outlook.states()
    if not states:
        wanted = ", ".join(f"{amount} {name}" for name, amount in claim.items())
        raise NoValidHost(
            f"{NO_HOST}Placement offers no host with {wanted} free.", code="NoValidHost"
        )
    left, told = filters.apply(states, spec)
    multipliers = {name: getattr(nova.config, name) for name in weighers.WEIGHERS}
    for state in weighers.order(left, spec, multipliers):
        outlook.claim(state.host, claim)
        try:
            await nova.placement.claim(
                consumer_id=server.uuid,
                generation=generation,
                provider_id=state.provider_id,
                resources=claim,
                project_id=server.project_id,
                user_id=server.user_id,
            )
        except GenerationConflict as why:
            raise Unavailable("The server's claim was changed meanwhile.") from why
        except Conflict:
            told.append(f"{state.host} was full when it was claimed")
            continue
        generation += 1
        if server.group_id is None:
            return state.host
        if await nova.db.write(_take, nova, server, state.host):
            return state.host
        told.append(f"{state.host} was taken by another member of the group")
    raise NoValidHost(f"{NO_HOST}{'; '.join(told) or 'No host is known.'}", code="NoValidHost")


async def claim_on(nova: Nova, server: Server, host: str) -> str:
    """Claim a host that an administrator forces, whatever the filters would say; return it.

    Raises: Conflict (no room any more), NotFound (host).
    """
    found = await nova.db.read(hosts.host, host)
    try:
        await nova.placement.claim(
            consumer_id=server.uuid,
            generation=await nova.placement.generation(consumer_id=server.uuid),
            provider_id=found.uuid,
            resources=claim_of(server),
            project_id=server.project_id,
            user_id=server.user_id,
        )
    except GenerationConflict as why:
        raise Unavailable("The server's claim was changed meanwhile.") from why
    return host


def moving(server: Server, *, flavor: Flavor, host: str | None, ignore: list[str]) -> Server:
    """Return the server as it asks for a host when it moves: `flavor` is what it shall have.

    `host` is where an administrator wants it, `ignore` where it must not go.
    """
    wish = {"host": host, "ignore_hosts": ignore, "moving": True}
    return structs.replace(
        server,
        flavor=structs.asdict(flavor),
        vcpus=flavor.vcpus,
        ram_mib=flavor.ram_mib,
        requested={**server.requested, **wish},
    )


def _spec(tx: Tx, server: Server) -> RequestSpec:
    requested: dict[str, Any] = server.requested
    hints = requested.get("hints") or {}
    group = groups.get(tx, server.group_id) if server.group_id else None
    members = rows.in_group(tx, server.group_id) if server.group_id else []
    return RequestSpec(
        server_id=server.uuid,
        zone=requested.get("zone"),
        host=requested.get("host"),
        ignore_hosts=requested.get("ignore_hosts") or [],
        image_properties=(server.image or {}).get("properties", {}),
        extra_specs=server.flavor["extra_specs"],
        hints=hints,
        group_policy=group.policy if group else None,
        group_hosts=[host for uuid, host in members if host and uuid != server.uuid],
        same_hosts=_hosts_of(tx, hints.get("same_host")),
        different_hosts=_hosts_of(tx, hints.get("different_host")),
        max_server_per_host=group.rules.get("max_server_per_host") if group else None,
    )


def _take(tx: Tx, nova: Nova, server: Server, host: str) -> bool:
    """Put the server on the host unless a member of its group got there first."""
    spec = _spec(tx, server)
    if spec.group_policy == "anti-affinity":
        fits = spec.group_hosts.count(host) < (spec.max_server_per_host or 1)
    elif spec.group_policy == "affinity":
        fits = not spec.group_hosts or host in spec.group_hosts
    else:
        fits = True
    if fits and not server.requested.get("moving"):
        rows.change(tx, server.uuid, nova.clock.now(), host=host)
    return fits


def _hosts_of(tx: Tx, hint: Any) -> list[str]:
    """Return the hosts of the servers that a hint names, one or a list."""
    if not hint:
        return []
    return rows.hosts_of(tx, [str(h) for h in hint] if isinstance(hint, list) else [str(hint)])

"""Security groups and floating addresses as nova's old APIs show them: neutron decides.

Source: compute api-ref, "Security groups (deprecated)", "Floating IPs (deprecated)".
"""

from typing import Any

from aerostat.contracts.network import Asker, Doc
from aerostat.kit.context import Context
from aerostat.kit.errors import BadRequest, Conflict, NotFound
from aerostat.services.nova.model.server import Server
from aerostat.services.nova.runtime import Nova

GROUP, RULE, FLOATING = "security_group", "security_group_rule", "floatingip"


def asker(ctx: Context) -> Asker:
    """Return the caller as neutron is to see him."""
    return Asker(ctx.project_id, ctx.is_admin)


async def groups(nova: Nova, ctx: Context, *, everyone: bool) -> list[Doc]:
    """Return the project's groups, or those of all projects."""
    filters = {} if everyone else {"project_id": ctx.project_id}
    return await nova.network.find(asker=asker(ctx), noun=GROUP, filters=filters)


async def groups_of(nova: Nova, ctx: Context, server: Server) -> list[Doc]:
    """Return the groups that the server's ports are in, each once."""
    who = Asker(server.project_id, ctx.is_admin)
    ports = await nova.network.find(asker=who, noun="port", filters={"device_id": server.uuid})
    ids = {key for port in ports for key in port["security_groups"]}
    if not ids:
        return []
    found = await nova.network.find(asker=who, noun=GROUP, filters={})
    return [group for group in found if group["id"] in ids]


async def _one(nova: Nova, ctx: Context, noun: str, key: str, what: str) -> Doc:
    found = await nova.network.find(asker=asker(ctx), noun=noun, filters={"id": key})
    if not found:
        raise NotFound(f"{what} {key} not found.")
    return found[0]


async def group(nova: Nova, ctx: Context, key: str) -> Doc:
    """Raises: NotFound."""
    return await _one(nova, ctx, GROUP, key, "Security group")


async def make_group(nova: Nova, ctx: Context, values: Doc) -> Doc:
    """Raises: BadRequest, QuotaExceeded."""
    return await nova.network.make(asker=asker(ctx), noun=GROUP, values=values)


async def change_group(nova: Nova, ctx: Context, key: str, values: Doc) -> Doc:
    """Raises: NotFound, BadRequest (the default group)."""
    await group(nova, ctx, key)
    try:
        return await nova.network.change(asker=asker(ctx), noun=GROUP, key=key, values=values)
    except Conflict as why:
        raise BadRequest(why.message) from why


async def remove_group(nova: Nova, ctx: Context, key: str) -> None:
    """Raises: NotFound, BadRequest (in use, the default group)."""
    await group(nova, ctx, key)
    try:
        await nova.network.remove(asker=asker(ctx), noun=GROUP, key=key)
    except Conflict as why:
        raise BadRequest(why.message) from why


async def make_rule(nova: Nova, ctx: Context, values: Doc) -> Doc:
    """Raises: NotFound (group), BadRequest (also for a rule that there is)."""
    await group(nova, ctx, str(values["security_group_id"]))
    try:
        return await nova.network.make(asker=asker(ctx), noun=RULE, values=values)
    except Conflict as why:
        raise BadRequest(why.message) from why


async def remove_rule(nova: Nova, ctx: Context, key: str) -> None:
    """Raises: NotFound."""
    await _one(nova, ctx, RULE, key, "Rule")
    await nova.network.remove(asker=asker(ctx), noun=RULE, key=key)


async def group_names(nova: Nova, ctx: Context) -> dict[str, dict[str, str]]:
    """Return what a rule shows of a remote group, by id."""
    found = await nova.network.find(asker=asker(ctx), noun=GROUP, filters={})
    return {g["id"]: {"name": g["name"], "tenant_id": g["project_id"]} for g in found}


async def networks(nova: Nova, ctx: Context) -> list[Doc]:
    """Return the networks that the caller sees."""
    return await nova.network.find(asker=asker(ctx), noun="network", filters={})


async def network(nova: Nova, ctx: Context, key: str) -> Doc:
    """Raises: NotFound."""
    return await _one(nova, ctx, "network", key, "Network")


async def pools(nova: Nova, ctx: Context) -> list[Doc]:
    """Return the external networks."""
    filters = {"router:external": "True"}
    return await nova.network.find(asker=asker(ctx), noun="network", filters=filters)


async def floatings(nova: Nova, ctx: Context) -> list[Doc]:
    """Return the project's floating addresses."""
    filters = {"project_id": ctx.project_id}
    return await nova.network.find(asker=asker(ctx), noun=FLOATING, filters=filters)


async def floating(nova: Nova, ctx: Context, key: str) -> Doc:
    """Raises: NotFound."""
    return await _one(nova, ctx, FLOATING, key, "Floating IP")


async def make_floating(nova: Nova, ctx: Context, pool: str | None) -> Doc:
    """Allocate an address from a pool by name or id, the first one by default.

    Raises: NotFound (pool), Conflict (none is left), QuotaExceeded.
    """
    known = await pools(nova, ctx)
    wanted = [p for p in known if pool in (None, p["id"], p["name"])]
    if not wanted:
        raise NotFound("Floating IP pool not found.")
    values = {"floating_network_id": wanted[0]["id"]}
    return await nova.network.make(asker=asker(ctx), noun=FLOATING, values=values)


async def remove_floating(nova: Nova, ctx: Context, key: str) -> None:
    """Raises: NotFound."""
    await floating(nova, ctx, key)
    await nova.network.remove(asker=asker(ctx), noun=FLOATING, key=key)


async def _by_address(nova: Nova, ctx: Context, address: str) -> Doc:
    filters = {"floating_ip_address": address}
    found = await nova.network.find(asker=asker(ctx), noun=FLOATING, filters=filters)
    if not found:
        raise NotFound("floating IP not found")
    return found[0]


async def associate(
    nova: Nova, ctx: Context, server: Server, address: str, fixed: str | None
) -> None:
    """Let a floating address lead to a server.

    Raises: NotFound (address), BadRequest (the server has no fixed address, or not that one, or
    another floating address leads there).
    """
    found = await _by_address(nova, ctx, address)
    ports = await nova.network.ports(server_id=server.uuid)
    ends = [(p.port_id, a.address) for p in ports for a in p.addresses if a.version == 4]
    if not ends:
        raise BadRequest("No fixed IPs associated to instance", field="server")
    if fixed is not None:
        ends = [end for end in ends if end[1] == fixed]
        if not ends:
            raise BadRequest("Specified fixed address not assigned to instance", field="address")
    values: dict[str, Any] = {"port_id": ends[0][0], "fixed_ip_address": ends[0][1]}
    try:
        await nova.network.change(asker=asker(ctx), noun=FLOATING, key=found["id"], values=values)
    except Conflict as why:
        raise BadRequest(why.message, field="address") from why


async def dissociate(nova: Nova, ctx: Context, server: Server, address: str) -> None:
    """Let a floating address lead nowhere.

    Raises: NotFound (address), Conflict (it does not lead to the server).
    """
    found = await _by_address(nova, ctx, address)
    ports = {p.port_id for p in await nova.network.ports(server_id=server.uuid)}
    if found["port_id"] not in ports:
        raise Conflict(f"Floating IP {address} is not associated with instance {server.uuid}.")
    values: dict[str, Any] = {"port_id": None}
    await nova.network.change(asker=asker(ctx), noun=FLOATING, key=found["id"], values=values)

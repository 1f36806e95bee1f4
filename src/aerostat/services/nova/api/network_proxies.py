"""/os-security-groups, /os-floating-ips and their kin; gone after 2.35: neutron is asked itself."""

from typing import Annotated, Any

from msgspec import Meta

from aerostat.kit.errors import BadRequest
from aerostat.kit.http import schema
from aerostat.kit.http.microversion import Version
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.kit.http.schema import Body
from aerostat.services.nova import policies
from aerostat.services.nova.domain import network_proxies as proxies
from aerostat.services.nova.domain import servers
from aerostat.services.nova.model.server import Server
from aerostat.services.nova.runtime import Nova

routes: Routes[Nova] = Routes("network_proxies")
LAST, LAST_ACTION = "2.35", Version(2, 43)
PROTOCOLS = ("tcp", "udp", "icmp")
Text = Annotated[str, Meta(max_length=255)]


NETWORK_FIELDS = (
    *("cidr", "netmask", "gateway", "broadcast", "dns1", "dns2"),
    *("cidr_v6", "gateway_v6", "netmask_v6"),
)
ADMIN_FIELDS = (
    *("created_at", "updated_at", "deleted_at", "deleted", "injected", "bridge", "vlan"),
    *("vpn_public_address", "vpn_public_port", "vpn_private_address", "dhcp_start"),
    *("project_id", "host", "bridge_interface", "multi_host", "priority", "rxtx_base", "mtu"),
    *("dhcp_server", "enable_dhcp", "share_address"),
)


GroupId = Annotated[str, Meta(pattern="^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$")]


class GroupValues(Body):
    """A security group."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    description: Text | None = None


class GroupBody(Body):
    """POST and PUT /os-security-groups."""

    security_group: GroupValues


class RuleValues(Body):
    """A rule for what may come in."""

    parent_group_id: GroupId
    ip_protocol: str | None = None
    from_port: int | str | None = None
    to_port: int | str | None = None
    cidr: str | None = None
    group_id: str | None = None


class RuleBody(Body):
    """POST /os-security-group-rules."""

    security_group_rule: RuleValues


class PoolBody(Body):
    """POST /os-floating-ips."""

    pool: str | None = None


class Associate(Body):
    """addFloatingIp and removeFloatingIp."""

    address: str
    fixed_address: str | None = None


def _rule(rule: dict[str, Any], names: dict[str, dict[str, str]]) -> dict[str, Any]:
    low, high, protocol = rule["port_range_min"], rule["port_range_max"], rule["protocol"]
    if low is None and high is None and protocol is not None:
        low, high = (1, 65535) if protocol.lower() in ("tcp", "udp") else (-1, -1)
    remote = rule["remote_group_id"]
    anywhere = "::/0" if rule["ethertype"] == "IPv6" else "0.0.0.0/0"
    return {
        "id": rule["id"],
        "parent_group_id": rule["security_group_id"],
        "ip_protocol": protocol,
        "from_port": low,
        "to_port": high,
        "group": names.get(remote, {}) if remote else {},
        "ip_range": {} if remote else {"cidr": rule["remote_ip_prefix"] or anywhere},
    }


def _group(group: dict[str, Any], names: dict[str, dict[str, str]]) -> dict[str, Any]:
    incoming = [r for r in group["security_group_rules"] if r["direction"] == "ingress"]
    return {
        "id": group["id"],
        "name": group["name"],
        "description": group["description"],
        "tenant_id": group["project_id"],
        "rules": [_rule(r, names) for r in incoming],
    }


GROUPS = "/os-security-groups"


@routes.get(GROUPS, policy=policies.GROUP_PROXIES["get"], until=LAST)
async def groups(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the security groups of the project, or of all for an administrator who asks so."""
    everyone = req.ctx.is_admin and req.query.flag("all_tenants")
    found = await proxies.groups(nova, req.ctx, everyone=everyone)
    names = await proxies.group_names(nova, req.ctx)
    return {"security_groups": [_group(g, names) for g in found]}


@routes.post(
    GROUPS, policy=policies.GROUP_PROXIES["create"], body=GroupBody, status=200, until=LAST
)
async def make_group(nova: Nova, req: Request[GroupBody]) -> dict[str, Any]:
    """Make a security group."""
    made = await proxies.make_group(nova, req.ctx, _values(req.body.security_group))
    return {"security_group": _group(made, {})}


def _values(given: GroupValues) -> dict[str, Any]:
    if not given.name.strip():
        raise BadRequest("Security group name cannot be empty", field="name")
    return {"name": given.name, "description": given.description or ""}


@routes.get(GROUPS + "/{key}", policy=policies.GROUP_PROXIES["show"], until=LAST)
async def group(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show a security group."""
    found = await proxies.group(nova, req.ctx, req.path["key"])
    return {"security_group": _group(found, await proxies.group_names(nova, req.ctx))}


@routes.put(GROUPS + "/{key}", policy=policies.GROUP_PROXIES["update"], body=GroupBody, until=LAST)
async def change_group(nova: Nova, req: Request[GroupBody]) -> dict[str, Any]:
    """Rename a security group."""
    values = _values(req.body.security_group)
    found = await proxies.change_group(nova, req.ctx, req.path["key"], values)
    return {"security_group": _group(found, await proxies.group_names(nova, req.ctx))}


@routes.delete(GROUPS + "/{key}", policy=policies.GROUP_PROXIES["delete"], status=202, until=LAST)
async def remove_group(nova: Nova, req: Request[None]) -> None:
    """Delete a security group that nothing uses."""
    await proxies.remove_group(nova, req.ctx, req.path["key"])


def _port(value: int | str | None, field: str) -> int | None:
    if value is None or str(value) == "-1":
        return None
    if not str(value).isdecimal() or not 0 <= int(value) <= 65535:
        raise BadRequest(f"Invalid {field}: {value}. Valid ports are 1 to 65535.", field=field)
    return int(value)


@routes.get("/servers/{server_id}/os-security-groups", policy=None)
async def groups_of_server(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the security groups of a server."""
    server = await servers.get(nova, req.ctx, req.path["server_id"])
    req.enforce(policies.SECURITY_GROUPS, {"project_id": server.project_id})
    names = await proxies.group_names(nova, req.ctx)
    found = await proxies.groups_of(nova, req.ctx, server)
    return {"security_groups": [_group(g, names) for g in found]}


@routes.post(
    "/os-security-group-rules",
    policy=policies.GROUP_PROXIES["rule:create"],
    body=RuleBody,
    status=200,
    until=LAST,
)
async def make_rule(nova: Nova, req: Request[RuleBody]) -> dict[str, Any]:
    """Make a rule for what may come in."""
    given = req.body.security_group_rule
    protocol = (given.ip_protocol or "").lower()
    if given.ip_protocol is not None and protocol not in PROTOCOLS:
        raise BadRequest(f"Invalid protocol {given.ip_protocol}.", field="ip_protocol")
    low, high = _port(given.from_port, "from_port"), _port(given.to_port, "to_port")
    if low is not None and high is not None and low > high and protocol != "icmp":
        raise BadRequest("Former value cannot be greater than the later", field="from_port")
    values: dict[str, Any] = {
        "security_group_id": given.parent_group_id,
        "direction": "ingress",
        "ethertype": "IPv6" if ":" in (given.cidr or "") else "IPv4",
    }
    if protocol:
        values |= {"protocol": protocol, "port_range_min": low, "port_range_max": high}
    if given.group_id is not None:
        values["remote_group_id"] = given.group_id
    elif given.cidr:
        values["remote_ip_prefix"] = given.cidr
    made = await proxies.make_rule(nova, req.ctx, values)
    return {"security_group_rule": _rule(made, await proxies.group_names(nova, req.ctx))}


@routes.delete(
    "/os-security-group-rules/{key}",
    policy=policies.GROUP_PROXIES["rule:delete"],
    status=202,
    until=LAST,
)
async def remove_rule(nova: Nova, req: Request[None]) -> None:
    """Delete a rule."""
    await proxies.remove_rule(nova, req.ctx, req.path["key"])


def _floating(found: dict[str, Any], pools: dict[str, str]) -> dict[str, Any]:
    details = found.get("port_details") or {}
    return {
        "id": found["id"],
        "ip": found["floating_ip_address"],
        "fixed_ip": found["fixed_ip_address"],
        "instance_id": details.get("device_id") or None,
        "pool": pools.get(found["floating_network_id"], found["floating_network_id"]),
    }


async def _pools(nova: Nova, req: Request[Any]) -> dict[str, str]:
    return {p["id"]: p["name"] for p in await proxies.pools(nova, req.ctx)}


@routes.get("/os-floating-ip-pools", policy=policies.FLOATING_PROXIES["pools"], until=LAST)
async def pools(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the pools that floating addresses come from."""
    return {"floating_ip_pools": [{"name": n} for n in (await _pools(nova, req)).values()]}


@routes.get("/os-networks", policy=policies.NETWORK_PROXIES["list"], until=LAST)
async def networks(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the networks that the project may use."""
    found = await proxies.networks(nova, req.ctx)
    return {"networks": [{**_blank(req), **_network(n)} for n in found]}


@routes.get("/os-networks/{key}", policy=policies.NETWORK_PROXIES["show"], until=LAST)
async def network(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show a network."""
    found = await proxies.network(nova, req.ctx, req.path["key"])
    return {"network": {**_blank(req), **_network(found)}}


def _blank(req: Request[None]) -> dict[str, Any]:
    """Return what nova's own networks had and neutron's have not."""
    return dict.fromkeys((*NETWORK_FIELDS, *(ADMIN_FIELDS if req.ctx.is_admin else ())))


@routes.get("/os-tenant-networks", policy=policies.TENANT_NETWORKS["list"], until=LAST)
async def tenant_networks(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the networks that the project may use."""
    return {"networks": [_network(n) for n in await proxies.networks(nova, req.ctx)]}


@routes.get("/os-tenant-networks/{key}", policy=policies.TENANT_NETWORKS["show"], until=LAST)
async def tenant_network(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show a network."""
    found = await proxies.network(nova, req.ctx, req.path["key"])
    return {"network": _network(found)}


def _network(found: dict[str, Any]) -> dict[str, Any]:
    return {"id": found["id"], "label": found["name"], "cidr": None}


FLOATINGS = "/os-floating-ips"


@routes.get(FLOATINGS, policy=policies.FLOATING_PROXIES["list"], until=LAST)
async def floatings(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the floating addresses of the project."""
    names = await _pools(nova, req)
    return {"floating_ips": [_floating(f, names) for f in await proxies.floatings(nova, req.ctx)]}


@routes.post(
    FLOATINGS, policy=policies.FLOATING_PROXIES["create"], body=PoolBody, status=200, until=LAST
)
async def make_floating(nova: Nova, req: Request[PoolBody]) -> dict[str, Any]:
    """Allocate a floating address."""
    made = await proxies.make_floating(nova, req.ctx, req.body.pool)
    return {"floating_ip": _floating(made, await _pools(nova, req))}


@routes.get(FLOATINGS + "/{key}", policy=policies.FLOATING_PROXIES["show"], until=LAST)
async def floating(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show a floating address."""
    found = await proxies.floating(nova, req.ctx, req.path["key"])
    return {"floating_ip": _floating(found, await _pools(nova, req))}


@routes.delete(
    FLOATINGS + "/{key}", policy=policies.FLOATING_PROXIES["delete"], status=202, until=LAST
)
async def remove_floating(nova: Nova, req: Request[None]) -> None:
    """Give a floating address back."""
    await proxies.remove_floating(nova, req.ctx, req.path["key"])


def _wanted(req: Request[dict[str, Any]], arguments: Any, action: str) -> Associate:
    if req.version > LAST_ACTION:
        raise BadRequest(f"There is no such action: {action}", field=action)
    return schema.convert(arguments, Associate, req.version)


async def add_floating(
    nova: Nova, req: Request[dict[str, Any]], server: Server, arguments: Any
) -> Reply | None:
    """Let a floating address lead to the server."""
    body = _wanted(req, arguments, "addFloatingIp")
    await proxies.associate(nova, req.ctx, server, body.address, body.fixed_address)
    return None


async def remove_floating_from(
    nova: Nova, req: Request[dict[str, Any]], server: Server, arguments: Any
) -> Reply | None:
    """Let a floating address lead nowhere."""
    body = _wanted(req, arguments, "removeFloatingIp")
    await proxies.dissociate(nova, req.ctx, server, body.address)
    return None

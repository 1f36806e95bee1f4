"""/os-hypervisors, /os-services, /os-availability-zone."""

from typing import Any

import msgspec

from aerostat.kit.clock import iso
from aerostat.kit.errors import BadRequest, NotFound
from aerostat.kit.http.microversion import Shown
from aerostat.kit.http.route import Request, Routes
from aerostat.kit.http.schema import Body
from aerostat.services.nova import policies
from aerostat.services.nova.domain import hosts
from aerostat.services.nova.domain.hosts import Listed, Service
from aerostat.services.nova.runtime import Nova

routes: Routes[Nova] = Routes("hosts")


class ServiceUpdate(Body):
    """PUT /os-services/{id}."""

    status: str | None = None
    disabled_reason: str | None = None
    forced_down: bool | None = None


class ServiceByName(Body, kw_only=True):
    """PUT /os-services/enable, disable, disable-log-reason, force-down (before 2.53)."""

    host: str
    binary: str
    disabled_reason: str | None = None
    forced_down: bool | str | None = None


def _up(nova: Nova, service: Service | None) -> bool:
    now, down = nova.clock.now(), nova.config.service_down_time_s
    return service is not None and service.up(now, down)


def _brief(nova: Nova, found: Listed) -> Shown:
    host, service, _ = found
    newest = {
        "id": host.uuid,
        "hypervisor_hostname": host.facts.hypervisor_hostname,
        "state": "up" if _up(nova, service) else "down",
        "status": "disabled" if service is None or service.disabled else "enabled",
    }
    return Shown(newest, id=host.id)


def _detail(nova: Nova, found: Listed) -> Shown:
    host, service, _ = found
    facts, brief = host.facts, _brief(nova, found)
    owner = {
        "host": host.host,
        "id": service.uuid if service else None,
        "disabled_reason": service.disabled_reason if service else None,
    }
    newest = {
        **brief,
        "hypervisor_type": facts.hypervisor_type,
        "hypervisor_version": facts.hypervisor_version,
        "host_ip": facts.host_ip,
        "service": Shown(owner, id=service.id if service else None),
    }
    return Shown(newest, id=host.id)


def _totals(found: Listed) -> dict[str, Any]:
    facts, used = found[0].facts, found[2]
    ram_used = facts.reserved_ram_mib + used["ram_mib"]
    return {
        "vcpus": facts.vcpus,
        "vcpus_used": used["vcpus"],
        "memory_mb": facts.ram_mib,
        "memory_mb_used": ram_used,
        "free_ram_mb": facts.ram_mib - ram_used,
        "local_gb": facts.disk_gb,
        "local_gb_used": 0,
        "free_disk_gb": facts.disk_gb,
        "disk_available_least": facts.disk_gb,
        "running_vms": used["servers"],
        "current_workload": 0,
    }


def _older(nova: Nova, found: Listed) -> Shown:
    doc = _detail(nova, found)
    doc.update(_totals(found), cpu_info=msgspec.to_builtins(found[0].facts.cpu_info))
    return doc


def _newer(nova: Nova, found: Listed) -> Shown:
    doc = _detail(nova, found)
    doc["uptime"] = hosts.uptime(found[0], nova.clock.now())
    return doc


async def _with_servers(
    nova: Nova, req: Request[None], docs: list[Shown], found: list[Listed]
) -> list[Shown]:
    """Add the servers of each host if they are asked for."""
    if req.query.flag("with_servers"):
        for doc, (host, _, _) in zip(docs, found, strict=True):
            doc["servers"] = await hosts.servers_on(nova, host.host)
    return docs


async def _hosts(nova: Nova, req: Request[None]) -> list[Listed]:
    pattern = req.query.get("hypervisor_hostname_pattern")
    found = await hosts.listing(nova)
    if pattern is None:
        return found
    matching = [f for f in found if pattern in f[0].facts.hypervisor_hostname]
    if not matching:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    return matching


@routes.get("/os-hypervisors", policy=policies.HYPERVISORS["list"], tags=("hypervisor",))
async def hypervisors(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List hypervisors briefly."""
    found = await _hosts(nova, req)
    docs = [_brief(nova, f) for f in found]
    return {"hypervisors": await _with_servers(nova, req, docs, found)}


@routes.get(
    "/os-hypervisors/detail",
    policy=policies.HYPERVISORS["list-detail"],
    until="2.87",
    tags=("hypervisor",),
)
async def hypervisors_older(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List hypervisors with what they have and use."""
    found = await _hosts(nova, req)
    docs = [_older(nova, f) for f in found]
    return {"hypervisors": await _with_servers(nova, req, docs, found)}


@routes.get(
    "/os-hypervisors/detail",
    policy=policies.HYPERVISORS["list-detail"],
    since="2.88",
    tags=("hypervisor",),
)
async def hypervisors_detail(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List hypervisors; what they have and use is placement's to tell."""
    found = await _hosts(nova, req)
    docs = [_newer(nova, f) for f in found]
    return {"hypervisors": await _with_servers(nova, req, docs, found)}


@routes.get("/os-hypervisors/statistics", policy=policies.HYPERVISORS["statistics"], until="2.87")
async def statistics(nova: Nova, _req: Request[None]) -> dict[str, Any]:
    """Sum what all hypervisors have and use."""
    found = await hosts.listing(nova)
    totals: dict[str, Any] = {"count": len(found)}
    for one in found:
        for name, amount in _totals(one).items():
            totals[name] = totals.get(name, 0) + amount
    return {"hypervisor_statistics": totals}


async def _one(nova: Nova, req: Request[None]) -> Listed:
    wanted = req.path["hypervisor_id"]
    for found in await hosts.listing(nova):
        if wanted in (found[0].uuid, str(found[0].id)):
            return found
    raise NotFound(f"Hypervisor with ID '{wanted}' could not be found.")


@routes.get(
    "/os-hypervisors/{hypervisor_id}",
    policy=policies.HYPERVISORS["show"],
    until="2.87",
    tags=("hypervisor",),
)
async def hypervisor_older(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show a hypervisor with what it has and uses."""
    found = await _one(nova, req)
    docs = await _with_servers(nova, req, [_older(nova, found)], [found])
    return {"hypervisor": docs[0]}


@routes.get(
    "/os-hypervisors/{hypervisor_id}",
    policy=policies.HYPERVISORS["show"],
    since="2.88",
    tags=("hypervisor",),
)
async def hypervisor(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show a hypervisor."""
    found = await _one(nova, req)
    docs = await _with_servers(nova, req, [_newer(nova, found)], [found])
    return {"hypervisor": docs[0]}


@routes.get(
    "/os-hypervisors/{hypervisor_id}/uptime",
    policy=policies.HYPERVISORS["uptime"],
    until="2.87",
    tags=("hypervisor",),
)
async def uptime(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show for how long a host has been up."""
    found = await _one(nova, req)
    told = hosts.uptime(found[0], nova.clock.now())
    if told is None:
        raise BadRequest("Virt driver does not implement uptime function.")
    doc = _brief(nova, found)
    doc["uptime"] = told
    return {"hypervisor": doc}


async def _named(nova: Nova, req: Request[None]) -> list[Listed]:
    pattern = req.path["hypervisor_id"]
    found = await hosts.listing(nova)
    matching = [f for f in found if pattern in f[0].facts.hypervisor_hostname]
    if not matching:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    return matching


@routes.get(
    "/os-hypervisors/{hypervisor_id}/search",
    policy=policies.HYPERVISORS["search"],
    until="2.52",
    tags=("hypervisor",),
)
async def search(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the hypervisors whose names hold a word."""
    return {"hypervisors": [_brief(nova, f) for f in await _named(nova, req)]}


@routes.get(
    "/os-hypervisors/{hypervisor_id}/servers",
    policy=policies.HYPERVISORS["servers"],
    until="2.52",
)
async def servers(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the servers on the hypervisors whose names hold a word."""
    docs = []
    for found in await _named(nova, req):
        brief, inside = _brief(nova, found), await hosts.servers_on(nova, found[0].host)
        brief["id"] = found[0].id
        docs.append({**brief, "servers": inside} if inside else brief)
    return {"hypervisors": docs}


def service_view(nova: Nova, service: Service, zone: str) -> Shown:
    """Return the newest form of a service."""
    newest = {
        "id": service.uuid,
        "binary": service.binary,
        "host": service.host,
        "zone": zone,
        "status": "disabled" if service.disabled else "enabled",
        "state": "up" if _up(nova, service) else "down",
        "updated_at": iso(service.seen_at, micros=True, zone=""),
        "disabled_reason": service.disabled_reason,
        "forced_down": service.forced_down,
    }
    return Shown(newest, id=service.id)


@routes.get("/os-services", policy=policies.SERVICES["list"], tags=("service",))
async def services(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List services, by host and binary."""
    host, binary = req.query.get("host"), req.query.get("binary")
    return {
        "services": [
            service_view(nova, s, zone)
            for s, zone in await hosts.services(nova)
            if host in (None, s.host) and binary in (None, s.binary)
        ]
    }


@routes.put(
    "/os-services/{service_id}",
    policy=policies.SERVICES["update"],
    body=ServiceUpdate,
    since="2.53",
    tags=("service",),
)
async def update_service(nova: Nova, req: Request[ServiceUpdate]) -> dict[str, Any]:
    """Enable or disable a service, or force it down."""
    body, values = req.body, {}
    if body.status not in (None, "enabled", "disabled"):
        raise BadRequest("status is enabled or disabled.", field="status")
    if body.disabled_reason is not None and body.status != "disabled":
        raise BadRequest("A reason is for disabling only.", field="disabled_reason")
    if body.status is not None:
        values = {"disabled": body.status == "disabled", "disabled_reason": body.disabled_reason}
    if body.forced_down is not None:
        values["forced_down"] = body.forced_down
    if not values:
        raise BadRequest("No updates were requested.", field="status")
    service = await hosts.change_service(nova, req.path["service_id"], values)
    zones = dict((s.uuid, z) for s, z in await hosts.services(nova))
    return {"service": service_view(nova, service, zones[service.uuid])}


@routes.put(
    "/os-services/{service_id}",
    policy=policies.SERVICES["update"],
    body=ServiceByName,
    until="2.52",
)
async def update_by_name(nova: Nova, req: Request[ServiceByName]) -> dict[str, Any]:
    """Enable, disable or force down a service by host and binary."""
    body, verb = req.body, req.path["service_id"]
    changes: dict[str, dict[str, Any]] = {
        "enable": {"disabled": False, "disabled_reason": None},
        "disable": {"disabled": True, "disabled_reason": None},
        "disable-log-reason": {"disabled": True, "disabled_reason": body.disabled_reason},
        "force-down": {"forced_down": str(body.forced_down).lower() == "true"},
    }
    if verb not in changes:
        raise NotFound(f"Unknown action {verb}")
    if verb == "disable-log-reason" and not body.disabled_reason:
        raise BadRequest("Missing disabled reason field", field="disabled_reason")
    service = await hosts.service_named(nova, body.host, body.binary)
    await hosts.change_service(nova, service.uuid, changes[verb])
    shown: dict[str, Any] = {"binary": body.binary, "host": body.host}
    if verb == "force-down":
        shown["forced_down"] = changes[verb]["forced_down"]
    else:
        shown["status"] = "enabled" if verb == "enable" else "disabled"
    if verb == "disable-log-reason":
        shown["disabled_reason"] = body.disabled_reason
    return {"service": shown}


@routes.delete("/os-services/{service_id}", policy=policies.SERVICES["delete"])
async def delete_service(nova: Nova, req: Request[None]) -> None:
    """Forget a service that has no servers."""
    await hosts.delete_service(nova, req.path["service_id"])


def _zone(name: str, available: bool, inside: Any) -> dict[str, Any]:
    return {"zoneName": name, "zoneState": {"available": available}, "hosts": inside}


@routes.get("/os-availability-zone", policy=policies.ZONES)
async def zones(nova: Nova, _req: Request[None]) -> dict[str, Any]:
    """List availability zones."""
    found = await hosts.zones(nova)
    shown = [
        _zone(name, any(up for _, up in listed), None)
        for name, listed in found.items()
        if name != "internal"
    ]
    return {"availabilityZoneInfo": shown}


@routes.get("/os-availability-zone/detail", policy=policies.ZONES_DETAIL)
async def zones_detail(nova: Nova, _req: Request[None]) -> dict[str, Any]:
    """List availability zones with their hosts and services."""
    shown = []
    for name, listed in (await hosts.zones(nova)).items():
        inside: dict[str, Any] = {}
        for service, up in listed:
            inside.setdefault(service.host, {})[service.binary] = {
                "active": not service.disabled,
                "available": up,
                "updated_at": iso(service.seen_at, micros=True, zone=""),
            }
        shown.append(_zone(name, any(up for _, up in listed), inside))
    return {"availabilityZoneInfo": shown}

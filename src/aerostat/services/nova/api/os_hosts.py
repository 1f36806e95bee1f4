"""/os-hosts: hosts as they were seen before hypervisors and services; gone after 2.42."""

from typing import Any

from aerostat.kit.errors import BadRequest, NotFound, Unsupported
from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Request, Routes
from aerostat.services.nova import policies
from aerostat.services.nova.domain import hosts
from aerostat.services.nova.domain.hosts import Listed
from aerostat.services.nova.runtime import Nova

routes: Routes[Nova] = Routes("os_hosts")
LAST = "2.42"


@routes.get("/os-hosts", policy=policies.HOSTS["list"], until=LAST)
async def index(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List hosts and their services, of a zone or service if one is given."""
    wanted_zone, wanted = req.query.get("zone"), req.query.get("service")
    found = [
        {"host_name": s.host, "service": s.binary.removeprefix("nova-"), "zone": zone}
        for s, zone in await hosts.services(nova)
    ]
    return {
        "hosts": [
            h
            for h in found
            if wanted_zone in (None, "", h["zone"]) and wanted in (None, "", h["service"])
        ]
    }


async def _host(nova: Nova, req: Request[Any]) -> Listed:
    name = req.path["host"]
    for found in await hosts.listing(nova):
        if found[0].host == name:
            return found
    raise NotFound(f"Compute host {name} could not be found.")


@routes.get("/os-hosts/{host}", policy=policies.HOSTS["show"], until=LAST)
async def show(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show what a host has, what is used, and by which project."""
    host, _, used = await _host(nova, req)
    facts = host.facts
    lines = [
        _line(host.host, "(total)", facts.vcpus, facts.ram_mib, facts.disk_gb),
        _line(
            host.host,
            "(used_now)",
            used["vcpus"],
            used["ram_mib"] + facts.reserved_ram_mib,
            0,
        ),
    ]
    sums = await hosts.usage_by_project(nova, host.host)
    total = [sum(s[i] for s in sums.values()) for i in range(3)]
    lines.append(_line(host.host, "(used_max)", *total))
    lines += [_line(host.host, project, *amounts) for project, amounts in sums.items()]
    return {"host": lines}


def _line(host: str, project: str, cpu: int, memory_mb: int, disk_gb: int) -> dict[str, Any]:
    return {
        "resource": {
            "host": host,
            "project": project,
            "cpu": cpu,
            "memory_mb": memory_mb,
            "disk_gb": disk_gb,
        }
    }


@routes.put("/os-hosts/{host}", policy=policies.HOSTS["update"], body=dict[str, Any], until=LAST)
async def update(nova: Nova, req: Request[dict[str, Any]]) -> dict[str, Any]:
    """Enable or disable the host for new servers."""
    wanted = {}
    for name, value in req.body.items():
        word = str(value).strip().lower()
        if name not in ("status", "maintenance_mode") or word not in ("enable", "disable"):
            raise BadRequest(
                f"Invalid input for field/attribute {name}. Value: {value}.", field=name
            )
        wanted[name] = word
    if not wanted:
        raise BadRequest("status or maintenance_mode is required.", field="status")
    host, service, _ = await _host(nova, req)
    if "maintenance_mode" in wanted:
        raise Unsupported("Virt driver does not implement host maintenance mode.")
    if service is not None:
        values = {"disabled": wanted["status"] == "disable"}
        await hosts.change_service(nova, service.uuid, values)
    return {"host": host.host, "status": f"{wanted['status']}d"}


def _power(verb: str, rule: Rule) -> None:
    @routes.get(f"/os-hosts/{{host}}/{verb}", policy=rule, until=LAST)
    async def act(nova: Nova, req: Request[None]) -> dict[str, Any]:
        """Power of hosts is not the cloud's to switch."""
        await _host(nova, req)
        raise Unsupported("Virt driver does not implement host power actions.")


_power("startup", policies.HOSTS["start"])
_power("shutdown", policies.HOSTS["shutdown"])
_power("reboot", policies.HOSTS["reboot"])

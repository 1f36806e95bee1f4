"""/limits, /os-quota-sets, /os-quota-class-sets, /os-simple-tenant-usage."""

from collections.abc import Collection
from typing import Annotated, Any

from msgspec import Meta

from aerostat.kit.clock import iso
from aerostat.kit.errors import BadRequest
from aerostat.kit.http.microversion import Shown
from aerostat.kit.http.route import Request, Routes
from aerostat.services.nova import policies
from aerostat.services.nova.domain import projects
from aerostat.services.nova.domain.quotas import DEFAULTS
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.versions import INJECTED, RETIRED

routes: Routes[Nova] = Routes("quotas")

NEWEST = tuple(name for name in DEFAULTS if name not in INJECTED)

Limit = Annotated[int, Meta(ge=-1, le=2147483647)]

LAST_WITH_FILES = "2.56"
"""From 2.57 on there are no quotas of injected files."""


def _number(name: str, value: Any) -> int:
    if isinstance(value, bool) or not str(value).lstrip("-").isdecimal() or int(value) < -1:
        raise BadRequest(
            f"Invalid input for field/attribute {name}. Value: {value}. It is an integer of at "
            "least -1.",
            field=name,
        )
    return int(value)


def _wanted(doc: dict[str, Any], root: str, known: Collection[str]) -> dict[str, int]:
    if list(doc) != [root] or not isinstance(doc[root], dict):
        raise BadRequest(f"'{root}' is a required property", field=root)
    values = {k: v for k, v in doc[root].items() if k not in ("force", "tenant_id", "id")}
    for name in values:
        if name not in known:
            raise BadRequest(
                f"Additional properties are not allowed ('{name}' was unexpected)", field=name
            )
    return {k: _number(k, v) for k, v in values.items()}


@routes.get("/limits", policy=policies.LIMITS, tags=("limits",))
async def limits(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show the limits of a project and what it uses."""
    project = req.query.get("tenant_id") or req.ctx.project_id
    if project != req.ctx.project_id:
        req.enforce(policies.LIMITS_OTHER, {"project_id": project})
    found, used = await projects.limits_and_usage(nova, project)
    absolute = {
        "maxTotalInstances": found["instances"],
        "maxTotalCores": found["cores"],
        "maxTotalRAMSize": found["ram"],
        "maxServerMeta": found["metadata_items"],
        "maxTotalKeypairs": found["key_pairs"],
        "maxServerGroups": found["server_groups"],
        "maxServerGroupMembers": found["server_group_members"],
        "totalInstancesUsed": used["instances"],
        "totalCoresUsed": used["cores"],
        "totalRAMUsed": used["ram"],
        "totalServerGroupsUsed": used["server_groups"],
    }
    older = {
        "maxPersonality": found["injected_files"],
        "maxPersonalitySize": found["injected_file_content_bytes"],
        "maxImageMeta": found["metadata_items"],
        "maxTotalFloatingIps": -1,
        "maxSecurityGroups": -1,
        "maxSecurityGroupRules": -1,
        "totalFloatingIpsUsed": 0,
        "totalSecurityGroupsUsed": 0,
    }
    return {"limits": {"rate": [], "absolute": Shown(absolute, **older)}}


def _shown(id_: str | None, values: dict[str, Any], none: Any = -1) -> Shown:
    older = dict.fromkeys(RETIRED, none)
    older |= {n: v for n, v in values.items() if n in INJECTED or n in RETIRED}
    newest = {n: v for n, v in values.items() if n in NEWEST}
    return Shown({"id": id_, **newest} if id_ else newest, **older)


def _set(project: str | None, values: dict[str, Any]) -> dict[str, Any]:
    return {"quota_set": _shown(project, values)}


@routes.get("/os-quota-sets/{project}", policy=None, tags=("quota",))
async def show(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show the limits of a project."""
    project = req.path["project"]
    req.enforce(policies.QUOTAS["show"], {"project_id": project})
    found, _ = await projects.limits_and_usage(nova, project)
    return _set(project, found)


@routes.get("/os-quota-sets/{project}/defaults", policy=None, tags=("quota",))
async def defaults(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show the limits of a project that has none of its own."""
    req.enforce(policies.QUOTAS["defaults"])
    return _set(req.path["project"], await projects.default_limits(nova))


@routes.get("/os-quota-sets/{project}/detail", policy=None, tags=("quota",))
async def show_detail(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show the limits of a project beside what it uses."""
    project = req.path["project"]
    req.enforce(policies.QUOTAS["detail"], {"project_id": project})
    found, used = await projects.limits_and_usage(nova, project)
    values = {n: {"limit": v, "in_use": used.get(n, 0), "reserved": 0} for n, v in found.items()}
    none = {"limit": -1, "in_use": 0, "reserved": 0}
    return {"quota_set": _shown(project, values, none)}


@routes.put(
    "/os-quota-sets/{project}",
    policy=policies.QUOTAS["update"],
    body=dict[str, Any],
    until=LAST_WITH_FILES,
    tags=("quota",),
)
async def update_older(nova: Nova, req: Request[dict[str, Any]]) -> dict[str, Any]:
    """Change limits of a project, those of injected files and of neutron's resources too."""
    return await _update(nova, req, (*DEFAULTS, *RETIRED))


@routes.put(
    "/os-quota-sets/{project}",
    policy=policies.QUOTAS["update"],
    body=dict[str, Any],
    since="2.57",
    tags=("quota",),
)
async def update(nova: Nova, req: Request[dict[str, Any]]) -> dict[str, Any]:
    """Change limits of a project."""
    return await _update(nova, req, NEWEST)


async def _update(
    nova: Nova, req: Request[dict[str, Any]], known: Collection[str]
) -> dict[str, Any]:
    wanted, project = _wanted(req.body, "quota_set", known), req.path["project"]
    force = bool(req.body["quota_set"].get("force", False))
    return _set(None, await projects.set_limits(nova, project, wanted, force=force))


@routes.delete("/os-quota-sets/{project}", policy=policies.QUOTAS["delete"], status=202)
async def delete(nova: Nova, req: Request[None]) -> None:
    """Give a project the default limits again."""
    await projects.forget_limits(nova, req.path["project"])


@routes.get("/os-quota-class-sets/{name}", policy=policies.QUOTA_CLASS_SHOW, tags=("quota_class",))
async def show_class(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show the default limits."""
    found = await projects.default_limits(nova)
    return {"quota_class_set": _shown(req.path["name"], found)}


@routes.put(
    "/os-quota-class-sets/{name}",
    policy=policies.QUOTA_CLASS_UPDATE,
    body=dict[str, Any],
    until=LAST_WITH_FILES,
    tags=("quota_class",),
)
async def update_class_older(nova: Nova, req: Request[dict[str, Any]]) -> dict[str, Any]:
    """Change the default limits, those of injected files and of neutron's resources too."""
    wanted = _wanted(req.body, "quota_class_set", (*DEFAULTS, *RETIRED))
    return {"quota_class_set": _shown(None, await projects.set_default_limits(nova, wanted))}


@routes.put(
    "/os-quota-class-sets/{name}",
    policy=policies.QUOTA_CLASS_UPDATE,
    body=dict[str, Any],
    since="2.57",
    tags=("quota_class",),
)
async def update_class(nova: Nova, req: Request[dict[str, Any]]) -> dict[str, Any]:
    """Change the default limits."""
    wanted = _wanted(req.body, "quota_class_set", NEWEST)
    return {"quota_class_set": _shown(None, await projects.set_default_limits(nova, wanted))}


@routes.get("/os-simple-tenant-usage", policy=policies.USAGE_LIST)
async def usages(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Sum what every project used in a period."""
    start, stop = projects.period(nova, req.query.get("start"), req.query.get("end"))
    detailed = req.query.get("detailed") == "1"
    found = await projects.usages(nova, None, start, stop)
    return {"tenant_usages": [_usage(u, detailed) for u in found]}


@routes.get("/os-simple-tenant-usage/{project}", policy=None)
async def usage(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Sum what a project used in a period."""
    project = req.path["project"]
    req.enforce(policies.USAGE_SHOW, {"project_id": project})
    start, stop = projects.period(nova, req.query.get("start"), req.query.get("end"))
    found = await projects.usages(nova, project, start, stop)
    return {"tenant_usage": _usage(found[0], True) if found else {}}


def _usage(found: projects.Usage, detailed: bool) -> dict[str, Any]:
    doc: dict[str, Any] = {
        "tenant_id": found.project_id,
        "start": iso(found.start, micros=True, zone=""),
        "stop": iso(found.stop, micros=True, zone=""),
        "total_hours": found.hours,
        "total_vcpus_usage": found.vcpu_hours,
        "total_memory_mb_usage": found.ram_mib_hours,
        "total_local_gb_usage": found.disk_gb_hours,
    }
    if detailed:
        doc["server_usages"] = found.servers
    return doc

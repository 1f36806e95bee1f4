"""Limits and usage of projects as they are shown and changed."""

from typing import Any

from msgspec import Struct

from aerostat.kit.clock import iso, parse_iso
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.domain import quotas
from aerostat.services.nova.model.server import Server
from aerostat.services.nova.runtime import Nova

MONTH_S = 30 * 86400.0


async def limits_and_usage(nova: Nova, project_id: str) -> tuple[dict[str, int], dict[str, int]]:
    """Return the limits of a project and what is in use."""

    def read(tx: Tx) -> tuple[dict[str, int], dict[str, int]]:
        return quotas.limits(tx, project_id), quotas.usage(tx, project_id)

    return await nova.db.read(read)


async def default_limits(nova: Nova) -> dict[str, int]:
    """Return the limits of a project that has none of its own."""
    return await nova.db.read(quotas.limits, quotas.CLASS_DEFAULT)


async def set_limits(
    nova: Nova, project_id: str, wanted: dict[str, int], *, force: bool
) -> dict[str, int]:
    """Override limits. Raises: BadRequest (no such project; less than is in use, unforced)."""
    if not await nova.identity.project_exists(project_id=project_id):
        raise BadRequest(f"Project ID {project_id} is not a valid project.", field="project")

    def write(tx: Tx) -> dict[str, int]:
        used = quotas.usage(tx, project_id)
        for name, limit in wanted.items():
            if not force and 0 <= limit < used.get(name, 0):
                raise BadRequest(
                    f"Quota limit {limit} for {name} must be greater than or equal to already "
                    f"used and reserved {used.get(name, 0)}.",
                    field=name,
                )
        quotas.set_limits(tx, project_id, wanted)
        return quotas.limits(tx, project_id)

    return await nova.db.write(write)


async def set_default_limits(nova: Nova, wanted: dict[str, int]) -> dict[str, int]:
    """Change the limits of projects that have none of their own."""

    def write(tx: Tx) -> dict[str, int]:
        quotas.set_limits(tx, quotas.CLASS_DEFAULT, wanted)
        return quotas.limits(tx, quotas.CLASS_DEFAULT)

    return await nova.db.write(write)


async def forget_limits(nova: Nova, project_id: str) -> None:
    """Drop the overrides of a project."""
    await nova.db.write(quotas.forget, project_id)


class Usage(Struct):
    """What a project used between two times, in hours of each thing."""

    project_id: str
    start: float
    stop: float
    hours: float = 0.0
    vcpu_hours: float = 0.0
    ram_mib_hours: float = 0.0
    disk_gb_hours: float = 0.0
    servers: list[dict[str, Any]] = []


def period(nova: Nova, start: str | None, stop: str | None) -> tuple[float, float]:
    """Return the period that was asked for, the last month by default. Raises: BadRequest."""
    now = nova.clock.now()
    try:
        first = parse_iso(start) if start else now - MONTH_S
        last = parse_iso(stop) if stop else now
    except ValueError as why:
        raise BadRequest("Invalid datetime format.", field="start") from why
    if last < first:
        raise BadRequest("Invalid start time. The start time cannot occur after the end time.")
    return first, last


async def usages(nova: Nova, project_id: str | None, start: float, stop: float) -> list[Usage]:
    """Return the usage of one project or of all."""
    found: dict[str, Usage] = {}
    for server in await nova.db.read(rows.alive_between, project_id, start, stop):
        usage = found.setdefault(server.project_id, Usage(server.project_id, start, stop))
        _count(usage, server, nova.clock.now())
    return list(found.values())


def _count(usage: Usage, server: Server, now: float) -> None:
    began = server.launched_at or server.created_at
    ended = server.terminated_at or now
    hours = max(0.0, min(ended, usage.stop) - max(began, usage.start)) / 3600
    disk_gb = server.flavor["root_gb"] + server.flavor["ephemeral_gb"]
    usage.hours += hours
    usage.vcpu_hours += hours * server.vcpus
    usage.ram_mib_hours += hours * server.ram_mib
    usage.disk_gb_hours += hours * disk_gb
    usage.servers.append(
        {
            "instance_id": server.uuid,
            "name": server.name,
            "hours": hours,
            "flavor": server.flavor["name"],
            "vcpus": server.vcpus,
            "memory_mb": server.ram_mib,
            "local_gb": disk_gb,
            "tenant_id": server.project_id,
            "state": server.vm_state,
            "started_at": iso(began, micros=True, zone=""),
            "ended_at": iso(server.terminated_at, micros=True, zone=""),
            "uptime": int(ended - began),
        }
    )

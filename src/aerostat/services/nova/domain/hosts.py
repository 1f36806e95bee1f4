"""Compute hosts and services as operators see and steer them."""

from typing import Any

from aerostat.kit.clock import iso
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, NotFound
from aerostat.services.nova.db import hosts as rows
from aerostat.services.nova.db import servers
from aerostat.services.nova.db.hosts import Aggregate, Host, Service
from aerostat.services.nova.runtime import Nova

Listed = tuple[Host, Service | None, dict[str, int]]
"""A host, its nova-compute, and what is in use on it."""

__all__ = ["Aggregate", "Service"]


async def statuses(nova: Nova) -> dict[str, str]:
    """Return host -> UP, DOWN or MAINTENANCE, as `host_status` shows it."""
    now, down = nova.clock.now(), nova.config.service_down_time_s
    return {
        s.host: "MAINTENANCE" if s.disabled else "UP" if s.up(now, down) else "DOWN"
        for s in await nova.db.read(rows.services)
        if s.binary == "nova-compute"
    }


async def listing(nova: Nova) -> list[Listed]:
    """Return every host with its service and what is in use on it."""

    def read(tx: Tx) -> list[Listed]:
        services = {s.host: s for s in rows.services(tx) if s.binary == "nova-compute"}
        used = servers.counts_by_host(tx)
        none = {"servers": 0, "vcpus": 0, "ram_mib": 0}
        return [(h, services.get(h.host), used.get(h.host, none)) for h in rows.hosts(tx)]

    return await nova.db.read(read)


async def servers_on(nova: Nova, host: str) -> list[dict[str, str]]:
    """Return uuid and name of the servers on a host."""
    found = await nova.db.read(servers.on_host, host)
    return [{"uuid": s.uuid, "name": s.name} for s in found]


async def usage_by_project(nova: Nova, host: str) -> dict[str, list[int]]:
    """Return vcpus, MiB of memory and GiB of disk by project, of the servers on a host."""
    out: dict[str, list[int]] = {}
    for s in await nova.db.read(servers.on_host, host):
        sums = out.setdefault(s.project_id, [0, 0, 0])
        disk_gb = s.flavor["root_gb"] + s.flavor["ephemeral_gb"]
        for i, amount in enumerate((s.vcpus, s.ram_mib, disk_gb)):
            sums[i] += amount
    return out


def uptime(host: Host, now: float) -> str | None:
    """Return for how long a host has been up, as uptime(1) words it; None if it did not say."""
    if not host.facts.booted_at:
        return None
    minutes = int((now - host.facts.booted_at) // 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    return f" {(iso(now) or '')[11:19]} up {days} days, {hours:2}:{minutes % 60:02}"


async def services(nova: Nova) -> list[tuple[Service, str]]:
    """Return every service with its availability zone."""

    def read(tx: Tx) -> list[tuple[Service, str]]:
        aggregates = rows.aggregates(tx)
        out = []
        for s in rows.services(tx):
            zone = "internal"
            if s.binary == "nova-compute":
                default = nova.config.default_availability_zone
                zone = rows.zone_of(s.host, aggregates, default)
            out.append((s, zone))
        return out

    return await nova.db.read(read)


async def change_service(nova: Nova, service_id: str, values: dict[str, Any]) -> Service:
    """Enable, disable or force down a service, by uuid or number. Raises: NotFound."""

    def write(tx: Tx) -> Service:
        service = _service(tx, service_id)
        rows.change_service(tx, service.id, values)
        return _service(tx, service_id)

    return await nova.db.write(write)


def _service(tx: Tx, service_id: str) -> Service:
    for service in rows.services(tx):
        if service_id in (service.uuid, str(service.id)):
            return service
    raise NotFound(f"Service {service_id} not found.")


async def service_named(nova: Nova, host: str, binary: str) -> Service:
    """Raises: NotFound."""
    for service in await nova.db.read(rows.services):
        if (service.host, service.binary) == (host, binary):
            return service
    raise NotFound(f"Could not find binary {binary} on host {host}.")


async def delete_service(nova: Nova, service_id: str) -> None:
    """Forget a service and its host. Raises: NotFound, Conflict (it has servers)."""

    def write(tx: Tx) -> str | None:
        service = _service(tx, service_id)
        if service.binary != "nova-compute":
            rows.remove_service(tx, service)
            return None
        if servers.on_host(tx, service.host):
            raise Conflict("Unable to delete compute service that is hosting instances.")
        try:
            provider = rows.host(tx, service.host).uuid
        except NotFound:
            provider = None
        rows.remove_service(tx, service)
        return provider

    if provider := await nova.db.write(write):
        await nova.placement.delete_provider(provider_id=provider)


async def zones(nova: Nova) -> dict[str, list[tuple[Service, bool]]]:
    """Return availability zone -> (service, up)."""
    now, down = nova.clock.now(), nova.config.service_down_time_s
    out: dict[str, list[tuple[Service, bool]]] = {nova.config.default_availability_zone: []}
    for service, zone in await services(nova):
        out.setdefault(zone, []).append((service, service.up(now, down)))
    return out


async def aggregates(nova: Nova) -> list[Aggregate]:
    """Return every aggregate."""
    return await nova.db.read(rows.aggregates)


def check_zone_name(name: str | None) -> None:
    """Raises: BadRequest (empty, too long, or with a colon)."""
    if name is not None and (not name.strip() or len(name) > 255 or ":" in name):
        raise BadRequest(f"Invalid availability_zone '{name}'", field="availability_zone")

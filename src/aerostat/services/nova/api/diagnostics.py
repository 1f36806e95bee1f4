"""/servers/{id}/diagnostics and topology: what a server uses of its host, and from where."""

from typing import Any

from aerostat.kit.http.route import Request, Routes
from aerostat.services.nova import policies
from aerostat.services.nova.domain import actions, servers
from aerostat.services.nova.model.guest import Diagnostics, NicUse, PowerState, Traffic
from aerostat.services.nova.model.server import Server
from aerostat.services.nova.runtime import Nova

routes: Routes[Nova] = Routes("diagnostics")
URL = "/servers/{server_id}/diagnostics"
KIB_PER_MIB = 1024


async def _told(nova: Nova, req: Request[None]) -> tuple[Server, Diagnostics]:
    server = await servers.get(nova, req.ctx, req.path["server_id"])
    req.enforce(policies.DIAGNOSTICS, {"project_id": server.project_id})
    return server, await actions.diagnostics(nova, server)


@routes.get(URL, policy=None, until="2.47")
async def show_by_device(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show them as libvirt's driver named them before they were the same for all."""
    _, found = await _told(nova, req)
    doc: dict[str, Any] = {f"cpu{n}_time": time for n, time in enumerate(found.cpu_ns)}
    doc["memory"] = found.memory_max_mib * KIB_PER_MIB
    doc["memory-rss"] = found.memory_used_mib * KIB_PER_MIB
    for disk in found.disks:
        doc[f"{disk.device}_read"] = disk.read_bytes
        doc[f"{disk.device}_read_req"] = disk.read_requests
        doc[f"{disk.device}_write"] = disk.write_bytes
        doc[f"{disk.device}_write_req"] = disk.write_requests
        doc[f"{disk.device}_errors"] = disk.errors_count
    for nic in found.nics:
        for way, traffic in (("rx", nic.rx), ("tx", nic.tx)):
            doc[f"{nic.device}_{way}"] = traffic.octets
            doc[f"{nic.device}_{way}_packets"] = traffic.packets
            doc[f"{nic.device}_{way}_errors"] = traffic.errors
            doc[f"{nic.device}_{way}_drop"] = traffic.drop
    return doc


@routes.get(URL, policy=None, since="2.48")
async def show(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show them in the form that all drivers have in common."""
    server, found = await _told(nova, req)
    began = server.launched_at
    return {
        "state": "pending" if found.state is PowerState.NOSTATE else found.state,
        "driver": "libvirt",
        "hypervisor": found.hypervisor,
        "hypervisor_os": "linux",
        "config_drive": bool(server.config_drive),
        "uptime": None if began is None else int(nova.clock.now() - began),
        "num_cpus": len(found.cpu_ns),
        "num_disks": len(found.disks),
        "num_nics": len(found.nics),
        "memory_details": {"maximum": found.memory_max_mib, "used": found.memory_used_mib},
        "cpu_details": [
            {"id": n, "time": time, "utilisation": None} for n, time in enumerate(found.cpu_ns)
        ],
        "disk_details": [
            {
                "read_bytes": disk.read_bytes,
                "read_requests": disk.read_requests,
                "write_bytes": disk.write_bytes,
                "write_requests": disk.write_requests,
                "errors_count": disk.errors_count,
            }
            for disk in found.disks
        ],
        "nic_details": [_nic(nic) for nic in found.nics],
    }


@routes.get("/servers/{server_id}/topology", policy=None, since="2.78")
async def topology(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show the NUMA nodes of a server: none, for guests here have no NUMA topology."""
    server = await servers.get(nova, req.ctx, req.path["server_id"])
    req.enforce(policies.TOPOLOGY, {"project_id": server.project_id})
    return {"nodes": [], "pagesize_kb": None}


def _nic(nic: NicUse) -> dict[str, Any]:
    return {"mac_address": nic.mac_address, **_way("rx", nic.rx), **_way("tx", nic.tx)}


def _way(way: str, traffic: Traffic) -> dict[str, Any]:
    return {
        f"{way}_octets": traffic.octets,
        f"{way}_packets": traffic.packets,
        f"{way}_errors": traffic.errors,
        f"{way}_drop": traffic.drop,
        f"{way}_rate": None,
    }

"""Servers as the API shows them, in the newest microversion's form."""

from typing import Any

from msgspec import Struct

from aerostat.contracts.network import ServerAddress
from aerostat.kit.clock import iso
from aerostat.kit.http.microversion import Shown
from aerostat.services.nova.model.server import POWER_NUMBERS, Server

PROGRESSING = ("ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE")
"""The states in which `progress` is shown. Source: compute api-ref, "Show Server Details"."""


class Around(Struct):
    """What a view needs beside the row: by server id, read once for a whole page.

    `whole`: for one server alone, which shows its group too.
    """

    base: str
    admin: bool
    addresses: dict[str, list[ServerAddress]]
    security_groups: dict[str, list[str]]
    host_status: dict[str, str] = {}
    host_ids: dict[str, str] = {}
    whole: bool = True


def links(base: str, noun: str, id_: str) -> list[dict[str, str]]:
    """Return the self and bookmark links of a resource."""
    root = base.removesuffix("/v2.1")
    return [
        {"rel": "self", "href": f"{base}/{noun}/{id_}"},
        {"rel": "bookmark", "href": f"{root}/{noun}/{id_}"},
    ]


def brief(server: Server, base: str) -> dict[str, Any]:
    """Return a server as GET /servers lists it."""
    return {
        "id": server.uuid,
        "name": server.name,
        "links": links(base, "servers", server.uuid),
    }


def flavor_of(server: Server) -> dict[str, Any]:
    """Return the flavor as it was when the server was made."""
    f = server.flavor
    shown = {
        "vcpus": f["vcpus"],
        "ram": f["ram_mib"],
        "disk": f["root_gb"],
        "ephemeral": f["ephemeral_gb"],
        "swap": f["swap_mib"],
        "original_name": f["name"],
        "extra_specs": f["extra_specs"],
    }
    return Shown(shown, id=f["flavorid"])


def addresses(found: list[ServerAddress]) -> dict[str, Any]:
    """Return the addresses by network name."""
    out: dict[str, list[dict[str, Any]]] = {}
    for a in found:
        out.setdefault(a.network_name, []).append(
            {
                "version": a.version,
                "addr": a.address,
                "OS-EXT-IPS:type": a.kind,
                "OS-EXT-IPS-MAC:mac_addr": a.mac,
            }
        )
    return out


def _image(server: Server, base: str) -> Any:
    if server.image_id is None:
        return ""
    root = base.removesuffix("/v2.1")
    image = {
        "id": server.image_id,
        "links": [{"rel": "bookmark", "href": f"{root}/images/{server.image_id}"}],
    }
    image["properties"] = (server.image or {}).get("properties", {})
    return image


def detail(server: Server, around: Around) -> dict[str, Any]:
    """Return a server as GET /servers/{id} shows it."""
    host = server.host
    doc: dict[str, Any] = {
        "id": server.uuid,
        "name": server.name,
        "status": server.status,
        "tenant_id": server.project_id,
        "user_id": server.user_id,
        "metadata": server.metadata,
        "hostId": around.host_ids.get(f"{server.project_id}{host}", "") if host else "",
        "image": _image(server, around.base),
        "flavor": flavor_of(server),
        "created": iso(server.created_at),
        "updated": iso(server.updated_at),
        "addresses": addresses(around.addresses.get(server.uuid, [])),
        "accessIPv4": server.access_ip_v4 or "",
        "accessIPv6": server.access_ip_v6 or "",
        "links": links(around.base, "servers", server.uuid),
        "OS-DCF:diskConfig": server.requested.get("disk_config") or "MANUAL",
        "OS-EXT-AZ:availability_zone": server.availability_zone or "",
        "config_drive": "True" if server.config_drive else "",
        "key_name": server.key_name,
        "OS-SRV-USG:launched_at": _micros(server.launched_at),
        "OS-SRV-USG:terminated_at": _micros(server.terminated_at),
        "OS-EXT-STS:task_state": server.task_state,
        "OS-EXT-STS:vm_state": server.vm_state,
        "OS-EXT-STS:power_state": POWER_NUMBERS.get(server.power_state, 0),
        "os-extended-volumes:volumes_attached": [],
        "locked": server.locked,
        "locked_reason": server.locked_reason,
        "description": server.description,
        "tags": server.tags,
        "trusted_image_certificates": None,
        "pinned_availability_zone": server.requested.get("zone"),
        "scheduler_hints": server.requested.get("hints") or {},
    }
    if doc["status"] in PROGRESSING:
        doc["progress"] = 0
    if around.whole:
        doc["server_groups"] = [server.group_id] if server.group_id else []
    if groups := around.security_groups.get(server.uuid):
        doc["security_groups"] = [{"name": name} for name in groups]
    if server.fault is not None and server.vm_state in ("error", "deleted"):
        doc["fault"] = _fault(server.fault, around.admin)
    if around.admin:
        doc.update(_extended(server, around))
    return doc


def _fault(fault: dict[str, Any], admin: bool) -> dict[str, Any]:
    shown = {k: fault[k] for k in ("code", "created", "message")}
    if admin or fault["code"] != 500:
        shown["details"] = fault.get("details", "")
    return shown


def _extended(server: Server, around: Around) -> dict[str, Any]:
    image = (server.image or {}).get("properties", {})
    return {
        "OS-EXT-SRV-ATTR:host": server.host,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": server.host,
        "OS-EXT-SRV-ATTR:instance_name": f"instance-{server.id:08x}",
        "OS-EXT-SRV-ATTR:hostname": server.hostname,
        "OS-EXT-SRV-ATTR:reservation_id": server.reservation_id,
        "OS-EXT-SRV-ATTR:launch_index": server.launch_index,
        "OS-EXT-SRV-ATTR:kernel_id": image.get("kernel_id", ""),
        "OS-EXT-SRV-ATTR:ramdisk_id": image.get("ramdisk_id", ""),
        "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda",
        "OS-EXT-SRV-ATTR:user_data": server.user_data,
        "host_status": around.host_status.get(server.host, "UNKNOWN") if server.host else "",
    }


def _micros(when: float | None) -> str | None:
    return iso(when, micros=True, zone="")

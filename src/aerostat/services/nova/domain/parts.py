"""Metadata and tags of servers, and how their ports are shown."""

from typing import Any

from aerostat.contracts.network import BoundPort
from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.domain import quotas
from aerostat.services.nova.domain.servers import check_unlocked, project_of
from aerostat.services.nova.model.server import Server, VmState
from aerostat.services.nova.runtime import Nova

TAGS_MAX = 50


async def set_metadata(
    nova: Nova, ctx: Context, server: Server, wanted: dict[str, str]
) -> dict[str, str]:
    """Make the metadata exactly `wanted`.

    Raises: Conflict (locked, or building), QuotaExceeded (metadata_items).
    """
    check_unlocked(server, ctx)
    if server.vm_state == VmState.BUILDING:
        raise Conflict(
            f"Cannot 'update metadata' instance {server.uuid} while it is in vm_state building"
        )

    def write(tx: Tx) -> None:
        quotas.check_items(tx, ctx, "metadata_items", len(wanted))
        rows.change(tx, server.uuid, nova.clock.now(), metadata=wanted)

    await nova.db.write(write)
    return wanted


def check_tag(tag: str) -> None:
    """Raises: BadRequest (too long, or with a comma or slash)."""
    if not 0 < len(tag) <= 60 or "," in tag or "/" in tag:
        raise BadRequest(f"Tag '{tag}' is invalid: 1 to 60 characters, no ',' or '/'", field="tag")


async def set_tags(nova: Nova, ctx: Context, server: Server, wanted: list[str]) -> list[str]:
    """Make the tags exactly `wanted`. Raises: Conflict (building), BadRequest (too many)."""
    check_unlocked(server, ctx)
    unique = sorted(set(wanted))
    if len(unique) > TAGS_MAX:
        raise BadRequest(f"The number of tags exceeded the per-server limit {TAGS_MAX}")
    await nova.db.write(lambda tx: rows.change(tx, server.uuid, nova.clock.now(), tags=unique))
    return unique


async def add_security_group(nova: Nova, server: Server, name: str) -> None:
    """Put every port of the server into a group. Raises: NotFound, Conflict (no ports)."""
    await nova.network.add_security_group(
        server_id=server.uuid, project_id=server.project_id, name=name
    )


async def remove_security_group(nova: Nova, server: Server, name: str) -> None:
    """Take every port of the server out of a group. Raises: NotFound (group, not in it)."""
    await nova.network.remove_security_group(
        server_id=server.uuid, project_id=server.project_id, name=name
    )


def interface(port: BoundPort) -> dict[str, Any]:
    """Return a port as os-interface shows it."""
    return {
        "port_id": port.port_id,
        "net_id": port.network_id,
        "mac_addr": port.mac,
        "port_state": port.status,
        "fixed_ips": [{"ip_address": a.address, "subnet_id": a.subnet_id} for a in port.addresses],
        "tag": port.tag,
    }


async def even_deleted(nova: Nova, ctx: Context, uuid: str) -> Server:
    """Return a server, though it be deleted. Raises: NotFound."""
    return await nova.db.read(lambda tx: rows.get(tx, uuid, project_of(ctx), deleted=True))

"""What the servers of a page need around them, read once each."""

import hashlib
from typing import Any

from aerostat.kit.http.route import Request
from aerostat.services.nova import policies
from aerostat.services.nova.domain import hosts
from aerostat.services.nova.model.server import Server
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.schemas.views import Around


def base_of(req: Request[Any]) -> str:
    """Return the URL of this API that links start with."""
    return f"{req.base}/v2.1"


async def around(nova: Nova, req: Request[Any], servers: list[Server]) -> Around:
    """Read addresses, security groups and host states of these servers."""
    ids = [s.uuid for s in servers if s.requested["networks"]]
    admin = req.allows(policies.EXTENDED)
    pairs = {(s.project_id, s.host) for s in servers if s.host}
    return Around(
        base=base_of(req),
        admin=admin,
        addresses=await nova.network.addresses(server_ids=ids) if ids else {},
        security_groups=await nova.network.security_groups(server_ids=ids) if ids else {},
        host_status=await hosts.statuses(nova) if admin else {},
        host_ids={f"{p}{h}": host_id(p, h) for p, h in pairs},
    )


def host_id(project_id: str, host: str) -> str:
    """Return what tells a tenant that two servers share a host, and nothing more."""
    return hashlib.sha224(f"{project_id}{host}".encode()).hexdigest()

"""/ and /v2.0: the versions and what this one has."""

from typing import Any

from aerostat.kit.http.route import Request, Routes
from aerostat.services.neutron.runtime import NeutronService

versions: Routes[NeutronService] = Routes("versions")
resources: Routes[NeutronService] = Routes("resources")
NOUNS = (
    "networks",
    "subnets",
    "ports",
    "routers",
    "floatingips",
    "security-groups",
    "security-group-rules",
    "subnetpools",
    "address-scopes",
    "agents",
    "extensions",
    "quotas",
    "availability_zones",
)


@versions.get("", policy=None, public=True)
async def index(_neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
    """Show the versions."""
    link = {"rel": "self", "href": f"{req.base}/v2.0/"}
    return {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [link]}]}


@resources.get("", policy=None, public=True)
async def show(_neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
    """Show the collections."""
    return {
        "resources": [
            {
                "name": name.rstrip("s"),
                "collection": name,
                "links": [{"rel": "self", "href": f"{req.base}/v2.0/{name}"}],
            }
            for name in NOUNS
        ]
    }

"""Which versions of the identity API there are."""

from typing import Any

from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.runtime import Keystone

routes: Routes[Keystone] = Routes("discovery")


def _version(req: Request[Any]) -> Document:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{req.base}/v3/"}],
        "media-types": [
            {
                "base": "application/json",
                "type": "application/vnd.openstack.identity-v3+json",
            }
        ],
    }


@routes.get("/", policy=None, public=True, status=300)
async def versions(_keystone: Keystone, req: Request[None]) -> Document:
    """List the versions."""
    return {"versions": {"values": [_version(req)]}}


@routes.get("/v3", policy=None, public=True)
async def version(_keystone: Keystone, req: Request[None]) -> Document:
    """Show version 3."""
    return {"version": _version(req)}

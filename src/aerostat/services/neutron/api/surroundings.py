"""/availability_zones, /service-providers, /network-ip-availabilities."""

from typing import Any

from aerostat.kit.http.route import Request, Routes
from aerostat.services.neutron import policies
from aerostat.services.neutron.api.resources import PAGING
from aerostat.services.neutron.domain import availability
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.runtime import NeutronService

routes: Routes[NeutronService] = Routes("surroundings")
ANYONE = policies.BY_NAME["get_availability_zone"]
ADMIN = policies.BY_NAME["get_network_ip_availability"]


@routes.get("/availability_zones", policy=ANYONE)
async def zones(_neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
    """List availability zones."""
    found = [
        {"name": "nova", "resource": resource, "state": "available"}
        for resource in ("network", "router")
    ]
    return {"availability_zones": _filtered(req, found)}


def _filtered(req: Request[None], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        one
        for one in found
        if all(str(one[name]) in req.query.all(name) for name in one if req.query.all(name))
    ]


@routes.get("/service-providers", policy=ANYONE)
async def providers(_neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
    """List providers of services."""
    provider = {"service_type": "L3_ROUTER_NAT", "name": "single_node", "default": True}
    return {"service_providers": _filtered(req, [provider])}


@routes.get("/network-ip-availabilities", policy=ADMIN)
async def availabilities(neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
    """List totals and uses of networks' addresses."""
    filters = {name: values for name, values in req.query.items() if name not in PAGING}
    found = await neutron.db.read(availability.availability, filters)
    return {"network_ip_availabilities": found}


@routes.get("/network-ip-availabilities/{id}", policy=ADMIN)
async def one(neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
    """Show totals and uses of a network's addresses."""
    key = req.path["id"]
    found = await neutron.db.read(availability.availability, {"network_id": [key]})
    if not found:
        raise faults.not_found("network", key)
    return {"network_ip_availability": found[0]}

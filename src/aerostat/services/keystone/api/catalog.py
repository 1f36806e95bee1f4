"""/v3/regions, /v3/services, /v3/endpoints"""

from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import catalog, nouns
from aerostat.services.keystone.model.catalog import Region, Service, ServiceEndpoint, is_template
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.catalog import (
    EndpointCreate,
    EndpointUpdate,
    RegionCreate,
    RegionUpdate,
    ServiceCreate,
    ServiceUpdate,
)
from aerostat.services.keystone.schemas.fields import given

routes: Routes[Keystone] = Routes("catalog")


def region_view(req: Request[Any], item: Region) -> Document:
    """Return a region as shown."""
    return views.plain(req, "regions", item, "parent_region_id")


def service_view(req: Request[Any], item: Service) -> Document:
    """Return a service as shown."""
    return views.plain(req, "services", item)


def endpoint_view(req: Request[Any], item: ServiceEndpoint) -> Document:
    """Return an endpoint as shown; `region` repeats `region_id`, as upstream does."""
    shown = views.plain(req, "endpoints", item, "region_id")
    return {**shown, "region": shown["region_id"]}


@routes.get("/regions", policy=policies.LIST_REGIONS)
async def regions(keystone: Keystone, req: Request[None]) -> Document:
    """List regions."""
    wanted = views.listing(keystone, req, "parent_region_id", "id")
    found = await nouns.listed(keystone, nouns.regions, wanted)
    return views.collection(req, "regions", found, region_view, wanted)


@routes.post("/regions", policy=policies.CREATE_REGION, body=RegionCreate)
async def create_region(keystone: Keystone, req: Request[RegionCreate]) -> Document:
    """Create a region."""
    return await _new_region(keystone, req, req.body.region.id or keystone.ids())


@routes.put("/regions/{region_id}", policy=policies.CREATE_REGION, body=RegionCreate, status=201)
async def put_region(keystone: Keystone, req: Request[RegionCreate]) -> Document:
    """Create a region with an id."""
    given_id = req.body.region.id
    if given_id and given_id != req.path["region_id"]:
        raise BadRequest("Conflicting region IDs specified", field="id")
    return await _new_region(keystone, req, req.path["region_id"])


async def _new_region(keystone: Keystone, req: Request[RegionCreate], region_id: str) -> Document:
    body = req.body.region
    row = Region(region_id, body.description or "", body.parent_region_id or "", body.extra)
    return {"region": region_view(req, await catalog.create_region(keystone, row))}


@routes.get("/regions/{region_id}", policy=policies.GET_REGION)
async def region(keystone: Keystone, req: Request[None]) -> Document:
    """Show a region."""
    return {
        "region": region_view(req, await nouns.find(keystone, nouns.regions, req.path["region_id"]))
    }


@routes.patch("/regions/{region_id}", policy=policies.UPDATE_REGION, body=RegionUpdate)
async def update_region(keystone: Keystone, req: Request[RegionUpdate]) -> Document:
    """Change a region."""
    changes = given(req.body.region)
    found = await catalog.update_region(keystone, req.path["region_id"], changes)
    return {"region": region_view(req, found)}


@routes.delete("/regions/{region_id}", policy=policies.DELETE_REGION)
async def delete_region(keystone: Keystone, req: Request[None]) -> None:
    """Delete a region."""
    await catalog.delete_region(keystone, req.path["region_id"])


@routes.get("/services", policy=policies.LIST_SERVICES)
async def services(keystone: Keystone, req: Request[None]) -> Document:
    """List services."""
    wanted = views.listing(keystone, req, "type", "name", "enabled", "id")
    found = await nouns.listed(keystone, nouns.services, wanted)
    return views.collection(req, "services", found, service_view, wanted)


@routes.post("/services", policy=policies.CREATE_SERVICE, body=ServiceCreate)
async def create_service(keystone: Keystone, req: Request[ServiceCreate]) -> Document:
    """Create a service."""
    body = req.body.service
    row = Service(
        id=keystone.ids(),
        type=body.type,
        name=body.name or "",
        enabled=body.enabled,
        description=body.description or "",
        extra=body.extra,
    )
    return {"service": service_view(req, await catalog.create_service(keystone, row))}


@routes.get("/services/{service_id}", policy=policies.GET_SERVICE)
async def service(keystone: Keystone, req: Request[None]) -> Document:
    """Show a service."""
    found = await nouns.find(keystone, nouns.services, req.path["service_id"])
    return {"service": service_view(req, found)}


@routes.patch("/services/{service_id}", policy=policies.UPDATE_SERVICE, body=ServiceUpdate)
async def update_service(keystone: Keystone, req: Request[ServiceUpdate]) -> Document:
    """Change a service."""
    changes = given(req.body.service)
    found = await catalog.update_service(keystone, req.path["service_id"], changes)
    return {"service": service_view(req, found)}


@routes.delete("/services/{service_id}", policy=policies.DELETE_SERVICE)
async def delete_service(keystone: Keystone, req: Request[None]) -> None:
    """Delete a service with its endpoints."""
    await catalog.delete_service(keystone, req.path["service_id"])


@routes.get("/endpoints", policy=policies.LIST_ENDPOINTS)
async def endpoints(keystone: Keystone, req: Request[None]) -> Document:
    """List endpoints."""
    wanted = views.listing(keystone, req, "interface", "service_id", "region_id", "enabled", "id")
    found = await nouns.listed(keystone, nouns.endpoints, wanted)
    return views.collection(req, "endpoints", found, endpoint_view, wanted)


@routes.post("/endpoints", policy=policies.CREATE_ENDPOINT, body=EndpointCreate)
async def create_endpoint(keystone: Keystone, req: Request[EndpointCreate]) -> Document:
    """Create an endpoint; a `region` that is not there is made, as upstream does."""
    body = req.body.endpoint
    if not is_template(body.url):
        raise BadRequest(f"Cannot create an endpoint with an invalid URL: {body.url}.", field="url")
    region_id = body.region_id or body.region or ""
    if body.region and not body.region_id:
        await _make_region(keystone, region_id)
    row = ServiceEndpoint(
        id=keystone.ids(),
        service_id=body.service_id,
        region_id=region_id,
        interface=body.interface,
        url=body.url,
        enabled=body.enabled,
        extra=body.extra,
    )
    return {"endpoint": endpoint_view(req, await catalog.create_endpoint(keystone, row))}


async def _make_region(keystone: Keystone, region_id: str) -> None:
    if await nouns.look(keystone, nouns.regions, region_id) is None:
        await catalog.create_region(keystone, Region(region_id, "", "", {}))


@routes.get("/endpoints/{endpoint_id}", policy=policies.GET_ENDPOINT)
async def endpoint(keystone: Keystone, req: Request[None]) -> Document:
    """Show an endpoint."""
    found = await nouns.find(keystone, nouns.endpoints, req.path["endpoint_id"])
    return {"endpoint": endpoint_view(req, found)}


@routes.patch("/endpoints/{endpoint_id}", policy=policies.UPDATE_ENDPOINT, body=EndpointUpdate)
async def update_endpoint(keystone: Keystone, req: Request[EndpointUpdate]) -> Document:
    """Change an endpoint."""
    changes = given(req.body.endpoint)
    region_id = changes.pop("region", "")
    if region_id and "region_id" not in changes:
        changes["region_id"] = region_id
        await _make_region(keystone, region_id)
    found = await catalog.update_endpoint(keystone, req.path["endpoint_id"], changes)
    return {"endpoint": endpoint_view(req, found)}


@routes.delete("/endpoints/{endpoint_id}", policy=policies.DELETE_ENDPOINT)
async def delete_endpoint(keystone: Keystone, req: Request[None]) -> Reply:
    """Delete an endpoint."""
    await catalog.delete_endpoint(keystone, req.path["endpoint_id"])
    return Reply()

"""/v2/info/stores, /v2/stores/{store}/{image_id} and /v2/images/{image_id}/locations."""

from typing import Any

from aerostat.kit.errors import NotFound
from aerostat.kit.http.route import Request, Routes
from aerostat.kit.http.schema import Open
from aerostat.services.glance import policies
from aerostat.services.glance.api import views
from aerostat.services.glance.api.asking import asker, enforce, permitted
from aerostat.services.glance.domain import images, locations
from aerostat.services.glance.runtime import Glance
from aerostat.services.glance.schemas.patch import claims

routes: Routes[Glance] = Routes("stores")
URL = "/images/{image_id}/locations"


class LocationBody(Open):
    """A place where the data of an image lies already, and what its digest must be."""

    url: str
    validation_data: dict[str, str] = {}


@routes.get("/info/stores", policy=None)
async def index(glance: Glance, _req: Request[None]) -> dict[str, Any]:
    """Show the stores."""
    return {"stores": [_store(glance, name) for name in glance.stores.ids]}


def _store(glance: Glance, name: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": name}
    if name == glance.stores.default:
        shown["default"] = "true"
    if not glance.stores.get(name).writable:
        shown["read-only"] = "true"
    return shown


@routes.get("/info/stores/detail", policy=policies.STORES_DETAIL)
async def detail(glance: Glance, _req: Request[None]) -> dict[str, Any]:
    """Show the stores as an operator sees them."""
    stores = glance.stores
    return {
        "stores": [
            {
                **_store(glance, name),
                "type": stores.get(name).kind,
                "weight": stores.weight(name),
                "properties": stores.get(name).properties,
            }
            for name in stores.ids
        ]
    }


@routes.delete("/stores/{store}/{image_id}", policy=None)
async def drop(glance: Glance, req: Request[None]) -> None:
    """Remove the data of an image from one of the stores that have it."""
    found = await permitted(glance, req, policies.DELETE_LOCATION)
    enforce(req, policies.GET_LOCATION, found)
    if req.path["store"] not in glance.stores.ids:
        raise NotFound(f"Store {req.path['store']} is not known.")
    await locations.drop(glance, req.path["image_id"], req.path["store"])


@routes.post(URL, policy=None, status=202, body=LocationBody)
async def add(glance: Glance, req: Request[LocationBody]) -> None:
    """Say where the data of an image lies already."""
    found = await permitted(glance, req, policies.ADD_LOCATION)
    said = claims(req.body.validation_data)
    await locations.add(glance, found.image.id, req.body.url, said, asker(req))


@routes.get(URL, policy=policies.FETCH_LOCATION)
async def show(glance: Glance, req: Request[None]) -> list[dict[str, Any]]:
    """Show a service where the data of an image lies."""
    found = await images.one(glance, req.path["image_id"])
    return [views.location(place) for place in found.locations]

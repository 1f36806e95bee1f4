"""/resource_classes: list, create, show, ensure, delete."""

from typing import Any

from aerostat.kit.errors import BadRequest, Conflict, NotFound
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.placement import policies
from aerostat.services.placement.domain import names
from aerostat.services.placement.runtime import PlacementService
from aerostat.services.placement.schemas.bodies import ClassCreate

routes: Routes[PlacementService] = Routes("resource_classes")


def view(name: str) -> dict[str, Any]:
    """Return the newest form of a resource class."""
    return {"name": name, "links": [{"rel": "self", "href": f"/resource_classes/{name}"}]}


@routes.get("/resource_classes", policy=policies.CLASSES["list"], since="1.2")
async def index(placement: PlacementService, _req: Request[None]) -> dict[str, Any]:
    """List resource classes."""
    return {"resource_classes": [view(n) for n in await names.classes(placement)]}


@routes.post("/resource_classes", policy=policies.CLASSES["create"], body=ClassCreate, since="1.2")
async def create(placement: PlacementService, req: Request[ClassCreate]) -> Reply:
    """Create a custom resource class."""
    if not await names.create_class(placement, req.body.name):
        raise Conflict(f"Conflicting resource class already exists: {req.body.name}")
    return Reply(headers={"location": f"{req.url}/{req.body.name}"})


@routes.get("/resource_classes/{name}", policy=policies.CLASSES["show"], since="1.2")
async def show(placement: PlacementService, req: Request[None]) -> dict[str, Any]:
    """Show a resource class."""
    if req.path["name"] not in await names.classes(placement):
        raise NotFound(f"No such resource class: {req.path['name']}")
    return view(req.path["name"])


@routes.put("/resource_classes/{name}", policy=policies.CLASSES["update"], since="1.7")
async def ensure(placement: PlacementService, req: Request[None]) -> Reply:
    """Make a custom resource class exist."""
    name = req.path["name"]
    if not names.CUSTOM.fullmatch(name):
        raise BadRequest(f"{name} does not match ^CUSTOM_[A-Z0-9_]+$", field="name")
    made = await names.create_class(placement, name)
    return Reply(status=201 if made else 204, headers={"location": req.url})


@routes.delete("/resource_classes/{name}", policy=policies.CLASSES["delete"], since="1.2")
async def delete(placement: PlacementService, req: Request[None]) -> None:
    """Delete a custom resource class that no provider has."""
    await names.delete_class(placement, req.path["name"])

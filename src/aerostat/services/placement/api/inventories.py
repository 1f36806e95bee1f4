"""/resource_providers/{uuid}/inventories: list, replace, add, show, update, delete."""

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from aerostat.kit.errors import BadRequest, NotFound
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.placement import policies
from aerostat.services.placement.domain import providers
from aerostat.services.placement.domain.providers import inventories as inventories_of
from aerostat.services.placement.model.provider import Inventory
from aerostat.services.placement.runtime import PlacementService
from aerostat.services.placement.schemas.bodies import (
    Inventories,
    InventoryBody,
    InventoryCreate,
    InventoryUpdate,
)

routes: Routes[PlacementService] = Routes("inventories")
URL = "/resource_providers/{uuid}/inventories"


def inventory(body: InventoryBody) -> Inventory:
    """Return the model's inventory for a body."""
    return Inventory(**{name: getattr(body, name) for name in Inventory.__struct_fields__})


def view(generation: int, found: Mapping[str, Inventory]) -> dict[str, Any]:
    """Return the newest form of a provider's inventories."""
    return {
        "resource_provider_generation": generation,
        "inventories": {name: structs.asdict(inv) for name, inv in found.items()},
    }


def view_one(generation: int, found: Inventory) -> dict[str, Any]:
    """Return the newest form of one inventory."""
    return {"resource_provider_generation": generation, **structs.asdict(found)}


@routes.get(URL, policy=policies.INVENTORIES["list"])
async def index(placement: PlacementService, req: Request[None]) -> dict[str, Any]:
    """List the inventories of a provider."""
    provider, found = await providers.read(placement, req.path["uuid"], inventories_of)
    return view(provider.generation, found)


@routes.put(URL, policy=policies.INVENTORIES["update"], body=Inventories)
async def replace(placement: PlacementService, req: Request[Inventories]) -> dict[str, Any]:
    """Make the inventories exactly those of the body."""
    wanted = {name: inventory(body) for name, body in req.body.inventories.items()}
    generation, now = await providers.set_inventories(
        placement, req.path["uuid"], lambda _: wanted, req.body.resource_provider_generation
    )
    return view(generation, now)


@routes.delete(URL, policy=policies.INVENTORIES["delete"], since="1.5")
async def clear(placement: PlacementService, req: Request[None]) -> None:
    """Delete all inventories of a provider."""
    await providers.set_inventories(placement, req.path["uuid"], lambda _: {}, None)


@routes.post(URL, policy=policies.INVENTORIES["create"], body=InventoryCreate)
async def add(placement: PlacementService, req: Request[InventoryCreate]) -> Reply:
    """Add one inventory."""
    uuid, name = req.path["uuid"], req.body.resource_class
    change = providers.one_more(name, inventory(req.body))
    generation, now = await providers.set_inventories(placement, uuid, change, None)
    return Reply(view_one(generation, now[name]), headers={"location": f"{req.url}/{name}"})


@routes.get(URL + "/{resource_class}", policy=policies.INVENTORIES["show"])
async def show(placement: PlacementService, req: Request[None]) -> dict[str, Any]:
    """Show one inventory."""
    provider, found = await providers.read(placement, req.path["uuid"], inventories_of)
    name = req.path["resource_class"]
    if name not in found:
        raise NotFound(f"No inventory of class {name} for {provider.uuid}")
    return view_one(provider.generation, found[name])


@routes.put(URL + "/{resource_class}", policy=policies.INVENTORIES["update"], body=InventoryUpdate)
async def update(placement: PlacementService, req: Request[InventoryUpdate]) -> dict[str, Any]:
    """Change one inventory."""
    name, wanted = req.path["resource_class"], inventory(req.body)

    def change(now: dict[str, Inventory]) -> Mapping[str, Inventory]:
        if name not in now:
            raise BadRequest(f"No inventory record with resource class {name}", field=name)
        return {**now, name: wanted}

    generation, now = await providers.set_inventories(
        placement, req.path["uuid"], change, req.body.resource_provider_generation
    )
    return view_one(generation, now[name])


@routes.delete(URL + "/{resource_class}", policy=policies.INVENTORIES["delete"])
async def delete(placement: PlacementService, req: Request[None]) -> None:
    """Delete one inventory."""
    change = providers.one_less(req.path["resource_class"])
    await providers.set_inventories(placement, req.path["uuid"], change, None)

"""/reshaper: inventories and allocations of several providers, changed in one step."""

from aerostat.kit.db.engine import Tx
from aerostat.kit.http.route import Request, Routes
from aerostat.services.placement import policies
from aerostat.services.placement.api.allocations import claim
from aerostat.services.placement.api.inventories import inventory
from aerostat.services.placement.domain import reshape
from aerostat.services.placement.runtime import PlacementService
from aerostat.services.placement.schemas.bodies import Reshape

routes: Routes[PlacementService] = Routes("reshaper")


@routes.post("/reshaper", policy=policies.RESHAPE, body=Reshape, since="1.30", status=204)
async def create(placement: PlacementService, req: Request[Reshape]) -> None:
    """Move inventories and allocations between providers atomically."""
    inventories = {
        uuid: (
            body.resource_provider_generation,
            {name: inventory(i) for name, i in body.inventories.items()},
        )
        for uuid, body in req.body.inventories.items()
    }
    claims = [claim(uuid, body) for uuid, body in req.body.allocations.items()]

    def write(tx: Tx) -> None:
        reshape.reshape(tx, inventories, claims, placement.clock.now())

    await placement.db.write(write)

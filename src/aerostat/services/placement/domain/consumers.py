"""What consumers hold, as it is read and replaced."""

from typing import Any

from aerostat.kit.db.engine import Tx
from aerostat.services.placement.db import allocations as rows
from aerostat.services.placement.db import providers
from aerostat.services.placement.domain import allocations
from aerostat.services.placement.domain.allocations import Claim
from aerostat.services.placement.runtime import PlacementService


async def usages(
    placement: PlacementService, project_id: str, user_id: str | None, kind: str | None
) -> dict[str, dict[str, int]]:
    """Return consumer type -> class -> amount of a project."""
    return await placement.db.read(rows.usages, project_id, user_id, kind)


async def show(placement: PlacementService, uuid: str) -> dict[str, Any]:
    """Return the newest form of GET /allocations/{uuid}; empty for an unknown consumer."""

    def read(tx: Tx) -> dict[str, Any]:
        found = rows.consumer(tx, uuid)
        out: dict[str, Any] = {"allocations": rows.of_consumer(tx, uuid)}
        if found is not None:
            out["project_id"], out["user_id"] = found[1], found[2]
            out["consumer_type"], out["consumer_generation"] = found[3] or "unknown", found[4]
        return out

    return await placement.db.read(read)


async def of_provider(placement: PlacementService, uuid: str) -> dict[str, Any]:
    """Return the newest form of a provider's allocations. Raises: NotFound."""

    def read(tx: Tx) -> dict[str, Any]:
        provider = providers.get(tx, uuid)
        return {
            "allocations": rows.of_provider(tx, provider.id),
            "resource_provider_generation": provider.generation,
        }

    return await placement.db.read(read)


async def replace(placement: PlacementService, claims: list[Claim]) -> None:
    """Apply claims together. Raises: see domain.allocations."""
    await placement.db.write(allocations.replace_all, claims, placement.clock.now())


async def delete(placement: PlacementService, uuid: str) -> bool:
    """Release a consumer; tell whether it held anything."""
    return await placement.db.write(rows.clear, uuid)

"""What placement does for the other services."""

from msgspec import structs

from aerostat.contracts.placement import InventoryFacts, Room
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import NotFound
from aerostat.services.placement.db import allocations, providers
from aerostat.services.placement.domain import allocations as claims
from aerostat.services.placement.model.provider import CandidateQuery, Inventory
from aerostat.services.placement.runtime import PlacementService


class Provides:
    """contracts.placement.Placement over this service's own tables."""

    def __init__(self, service: PlacementService) -> None:
        self._db, self._clock = service.db, service.clock

    async def ensure_provider(
        self,
        *,
        provider_id: str,
        name: str,
        inventories: dict[str, InventoryFacts],
        traits: list[str],
    ) -> None:
        """Make the provider exist with exactly these inventories and at least these traits."""
        wanted = {
            c: Inventory(*(getattr(f, n) for n in f.__struct_fields__))
            for c, f in inventories.items()
        }
        now = self._clock.now()

        def write(tx: Tx) -> None:
            try:
                provider = providers.get(tx, provider_id)
            except NotFound:
                provider = providers.add(tx, provider_id, name, None, now)
            has = providers.traits(tx, [provider.id])[provider.id]
            now_there = providers.inventories(tx, [provider.id])[provider.id]
            kept = _with_ratios_of(now_there, wanted)
            if now_there != kept:
                providers.write_inventories(tx, provider, kept)
                providers.bump(tx, provider, None, now)
            if not set(traits) <= set(has):
                providers.write_traits(tx, provider, [*has, *traits])

        await self._db.write(write)

    async def rooms(
        self,
        *,
        resources: dict[str, int],
        required: list[str],
        forbidden: list[str],
        member_of: list[list[str]],
        limit: int,
    ) -> list[Room]:
        """Return providers with room for `resources`, and these traits and aggregates."""
        query = CandidateQuery(
            amounts=resources,
            required=[[name] for name in required],
            forbidden=forbidden,
            member_of=member_of,
            limit=limit,
        )

        def read(tx: Tx) -> list[Room]:
            found = providers.with_room(tx, query)
            ids = [p.id for p in found]
            inventories, used = providers.inventories(tx, ids), providers.used(tx, ids)
            return [
                Room(
                    p.uuid,
                    p.name,
                    {c: i.capacity for c, i in inventories[p.id].items()},
                    used[p.id],
                )
                for p in found
            ]

        return await self._db.read(read)

    async def generation(self, *, consumer_id: str) -> int:
        """Return the consumer's generation, 0 for none."""
        found = await self._db.read(allocations.consumer, consumer_id)
        return 0 if found is None else int(found[4])

    async def claim(
        self,
        *,
        consumer_id: str,
        generation: int,
        provider_id: str,
        resources: dict[str, int],
        project_id: str,
        user_id: str,
    ) -> None:
        """Give `resources` of the provider to the consumer, in place of what it held."""
        claim = claims.Claim(
            consumer_uuid=consumer_id,
            holdings={provider_id: resources},
            project_id=project_id,
            user_id=user_id,
            consumer_type="INSTANCE",
            generation=generation or None,
        )
        await self._db.write(claims.replace, claim, self._clock.now())

    async def transfer(self, *, from_id: str, to_id: str) -> None:
        """Let one consumer hold exactly what another holds, and that one nothing."""
        await self._db.write(claims.transfer, from_id, to_id, self._clock.now())

    async def release(self, *, consumer_id: str) -> None:
        """Give back whatever the consumer holds."""
        await self._db.write(allocations.clear, consumer_id)

    async def holders(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return consumer -> provider -> class -> amount, of all."""
        return await self._db.read(allocations.everything)

    async def delete_provider(self, *, provider_id: str) -> None:
        """Remove a provider; absence is not an error."""

        def remove(tx: Tx) -> None:
            try:
                providers.remove(tx, providers.get(tx, provider_id))
            except NotFound:
                return

        await self._db.write(remove)


def _with_ratios_of(
    there: dict[str, Inventory], wanted: dict[str, Inventory]
) -> dict[str, Inventory]:
    """Keep the ratios that an operator may have set: the given ones are initial ones."""
    return {
        name: structs.replace(inventory, allocation_ratio=there[name].allocation_ratio)
        if name in there
        else inventory
        for name, inventory in wanted.items()
    }

"""What placement promises the other services."""

from typing import Protocol

from msgspec import Struct

from aerostat.kit.bus.endpoint import Endpoint


class InventoryFacts(Struct, frozen=True):
    """What a provider has of one resource class."""

    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int = 2147483647
    step_size: int = 1
    allocation_ratio: float = 1.0


class Room(Struct, frozen=True):
    """A provider that can take a request: capacity and usage by resource class."""

    provider_id: str
    name: str
    capacity: dict[str, int]
    used: dict[str, int]


class Placement(Protocol):
    """Inventories and claims. Every call may be repeated with the same effect."""

    async def ensure_provider(
        self,
        *,
        provider_id: str,
        name: str,
        inventories: dict[str, InventoryFacts],
        traits: list[str],
    ) -> None:
        """Make the provider exist with exactly these inventories and at least these traits.

        Allocation ratios count for inventories that are new; later ones are the operator's.
        Raises: Conflict (the name belongs to another provider, an inventory is in use).
        """
        ...

    async def rooms(
        self,
        *,
        resources: dict[str, int],
        required: list[str],
        forbidden: list[str],
        member_of: list[list[str]],
        limit: int,
    ) -> list[Room]:
        """Return providers with room for `resources` and these traits and aggregates."""
        ...

    async def generation(self, *, consumer_id: str) -> int:
        """Return a number that each claim of the consumer changes; 0 while it holds nothing."""
        ...

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
        """Give `resources` of the provider to the consumer, in place of what it held.

        `generation` is what it was when the claim was thought of: one that arrives late must not
        undo a later one. Raises: GenerationConflict, Conflict (no room any more), NotFound
        (provider).
        """
        ...

    async def transfer(self, *, from_id: str, to_id: str) -> None:
        """Let `to_id` hold exactly what `from_id` holds, and `from_id` nothing.

        Nothing changes if `from_id` holds nothing: repeating is safe.
        """
        ...

    async def release(self, *, consumer_id: str) -> None:
        """Give back whatever the consumer holds; nothing held is not an error."""
        ...

    async def holders(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return consumer -> provider -> class -> amount, of all; for audits."""
        ...

    async def delete_provider(self, *, provider_id: str) -> None:
        """Remove a provider; absence is not an error. Raises: Conflict (it is in use)."""
        ...


placement: Endpoint[Placement] = Endpoint("placement", Placement)

"""What may be done with resource providers, their inventories, traits and aggregates."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec import UnsetType

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, NotFound
from aerostat.services.placement.db import names
from aerostat.services.placement.db import providers as rows
from aerostat.services.placement.domain import candidates
from aerostat.services.placement.model.provider import CandidateQuery, Inventory, Provider
from aerostat.services.placement.runtime import PlacementService

T = TypeVar("T")


async def find(
    placement: PlacementService, name: str | None, uuid: str | None, query: CandidateQuery
) -> list[Provider]:
    """Return the providers that match. Raises: BadRequest (unknown class or trait)."""

    def read(tx: Tx) -> list[Provider]:
        candidates.check(tx, query)
        return rows.find(tx, name, uuid, query)

    return await placement.db.read(read)


async def get(placement: PlacementService, uuid: str) -> Provider:
    """Raises: NotFound."""
    return await placement.db.read(rows.get, uuid)


async def read(
    placement: PlacementService, uuid: str, fn: Callable[[Tx, list[int]], dict[int, T]]
) -> tuple[Provider, T]:
    """Return a provider with what `fn` reads of it. Raises: NotFound."""

    def both(tx: Tx) -> tuple[Provider, T]:
        provider = rows.get(tx, uuid)
        return provider, fn(tx, [provider.id])[provider.id]

    return await placement.db.read(both)


async def create(
    placement: PlacementService, uuid: str, name: str, parent_uuid: str | None
) -> Provider:
    """Raises: Conflict (uuid or name taken), BadRequest (no such parent)."""

    def write(tx: Tx) -> Provider:
        parent = _parent(tx, parent_uuid)
        return rows.add(tx, uuid, name, parent, placement.clock.now())

    return await placement.db.write(write)


async def update(
    placement: PlacementService,
    uuid: str,
    name: str,
    parent_uuid: str | UnsetType | None,
    *,
    anywhere: bool,
) -> Provider:
    """Rename a provider, and hang it on a parent if one is named.

    `anywhere`: one that has a parent may get another, or none. Raises: NotFound, Conflict (name
    taken), BadRequest (no such parent, a loop, or a move that is not allowed).
    """

    def write(tx: Tx) -> Provider:
        provider = rows.get(tx, uuid)
        if not isinstance(parent_uuid, UnsetType) and parent_uuid != provider.parent_uuid:
            _hang(tx, provider, _parent(tx, parent_uuid), anywhere)
        rows.rename(tx, provider, name, placement.clock.now())
        return rows.get(tx, uuid)

    return await placement.db.write(write)


def _hang(tx: Tx, provider: Provider, parent: Provider | None, anywhere: bool) -> None:
    below = rows.subtree(tx, provider)
    reason = ""
    if parent is not None and parent.id in below:
        reason = "creating loop in the provider tree is not allowed."
    elif provider.parent_uuid is not None and not anywhere:
        verb = "un-parenting" if parent is None else "re-parenting"
        reason = f"{verb} a provider is not currently allowed."
    if reason:
        raise BadRequest(
            f"Unable to save resource provider {provider.uuid}: {reason}",
            field="parent_provider_uuid",
        )
    rows.move(tx, provider, parent, below)


def _parent(tx: Tx, uuid: str | None) -> Provider | None:
    if uuid is None:
        return None
    try:
        return rows.get(tx, uuid)
    except NotFound as why:
        raise BadRequest(
            f"The parent resource provider {uuid} does not exist.", field="parent_provider_uuid"
        ) from why


async def delete(placement: PlacementService, uuid: str) -> None:
    """Raises: NotFound, Conflict (in use, has children)."""
    await placement.db.write(lambda tx: rows.remove(tx, rows.get(tx, uuid)))


async def set_inventories(
    placement: PlacementService,
    uuid: str,
    change: Callable[[dict[str, Inventory]], Mapping[str, Inventory]],
    generation: int | None,
) -> tuple[int, Mapping[str, Inventory]]:
    """Apply `change` to the inventories; return the new generation and what there is now.

    Raises: NotFound, GenerationConflict, Conflict (in use), BadRequest (unknown class).
    """

    def write(tx: Tx) -> tuple[int, Mapping[str, Inventory]]:
        provider = rows.get(tx, uuid)
        wanted = change(rows.inventories(tx, [provider.id])[provider.id])
        names.check_classes(tx, list(wanted))
        check_capacity(wanted)
        generation_now = rows.bump(tx, provider, generation, placement.clock.now())
        rows.write_inventories(tx, provider, wanted)
        return generation_now, wanted

    return await placement.db.write(write)


def check_capacity(wanted: Mapping[str, Inventory]) -> None:
    """Raises: BadRequest (more is reserved than there is)."""
    for name, inventory in wanted.items():
        if inventory.reserved > inventory.total:
            raise BadRequest(
                f"Unable to update inventory for {name}: reserved exceeds total.", field="reserved"
            )


async def set_traits(
    placement: PlacementService, uuid: str, traits: list[str], generation: int | None
) -> int:
    """Make the traits exactly `traits`; return the new generation.

    Raises: NotFound, GenerationConflict, BadRequest (unknown trait).
    """

    def write(tx: Tx) -> int:
        provider = rows.get(tx, uuid)
        names.check_traits(tx, traits)
        generation_now = rows.bump(tx, provider, generation, placement.clock.now())
        rows.write_traits(tx, provider, traits)
        return generation_now

    return await placement.db.write(write)


async def set_aggregates(
    placement: PlacementService, uuid: str, aggregates: list[str], generation: int | None
) -> int:
    """Make the aggregates exactly `aggregates`; return the new generation.

    Raises: NotFound, GenerationConflict.
    """

    def write(tx: Tx) -> int:
        provider = rows.get(tx, uuid)
        generation_now = rows.bump(tx, provider, generation, placement.clock.now())
        rows.write_aggregates(tx, provider, aggregates)
        return generation_now

    return await placement.db.write(write)


def one_less(name: str) -> Callable[[dict[str, Inventory]], Mapping[str, Inventory]]:
    """Return the change that removes the inventory of `name`. Raises (when run): NotFound."""

    def change(now: dict[str, Inventory]) -> Mapping[str, Inventory]:
        if name not in now:
            raise NotFound(f"No inventory of class {name} found for delete.")
        return {n: i for n, i in now.items() if n != name}

    return change


def one_more(
    name: str, inventory: Inventory
) -> Callable[[dict[str, Inventory]], Mapping[str, Inventory]]:
    """Return the change that adds an inventory. Raises (when run): Conflict (it is there)."""

    def change(now: dict[str, Inventory]) -> Mapping[str, Inventory]:
        if name in now:
            raise Conflict(f"Update conflict: inventory of {name} already exists.")
        return {**now, name: inventory}

    return change


inventories, used = rows.inventories, rows.used
traits_of, aggregates_of = rows.traits, rows.aggregates

"""Moves inventories and what is held of them between providers, all at once."""

from collections.abc import Mapping

from aerostat.kit.db.engine import Tx
from aerostat.services.placement.db import allocations as held
from aerostat.services.placement.db import names, providers
from aerostat.services.placement.domain import allocations
from aerostat.services.placement.domain.allocations import Claim
from aerostat.services.placement.domain.providers import check_capacity
from aerostat.services.placement.model.provider import Inventory


def reshape(
    tx: Tx,
    inventories: Mapping[str, tuple[int, Mapping[str, Inventory]]],
    claims: list[Claim],
    now: float,
) -> None:
    """Write all of it or nothing.

    Raises: NotFound (provider), GenerationConflict, BadRequest, Conflict (no room).
    """
    for claim in claims:
        held.drop_holdings(tx, claim.consumer_uuid)
    for uuid, (generation, wanted) in inventories.items():
        provider = providers.get(tx, uuid)
        names.check_classes(tx, list(wanted))
        check_capacity(wanted)
        providers.bump(tx, provider, generation, now)
        providers.write_inventories(tx, provider, wanted)
    allocations.replace_all(tx, claims, now)

"""Claims: what a consumer holds is replaced as a whole, and only if all of it fits."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Fault, GenerationConflict, NotFound
from aerostat.services.placement.db import allocations as rows
from aerostat.services.placement.db import names, providers
from aerostat.services.placement.model.provider import check_fits

ANY_GENERATION = -1


class Claim(Struct, frozen=True):
    """What a consumer shall hold: provider uuid -> class -> amount; nothing means release.

    `generation` is what the caller believes the consumer's to be: None for a new one,
    ANY_GENERATION for whatever it is.
    """

    consumer_uuid: str
    holdings: Mapping[str, Mapping[str, int]]
    project_id: str
    user_id: str
    consumer_type: str | None = None
    generation: int | None = ANY_GENERATION


def replace_all(tx: Tx, claims: list[Claim], now: float) -> None:
    """Apply many claims at once, or none. Raises: see `replace`."""
    for claim in claims:  # First give back, so that a move within the batch fits.
        _check_generation(tx, claim)
        rows.drop_holdings(tx, claim.consumer_uuid)
    for claim in claims:
        _take(tx, claim, now)


def replace(tx: Tx, claim: Claim, now: float) -> None:
    """Make the consumer hold exactly `claim`.

    Raises: BadRequest (unknown class or provider, no such inventory), Conflict (no room),
    GenerationConflict (the consumer or a provider was changed meanwhile).
    """
    replace_all(tx, [claim], now)


def transfer(tx: Tx, from_id: str, to_id: str, now: float) -> None:
    """Let a consumer hold exactly what another holds, and that one nothing.

    Nothing changes if the other holds nothing. Source: nova spec "migration allocations".
    """
    holder = rows.consumer(tx, from_id)
    held = rows.of_consumer(tx, from_id)
    if holder is None or not held:
        return
    nothing = Claim(from_id, {}, holder[1], holder[2])
    taken = {uuid: found["resources"] for uuid, found in held.items()}
    kind = "MIGRATION" if holder[3] == "INSTANCE" else "INSTANCE"
    replace_all(tx, [nothing, Claim(to_id, taken, holder[1], holder[2], kind)], now)


def _check_generation(tx: Tx, claim: Claim) -> None:
    if claim.generation == ANY_GENERATION:
        return
    found = rows.consumer(tx, claim.consumer_uuid)
    actual = None if found is None else found[4]
    if actual != claim.generation:
        raise GenerationConflict(
            f"consumer generation conflict - expected {actual} but got {claim.generation}"
        )


def _take(tx: Tx, claim: Claim, now: float) -> None:
    if not claim.holdings:
        rows.clear(tx, claim.consumer_uuid)
        return
    found = rows.consumer(tx, claim.consumer_uuid)
    values: dict[str, Any] = {
        "uuid": claim.consumer_uuid,
        "project_id": claim.project_id,
        "user_id": claim.user_id,
        "generation": 1 if found is None else found[4] + 1,
        "updated_at": now,
    }
    if found is None or claim.consumer_type is not None:
        values["consumer_type"] = claim.consumer_type
    rows.write_consumer(tx, values, found is not None)
    for uuid, resources in claim.holdings.items():
        _take_from(tx, claim, uuid, resources, now)


def _take_from(tx: Tx, claim: Claim, uuid: str, resources: Mapping[str, int], now: float) -> None:
    try:
        provider = providers.get(tx, uuid)
    except NotFound as why:
        raise BadRequest(
            f"Allocation for resource provider '{uuid}' that does not exist.", field=uuid
        ) from why
    inventories = providers.inventories(tx, [provider.id])[provider.id]
    used = providers.used(tx, [provider.id])[provider.id]
    missing = [name for name in resources if name not in inventories]
    if missing:
        names.check_classes(tx, missing)
        fault = Fault(
            f"Unable to allocate inventory: no inventory of {', '.join(missing)} on {uuid}."
        )
        fault.code = "conflict"
        raise fault
    for name, amount in resources.items():
        check_fits(name, inventories.get(name), used.get(name, 0), amount, uuid)
    rows.hold(tx, claim.consumer_uuid, provider.id, resources)
    providers.bump(tx, provider, None, now)

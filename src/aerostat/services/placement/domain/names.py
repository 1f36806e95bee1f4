"""Traits and resource classes: upstream's standard ones, and custom ones."""

import re

from sqlalchemy import Table, select

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, NotFound
from aerostat.services.placement.db import names as rows
from aerostat.services.placement.db import tables as t
from aerostat.services.placement.runtime import PlacementService

CUSTOM = re.compile(r"CUSTOM_[A-Z0-9_]{1,248}")


async def traits(placement: PlacementService, associated: bool | None) -> list[str]:
    """Return every trait, or those that providers have."""
    if associated:
        column = t.provider_traits.c.trait
        rows_ = await placement.db.read(lambda tx: tx.all(select(column).distinct()))
        return sorted(row[0] for row in rows_)
    mine = await placement.db.read(rows.custom, t.traits)
    return sorted([*rows.standard_traits(), *mine])


async def classes(placement: PlacementService) -> list[str]:
    """Return every resource class, standard ones first."""
    return [*rows.standard_classes(), *await placement.db.read(rows.custom, t.classes)]


async def create_trait(placement: PlacementService, name: str) -> bool:
    """Make a custom trait exist; tell whether it is new."""
    return await placement.db.write(rows.add, t.traits, name)


async def create_class(placement: PlacementService, name: str) -> bool:
    """Make a custom resource class exist; tell whether it is new."""
    return await placement.db.write(rows.add, t.classes, name)


async def delete_trait(placement: PlacementService, name: str) -> None:
    """Raises: NotFound, BadRequest (a standard one), Conflict (in use)."""
    if name in rows.standard_traits():
        raise BadRequest(f"Cannot delete standard trait {name}.", field="name")
    await placement.db.write(_delete, t.traits, name)


async def delete_class(placement: PlacementService, name: str) -> None:
    """Raises: NotFound, BadRequest (a standard one), Conflict (in use)."""
    if name in rows.standard_classes():
        raise BadRequest(f"Cannot delete standard resource class {name}.", field="name")
    await placement.db.write(_delete, t.classes, name)


def _delete(tx: Tx, table: Table, name: str) -> None:
    in_use = rows.trait_in_use if table is t.traits else rows.class_in_use
    if in_use(tx, name):
        raise Conflict(f"{name} is in use by a resource provider.")
    if not rows.remove(tx, table, name):
        kind = "trait" if table is t.traits else "resource class"
        raise NotFound(f"No such {kind} {name}.")

"""Custom traits and resource classes; the standard ones come from upstream's own lists."""

from functools import cache

from sqlalchemy import Table, delete, insert, select

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest
from aerostat.services.placement.db import tables as t


@cache
def standard_traits() -> frozenset[str]:
    """Return the names in os-traits."""
    import os_traits

    return frozenset(os_traits.get_traits())


@cache
def standard_classes() -> tuple[str, ...]:
    """Return the names in os-resource-classes, in their order."""
    import os_resource_classes

    return tuple(os_resource_classes.STANDARDS)


def custom(tx: Tx, table: Table) -> list[str]:
    """Return the custom names."""
    return [row[0] for row in tx.all(select(table.c.name).order_by(table.c.name))]


def add(tx: Tx, table: Table, name: str) -> bool:
    """Insert a custom name; tell whether it is new."""
    if tx.first(select(table.c.name).where(table.c.name == name)) is not None:
        return False
    tx.run(insert(table).values(name=name))
    return True


def remove(tx: Tx, table: Table, name: str) -> bool:
    """Delete a custom name; tell whether it was there."""
    return tx.run(delete(table).where(table.c.name == name)) > 0


def trait_in_use(tx: Tx, name: str) -> bool:
    """Tell whether any provider has the trait."""
    columns = t.provider_traits.c
    return tx.first(select(columns.trait).where(columns.trait == name).limit(1)) is not None


def class_in_use(tx: Tx, name: str) -> bool:
    """Tell whether any provider has an inventory of the class."""
    columns = t.inventories.c
    found = select(columns.provider_id).where(columns.resource_class == name).limit(1)
    return tx.first(found) is not None


def check_traits(tx: Tx, names: list[str]) -> None:
    """Raises: BadRequest (a trait nobody knows)."""
    known = standard_traits()
    unknown = [n for n in names if n not in known]
    if unknown:
        mine = set(custom(tx, t.traits))
        if missing := [n for n in unknown if n not in mine]:
            raise BadRequest(f"No such trait(s): {', '.join(sorted(missing))}.", field="traits")


def check_classes(tx: Tx, names: list[str]) -> None:
    """Raises: BadRequest (a resource class nobody knows)."""
    unknown = [n for n in names if n not in standard_classes()]
    if unknown:
        mine = set(custom(tx, t.classes))
        if missing := [n for n in unknown if n not in mine]:
            raise BadRequest(
                f"Unknown resource class: No such resource class {', '.join(missing)}.",
                field=missing[0],
            )

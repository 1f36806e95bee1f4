"""What may be done with the metadata definition catalogue."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from msgspec.structs import replace

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict, Forbidden, NotFound
from aerostat.services.glance.db import metadefs as rows
from aerostat.services.glance.model.listing import Viewer
from aerostat.services.glance.model.metadef import (
    RESOURCE_TYPES,
    Item,
    Namespace,
    NamespaceListing,
)
from aerostat.services.glance.runtime import Glance


async def listed(glance: Glance, viewer: Viewer, wanted: NamespaceListing) -> list[Namespace]:
    """Return a page of namespaces. Raises: BadRequest."""
    return await glance.db.read(rows.listed, viewer, wanted)


async def associations(glance: Glance, namespaces: list[str]) -> list[Item]:
    """Return which resource types these namespaces are for."""
    return await glance.db.read(rows.associations, namespaces)


def find(tx: Tx, viewer: Viewer, name: str) -> Namespace:
    """Raises: NotFound."""
    found = rows.find(tx, viewer, name)
    if found is None:
        raise NotFound(f"Metadata definition namespace not found: {name}")
    return found


async def get(glance: Glance, viewer: Viewer, name: str) -> Namespace:
    """Raises: NotFound."""
    return await glance.db.read(find, viewer, name)


async def create(glance: Glance, namespace: Namespace, items: Sequence[Item]) -> Namespace:
    """Insert a namespace with what is in it. Raises: Conflict (the name is taken)."""

    return await glance.db.write(insert, namespace, items)


def insert(tx: Tx, namespace: Namespace, items: Sequence[Item]) -> Namespace:
    """Raises: Conflict."""
    _check_free(tx, namespace.namespace)
    rows.add(tx, namespace)
    rows.add_items(tx, items)
    return namespace


def _check_free(tx: Tx, name: str) -> None:
    if rows.exists(tx, name):
        raise Conflict(f"The metadata definition namespace={name} already exists.")


class Merge(Enum):
    """What happens to a namespace that is loaded and is there already."""

    SKIP = "skip"
    """Nothing."""
    ADD = "add"
    """It gets the definitions that it has not."""
    PREFER_NEW = "prefer_new"
    """It gets all definitions, in the place of those of the same name, and its own attributes."""
    OVERWRITE = "overwrite"
    """It is deleted first."""


def merge(tx: Tx, namespace: Namespace, items: Sequence[Item], how: Merge) -> str:
    """Have a namespace and its definitions; return what was done, in a word or two."""
    name = namespace.namespace
    there = rows.exists(tx, name)
    if there and how is Merge.SKIP:
        return "there already"
    if there and how is Merge.OVERWRITE:
        rows.remove(tx, name)
    if not there or how is Merge.OVERWRITE:
        insert(tx, namespace, items)
        return "overwritten" if there else "loaded"
    if how is Merge.PREFER_NEW:
        rows.renew(tx, namespace)
    for one in items:
        old = rows.item(tx, name, one.kind, one.name)
        if old is None:
            rows.add_items(tx, [one])
        elif how is Merge.PREFER_NEW:
            rows.save_item(tx, old, replace(one, created_at=old.created_at))
    return "merged"


async def update(glance: Glance, old: Namespace, changes: dict[str, Any]) -> Namespace:
    """Write changes to a namespace. Raises: Conflict (the new name is taken)."""
    new = replace(old, **changes, updated_at=glance.clock.now())
    return await glance.db.write(save, old.namespace, new)


def save(tx: Tx, name: str, new: Namespace) -> Namespace:
    """Raises: Conflict."""
    if new.namespace != name:
        _check_free(tx, new.namespace)
    rows.save(tx, name, new)
    return new


async def delete(glance: Glance, namespace: Namespace) -> None:
    """Delete a namespace and all in it. Raises: Forbidden (protected)."""
    check_unprotected(namespace)
    await glance.db.write(rows.remove, namespace.namespace)


def check_unprotected(namespace: Namespace) -> None:
    """Raises: Forbidden."""
    if namespace.protected:
        raise Forbidden(f"Metadata definition namespace {namespace.namespace} is protected.")


async def items(glance: Glance, namespace: str, kind: str | None = None) -> list[Item]:
    """Return the definitions in a namespace, by name."""
    return await glance.db.read(rows.items, namespace, kind)


def find_item(tx: Tx, namespace: str, kind: str, name: str) -> Item:
    """Raises: NotFound."""
    found = rows.item(tx, namespace, kind, name)
    if found is None:
        raise NotFound(f"The metadata definition {kind} {name} was not found in {namespace}.")
    return found


async def item(glance: Glance, namespace: str, kind: str, name: str) -> Item:
    """Raises: NotFound."""
    return await glance.db.read(find_item, namespace, kind, name)


async def add_item(glance: Glance, new: Item) -> Item:
    """Insert a definition. Raises: Conflict (the name is taken)."""

    return await glance.db.write(insert_item, new)


def insert_item(tx: Tx, new: Item) -> Item:
    """Raises: Conflict."""
    _check_item_free(tx, new)
    rows.add_items(tx, [new])
    return new


def _check_item_free(tx: Tx, new: Item) -> None:
    if rows.item(tx, new.namespace, new.kind, new.name) is not None:
        raise Conflict(
            f"A metadata definition with name={new.name} already exists in "
            f"namespace={new.namespace}."
        )


async def replace_items(
    glance: Glance, namespace: str, kind: str, new: Sequence[Item], keep: bool
) -> None:
    """Make the definitions of a kind exactly `new`, or add `new` to them if `keep`.

    Raises: Conflict (a name is taken).
    """

    await glance.db.write(write_items, namespace, kind, new, keep)


def write_items(tx: Tx, namespace: str, kind: str, new: Sequence[Item], keep: bool) -> None:
    """Raises: Conflict."""
    if not keep:
        rows.remove_items(tx, namespace, kind)
    for one in new:
        insert_item(tx, one)


async def change_item(
    glance: Glance, namespace: str, kind: str, name: str, document: dict[str, Any]
) -> Item:
    """Write a definition anew, under a new name if the document has one.

    Raises: NotFound, Conflict (the name is taken).
    """
    old = await item(glance, namespace, kind, name)
    called = str(document.get("name", name))
    new = replace(old, name=called, document=document, updated_at=glance.clock.now())
    return await glance.db.write(save_item, name, new)


def save_item(tx: Tx, name: str, new: Item) -> Item:
    """Raises: NotFound, Conflict."""
    old = find_item(tx, new.namespace, new.kind, name)
    if new.name != name:
        _check_item_free(tx, new)
    rows.save_item(tx, old, new)
    return new


async def remove_item(glance: Glance, namespace: str, kind: str, name: str) -> None:
    """Delete a definition. Raises: NotFound."""
    if not await glance.db.write(rows.remove_items, namespace, kind, name):
        raise NotFound(f"The metadata definition {kind} {name} was not found in {namespace}.")


async def clear(glance: Glance, namespace: str, kind: str) -> None:
    """Delete all definitions of a kind."""
    await glance.db.write(rows.remove_items, namespace, kind)


async def resource_types(glance: Glance) -> list[tuple[str, float]]:
    """Return the resource types, and since when they are known."""
    named = dict(await glance.db.read(rows.associated))
    return sorted({**named, **dict.fromkeys(RESOURCE_TYPES, 0.0)}.items())

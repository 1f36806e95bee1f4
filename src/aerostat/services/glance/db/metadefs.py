"""Rows of the metadata definition catalogue."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update

from aerostat.kit.db.engine import Tx
from aerostat.kit.db.pages import page, sort_columns
from aerostat.kit.errors import BadRequest
from aerostat.services.glance.db import tables as t
from aerostat.services.glance.model.listing import Viewer
from aerostat.services.glance.model.metadef import ASSOCIATIONS, Item, Namespace, NamespaceListing

N, I = t.metadef_namespaces.c, t.metadef_items.c  # noqa: E741
_NAMESPACE = select(*(N[name] for name in Namespace.__struct_fields__))
_ITEM = select(*(I[name] for name in Item.__struct_fields__))
SORT_KEYS = {name: N[name] for name in ("namespace", "created_at", "updated_at", "display_name")}


def find(tx: Tx, viewer: Viewer, name: str) -> Namespace | None:
    """Return the namespace if the viewer sees it, or None."""
    row = tx.first(_NAMESPACE.where(N.namespace == name, *_seen(viewer)))
    return None if row is None else Namespace(*row)


def exists(tx: Tx, name: str) -> bool:
    """Tell whether there is such a namespace, seen or not."""
    return tx.first(select(N.namespace).where(N.namespace == name)) is not None


def _seen(viewer: Viewer) -> list[ColumnElement[bool]]:
    if viewer.is_admin:
        return []
    return [or_(N.visibility == "public", N.owner == viewer.project_id)]


def listed(tx: Tx, viewer: Viewer, wanted: NamespaceListing) -> list[Namespace]:
    """Return a page of namespaces. Raises: BadRequest (sort key, marker)."""
    stmt = _NAMESPACE.where(*_seen(viewer))
    if wanted.visibility is not None:
        stmt = stmt.where(N.visibility == wanted.visibility)
    if wanted.types:
        linked = select(I.namespace).where(I.kind == ASSOCIATIONS, I.name.in_(wanted.types))
        stmt = stmt.where(N.namespace.in_(linked))
    sort = sort_columns(*wanted.order, SORT_KEYS, [("created_at", "desc"), ("namespace", "desc")])
    values = None
    if wanted.marker is not None:
        found = find(tx, viewer, wanted.marker)
        if found is None:
            raise BadRequest(f"Namespace {wanted.marker} could not be found", field="marker")
        values = [getattr(found, c.name) for c, _ in sort]
    return [Namespace(*row) for row in page(tx, stmt, sort, values, wanted.limit)]


def add(tx: Tx, namespace: Namespace) -> None:
    """Insert a namespace."""
    tx.run(insert(t.metadef_namespaces).values(**_values(namespace)))


def save(tx: Tx, name: str, namespace: Namespace) -> None:
    """Write `namespace` in the place of the one called `name`."""
    stmt = update(t.metadef_namespaces).where(N.namespace == name)
    tx.run(stmt.values(**_values(namespace)))


def remove(tx: Tx, name: str) -> None:
    """Delete a namespace and all that is in it."""
    tx.run(delete(t.metadef_namespaces).where(N.namespace == name))


def renew(tx: Tx, namespace: Namespace) -> None:
    """Write a namespace in the place of the one of its name, which keeps its age."""
    values = _values(namespace)
    del values["created_at"]
    tx.run(update(t.metadef_namespaces).where(N.namespace == namespace.namespace).values(**values))


def clear(tx: Tx) -> int:
    """Delete everything; return how many namespaces there were."""
    return tx.run(delete(t.metadef_namespaces))


def everything(tx: Tx) -> list[tuple[Namespace, list[Item]]]:
    """Return all namespaces and what is in each, by name."""
    found = [Namespace(*row) for row in tx.all(_NAMESPACE.order_by(N.namespace))]
    return [(one, items(tx, one.namespace)) for one in found]


def _values(record: Namespace | Item) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}


def items(tx: Tx, namespace: str, kind: str | None = None) -> list[Item]:
    """Return the definitions in a namespace, of one kind if that is given, by name."""
    stmt = _ITEM.where(I.namespace == namespace).order_by(I.kind, I.name)
    return [Item(*row) for row in tx.all(stmt if kind is None else stmt.where(I.kind == kind))]


def associations(tx: Tx, namespaces: list[str]) -> list[Item]:
    """Return which resource types these namespaces are for, by name."""
    stmt = _ITEM.where(I.kind == ASSOCIATIONS, I.namespace.in_(namespaces))
    return [Item(*row) for row in tx.all(stmt.order_by(I.namespace, I.name))]


def item(tx: Tx, namespace: str, kind: str, name: str) -> Item | None:
    """Return the definition, or None."""
    row = tx.first(_ITEM.where(I.namespace == namespace, I.kind == kind, I.name == name))
    return None if row is None else Item(*row)


def add_items(tx: Tx, new: Sequence[Item]) -> None:
    """Insert definitions."""
    if new:
        tx.run(insert(t.metadef_items), [_values(one) for one in new])


def save_item(tx: Tx, old: Item, new: Item) -> None:
    """Write `new` in the place of `old`."""
    here = (I.namespace == old.namespace, I.kind == old.kind, I.name == old.name)
    tx.run(update(t.metadef_items).where(*here).values(**_values(new)))


def remove_items(tx: Tx, namespace: str, kind: str, name: str | None = None) -> int:
    """Delete one definition, or all of a kind; return how many."""
    stmt = delete(t.metadef_items).where(I.namespace == namespace, I.kind == kind)
    return tx.run(stmt if name is None else stmt.where(I.name == name))


def associated(tx: Tx) -> list[tuple[str, float]]:
    """Return the resource types that associations name, and since when."""
    stmt = select(I.name, func.min(I.created_at)).where(I.kind == ASSOCIATIONS).group_by(I.name)
    return [(row[0], row[1]) for row in tx.all(stmt)]

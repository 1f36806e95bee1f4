"""Lists of resources: one indexed query for the rows, one for each kind of part they have."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Integer,
    Select,
    Table,
    func,
    not_,
    or_,
    select,
    true,
)

from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.db.pages import page
from aerostat.kit.errors import BadRequest
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.model.listing import Listing

Where = ColumnElement[bool]
_NUMBER = re.compile(r"-?[0-9]{1,10}")
Special = Callable[[list[str]], Where]
View = Callable[[Tx, Sequence[Any]], list[dict[str, Any]]]


@dataclass(frozen=True)
class Collection:
    """How a noun is found, filtered, seen and shown."""

    noun: str
    table: Table
    view: View
    seen: Callable[[Context], Where]
    columns: Mapping[str, ColumnElement[Any]] = field(default_factory=dict)
    special: Mapping[str, Special] = field(default_factory=dict)
    theirs: Callable[[Context], Mapping[str, ColumnElement[Any]]] = lambda ctx: {}
    """Columns whose values depend on who looks."""

    def column(self, name: str) -> ColumnElement[Any] | None:
        """Return the column behind an attribute, None if there is none."""
        if name == "tenant_id":
            name = "project_id"
        found = self.columns.get(name)
        return found if found is not None else self.table.c.get(name)

    def select(self, ctx: Context) -> Select[Any]:
        """Return what reads whole rows as `ctx` sees them."""
        theirs = self.theirs(ctx)
        if not theirs:
            return select(self.table)
        names = [(column, theirs.get(column.name)) for column in self.table.c]
        return select(*(c if own is None else own.label(c.name) for c, own in names))


def rows(tx: Tx, coll: Collection, ctx: Context, ask: Listing) -> Sequence[Any]:
    """Return the rows that `ctx` may see and `ask` wants, in its order.

    Raises: BadRequest (unknown filter, sort key or marker).
    """
    stmt = coll.select(ctx).where(_visible(coll, ctx), *_conditions(coll, ctx, ask))
    sort = _sort(coll, ask)
    marker = None
    if ask.marker is not None:
        key = coll.table.c.id == ask.marker
        marker = tx.first(select(*(column for column, _ in sort)).where(key))
        if marker is None:
            raise BadRequest(f"Invalid input for marker: {ask.marker}", field="marker")
    found = page(tx, stmt, sort, marker, ask.limit)
    return list(reversed(found)) if ask.reverse else found


def views(tx: Tx, coll: Collection, ctx: Context, ask: Listing) -> list[dict[str, Any]]:
    return coll.view(tx, rows(tx, coll, ctx, ask))


def get(tx: Tx, coll: Collection, ctx: Context, key: str) -> Any:
    """Return a row. Raises: NotFound (unknown, or not for these eyes)."""
    row = tx.first(coll.select(ctx).where(coll.table.c.id == key, _visible(coll, ctx)))
    if row is None:
        raise faults.not_found(coll.noun, key)
    return row


def view(tx: Tx, coll: Collection, key: str) -> dict[str, Any]:
    """Return a resource that is there, as it is shown."""
    return coll.view(tx, tx.all(select(coll.table).where(coll.table.c.id == key)))[0]


def _visible(coll: Collection, ctx: Context) -> Where:
    if ctx.is_admin or "service" in ctx.roles:
        return true()
    return coll.seen(ctx)


def own(coll_table: Table) -> Callable[[Context], Where]:
    """Return the simplest eyes: a project sees what is its own."""
    return lambda ctx: coll_table.c.project_id == ctx.project_id


def _conditions(coll: Collection, ctx: Context, ask: Listing) -> list[Where]:
    theirs = coll.theirs(ctx)
    return [
        _condition(coll, name, theirs.get(name), values) for name, values in ask.filters.items()
    ]


def _condition(
    coll: Collection, name: str, own: ColumnElement[Any] | None, values: list[str]
) -> Where:
    if name in coll.special:
        return coll.special[name](values)
    if name in _TAG_FILTERS:
        return _TAG_FILTERS[name](coll.table, [tag for v in values for tag in v.split(",")])
    column = coll.column(name) if own is None else own
    if column is None:
        raise BadRequest(f"['{name}'] is invalid attribute for filtering", field=name)
    kind = column.type
    if isinstance(kind, Boolean):
        wanted = {v.lower() in ("true", "1") for v in values}
        return true() if len(wanted) == 2 else column.is_(wanted.pop())
    if isinstance(kind, Integer):
        return column.in_([int(v) for v in values if _NUMBER.fullmatch(v)])
    nulls = getattr(column, "nullable", False) and "" in values
    return or_(column.in_(values), column.is_(None)) if nulls else column.in_(values)


def _sort(coll: Collection, ask: Listing) -> list[tuple[ColumnElement[Any], str]]:
    out: list[tuple[ColumnElement[Any], str]] = []
    for name, direction in [*ask.sort, ("id", "asc")]:
        column = coll.column(name)
        if column is None:
            raise BadRequest(f"['{name}'] is invalid attribute for sorting", field="sort_key")
        backwards = (direction == "desc") != ask.reverse
        out.append((column, "desc" if backwards else "asc"))
    return out


def _tagged(table: Table, tags: list[str], least: int) -> Where:
    counted = (
        select(t.tags.c.resource_id)
        .where(t.tags.c.tag.in_(tags))
        .group_by(t.tags.c.resource_id)
        .having(func.count() >= least)
    )
    return table.c.id.in_(counted)


_TAG_FILTERS: dict[str, Callable[[Table, list[str]], Where]] = {
    "tags": lambda table, tags: _tagged(table, tags, len(set(tags))),
    "tags-any": lambda table, tags: _tagged(table, tags, 1),
    "not-tags": lambda table, tags: not_(_tagged(table, tags, len(set(tags)))),
    "not-tags-any": lambda table, tags: not_(_tagged(table, tags, 1)),
}

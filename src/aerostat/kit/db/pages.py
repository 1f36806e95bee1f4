"""Keyset pages: a marker names the last row seen, so that each page is one indexed query."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, func, literal, or_

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest

Sort = Sequence[tuple[ColumnElement[Any], str]]
"""Columns with "asc" or "desc"; the last one is unique."""


def page(
    tx: Tx, stmt: Select[Any], sort: Sort, marker: Sequence[Any] | None, limit: int | None
) -> Sequence[Any]:
    """Return the rows of `stmt` after `marker` (its values of the sort columns), `limit` at most.

    NULL sorts as the empty string or zero, in both directions and on every dialect.
    """
    return tx.all(paged(stmt, sort, marker, limit))


def paged(
    stmt: Select[Any], sort: Sort, marker: Sequence[Any] | None, limit: int | None
) -> Select[Any]:
    """Return the statement whose rows `page` returns."""
    if marker is not None:
        stmt = stmt.where(_after(sort, marker))
    stmt = stmt.order_by(*(_key(c).desc() if d == "desc" else _key(c).asc() for c, d in sort))
    return stmt if limit is None else stmt.limit(limit)


def sort_columns(
    keys: Sequence[str],
    dirs: Sequence[str],
    known: Mapping[str, ColumnElement[Any]],
    default: Sequence[tuple[str, str]],
) -> list[tuple[ColumnElement[Any], str]]:
    """Return the columns to sort by: what the client asked for, then `default` for the rest.

    Raises: BadRequest (unknown key or direction, more directions than keys).
    """
    if len(dirs) > len(keys):
        raise BadRequest("More sort directions than sort keys.", field="sort_dir")
    out: list[tuple[ColumnElement[Any], str]] = []
    for i, key in enumerate(keys):
        direction = dirs[i] if i < len(dirs) else (dirs[-1] if dirs else "asc")
        if key not in known:
            raise BadRequest(f"'{key}' is not a valid sort key.", field="sort_key")
        if direction not in ("asc", "desc"):
            raise BadRequest(f"'{direction}' is not a valid sort direction.", field="sort_dir")
        out.append((known[key], direction))
    return out + [(known[key], d) for key, d in default if key not in keys]


def _key(column: ColumnElement[Any]) -> ColumnElement[Any]:
    if not getattr(column, "nullable", False):
        return column
    return func.coalesce(column, literal(_empty(column)))


def _empty(column: ColumnElement[Any]) -> Any:
    try:
        return column.type.python_type()
    except NotImplementedError:
        return ""


def _after(sort: Sort, marker: Sequence[Any]) -> ColumnElement[bool]:
    cases: list[ColumnElement[bool]] = []
    for i, (column, direction) in enumerate(sort):
        value = _empty(column) if marker[i] is None else marker[i]
        same = [
            _key(c) == (_empty(c) if m is None else m)
            for (c, _), m in zip(sort[:i], marker, strict=False)
        ]
        beyond = _key(column) < value if direction == "desc" else _key(column) > value
        cases.append(and_(*same, beyond))
    return or_(false(), *cases)

"""Rows of one table as structs of one type: columns stand in the order of the fields."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Table, and_, delete, func, insert, or_, select, update

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import NotFound
from aerostat.services.keystone.model.listing import ORDERS, Filter, Listing

R = TypeVar("R", bound=Struct)


class Store(Generic[R]):
    """Reads and writes `table` as `kind`; the first column, or `key`, identifies a row."""

    def __init__(self, table: Table, kind: type[R], key: Sequence[str] = ("id",)) -> None:
        names = tuple(column.name for column in table.columns)
        assert names == kind.__struct_fields__, f"{table.name}: {names}"
        self.table, self._kind = table, kind
        self._key = tuple(table.c[name] for name in key)
        self._select = select(table)

    def get(self, tx: Tx, *key: Any) -> R | None:
        """Return the row with this key."""
        return self.first(tx, *(c == v for c, v in zip(self._key, key, strict=True)))

    def first(self, tx: Tx, *where: ColumnElement[bool]) -> R | None:
        """Return one row that meets all of `where`."""
        row = tx.first(self._select.where(*where).limit(1))
        return None if row is None else self._kind(*row)

    def all(self, tx: Tx, *where: ColumnElement[bool]) -> list[R]:
        """Return every row that meets all of `where`, by key."""
        stmt = self._select.where(*where).order_by(*self._key)
        return [self._kind(*row) for row in tx.all(stmt)]

    def among(self, tx: Tx, ids: Sequence[str]) -> list[R]:
        """Return the rows whose first key column is one of `ids`."""
        unique = sorted(set(ids))
        found: list[R] = []
        for start in range(0, len(unique), 500):
            found += self.all(tx, self._key[0].in_(unique[start : start + 500]))
        return found

    def page(self, tx: Tx, listing: Listing, *where: ColumnElement[bool]) -> list[R]:
        """Return what `listing` asks for; one row more than its limit tells of a next page.

        Raises: NotFound (the marker).
        """
        conds = [*where, *(self._condition(f) for f in listing.filters)]
        if listing.marker:
            conds.append(self._after(tx, listing))
        order = [self.table.c[listing.sort_key]] if listing.sort_key else []
        directed = [column.desc() for column in order] if listing.descending else order
        stmt = self._select.where(*conds).order_by(*directed, *self._key)
        if listing.limit:
            stmt = stmt.limit(listing.limit + 1)
        return [self._kind(*row) for row in tx.all(stmt)]

    def _after(self, tx: Tx, listing: Listing) -> ColumnElement[bool]:
        """Return what is true of rows after the marker. Raises: NotFound."""
        last = self.first(tx, self._key[0] == listing.marker)
        if last is None:
            raise NotFound(f"Marker {listing.marker} could not be found.")
        later = self._key[0] > listing.marker
        if not listing.sort_key:
            return later
        column, value = self.table.c[listing.sort_key], getattr(last, listing.sort_key)
        beyond = column < value if listing.descending else column > value
        return or_(beyond, and_(column == value, later))

    def insert(self, tx: Tx, *items: R) -> None:
        """Add rows."""
        if items:
            tx.run(insert(self.table), [msgspec.structs.asdict(item) for item in items])

    def update(self, tx: Tx, item: R) -> None:
        """Replace the row that has the key of `item`."""
        values = msgspec.structs.asdict(item)
        mine = [column == values[column.name] for column in self._key]
        tx.run(update(self.table).where(*mine).values(values))

    def delete(self, tx: Tx, *where: ColumnElement[bool]) -> int:
        """Delete what meets all of `where`; return how many rows that were."""
        return tx.run(delete(self.table).where(and_(*where)))

    def _condition(self, wanted: Filter) -> ColumnElement[bool]:
        column: ColumnElement[Any] = self.table.c[wanted.field]
        if wanted.how == "equals":
            same: ColumnElement[bool] = column == wanted.value
            return same
        if wanted.how in ORDERS:
            operator = {"lte": "le", "gte": "ge", "neq": "ne"}.get(wanted.how, wanted.how)
            compared: ColumnElement[bool] = getattr(column, f"__{operator}__")(wanted.value)
            return compared
        value = str(wanted.value)
        if wanted.how.startswith("i"):
            column, value = func.lower(column), value.lower()
        test = getattr(column, wanted.how.removeprefix("i"))
        found: ColumnElement[bool] = test(value, autoescape=True)
        return found

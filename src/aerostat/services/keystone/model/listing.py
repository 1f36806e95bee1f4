"""Which part of a list is wanted."""

from typing import Any

from msgspec import Struct

ORDERS = ("lt", "lte", "gt", "gte", "eq", "neq")
"""Comparisons of a field with a number."""


class Filter(Struct, frozen=True):
    """A condition on a field.

    `how` is equals, contains, startswith or endswith (with an i before it: in any case of
    letters), or one of ORDERS.
    """

    field: str
    how: str
    value: Any


class Listing(Struct, frozen=True):
    """What part of a list is wanted: conditions, how many, and after which id.

    In the order of `sort_key`, and among equals in that of ids.
    """

    filters: tuple[Filter, ...] = ()
    limit: int = 0
    marker: str = ""
    sort_key: str = ""
    descending: bool = False

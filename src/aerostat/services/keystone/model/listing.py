"""Which part of a list is wanted."""

from typing import Any

from msgspec import Struct


class Filter(Struct, frozen=True):
    """A condition on a field; `how` is equals, contains, startswith or endswith (i: any case)."""

    field: str
    how: str
    value: Any


class Listing(Struct, frozen=True):
    """What part of a list is wanted: conditions, how many, and after which id."""

    filters: tuple[Filter, ...] = ()
    limit: int = 0
    marker: str = ""

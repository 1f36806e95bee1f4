"""`column IN (values)` with the values as one parameter, however many there are.

An expanded IN costs SQLAlchemy about a microsecond a value for every execution, and a new
statement text for every count; a JSON array is one parameter of one cached statement.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Text, func, literal, select


def among(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Return the condition that `column` is one of `values` (strings or integers)."""
    array = literal(msgspec.json.encode(list(values)).decode(), Text)
    return column.in_(select(func.json_each(array).table_valued("value").c.value))

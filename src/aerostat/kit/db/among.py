"""`column IN (values)` with the values as one parameter, however many there are.

An expanded IN costs SQLAlchemy about a microsecond a value for every execution, and a new
statement text for every count; an array (PostgreSQL) or a JSON array is one parameter of one
cached statement.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Boolean, ColumnElement, Dialect, Integer, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator


def among(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Return the condition that `column` is one of `values` (strings or integers)."""
    return _Among(column, literal(list(values), _Values))


class _Values(TypeDecorator[Any]):
    """A list as the one parameter that the dialect takes it as."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return value if dialect.name == "postgresql" else msgspec.json.encode(value).decode()


class _Among(FunctionElement[bool]):
    name = "among"
    type = Boolean()
    inherit_cache = True
    _is_implicitly_boolean = True


@compiles(_Among)
def _on_sqlite(element: _Among, compiler: Any, **kw: Any) -> str:
    column, values = (compiler.process(part, **kw) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"


@compiles(_Among, "postgresql")
def _on_postgresql(element: _Among, compiler: Any, **kw: Any) -> str:
    column, values = element.clauses
    kind = "BIGINT[]" if isinstance(column.type, Integer) else "TEXT[]"
    left, right = compiler.process(column, **kw), compiler.process(values, **kw)
    return f"{left} = ANY (CAST({right.partition('::')[0]} AS {kind}))"


@compiles(_Among, "mysql")
@compiles(_Among, "mariadb")
def _on_mariadb(element: _Among, compiler: Any, **kw: Any) -> str:
    column, values = element.clauses
    text = "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    kind = "BIGINT" if isinstance(column.type, Integer) else text
    left, right = compiler.process(column, **kw), compiler.process(values, **kw)
    rows = f"JSON_TABLE({right}, '$[*]' COLUMNS (value {kind} PATH '$')) AS among_values"
    return f"{left} IN (SELECT value FROM {rows})"

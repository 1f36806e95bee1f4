"""Column types that every dialect stores alike."""

from typing import Any

import msgspec
from sqlalchemy import Dialect, Text
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.types import TypeDecorator

LongText = Text().with_variant(LONGTEXT(), "mysql", "mariadb")
"""Text of any length; MariaDB's TEXT ends at 64 KiB."""


class Json(TypeDecorator[Any]):
    """A JSON document in a text column; None is SQL NULL."""

    impl = LongText
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else msgspec.json.decode(value)

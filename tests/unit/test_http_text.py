"""Text with a NUL is refused once, for every service: no database stores it as text."""

import pytest

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.schema import Query, decode


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (rb'"\u0000"', "body"),
        (rb'{"user": {"name": "a\u0000b"}}', "user.name"),
        (rb'{"tags": ["x", "\u0000"]}', "tags[1]"),
        (rb'{"user": {"a\u0000": 1}}', "user"),
    ],
)
def test_bodies(raw: bytes, field: str) -> None:
    with pytest.raises(BadRequest) as why:
        decode(raw)
    assert why.value.field == field and "U+0000" in why.value.message


def test_a_backslash_before_it_is_text() -> None:
    assert decode(rb'"\\u0000"') == r"\u0000"


def test_queries() -> None:
    with pytest.raises(BadRequest) as why:
        Query({"name": ["fine", "a\0"]})
    assert why.value.field == "name"
    assert Query({"name": ["a"]}).get("name") == "a"

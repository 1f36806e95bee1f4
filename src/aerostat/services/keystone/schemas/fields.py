"""Types of fields that many bodies share, with upstream's limits."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.schema import text

NAME_255 = text(1, 255)
NAME_64 = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\S")]
ID = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]
URL = Annotated[str, Meta(max_length=225, pattern=r"^[a-zA-Z0-9+.-]+:.+")]
Maybe = UnsetType
Options = dict[str, Any]


def given(body: Struct, least: int = 1) -> dict[str, Any]:
    """Return the fields of `body` that the client gave; null is the empty string, as stored.

    Raises: BadRequest (fewer than `least`).
    """
    found: dict[str, Any] = {}
    for name in body.__struct_fields__:
        value = getattr(body, name)
        if value is not UNSET:
            found[name] = "" if value is None else value
    if len(found) - (found.get("extra") == {}) < least:
        raise BadRequest("Invalid input: {} does not have enough properties", field="body")
    return found

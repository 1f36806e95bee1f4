"""Types of fields that many bodies share, with upstream's limits."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from aerostat.kit.http.schema import Open, text

NAME_255 = text(1, 255)
NAME_64 = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\S")]
ID = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]
URL = Annotated[str, Meta(max_length=225, pattern=r"^[a-zA-Z0-9+.-]+:.+")]
Maybe = UnsetType
Options = dict[str, Any]


def given(body: Open, *renamed: str) -> dict[str, Any]:
    """Return the fields of `body` that the client gave, `extra` among them."""
    return {
        name: value
        for name in body.__struct_fields__
        if (value := getattr(body, name)) is not UNSET
    }


def filled(value: Any, default: Any = "") -> Any:
    """Return `value`, or `default` where the client gave none or null."""
    return default if value is UNSET or value is None else value

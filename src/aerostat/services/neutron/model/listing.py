"""What a list request asks for, as the database is told; pure."""

from msgspec import Struct


class Listing(Struct, frozen=True):
    """Filters (any of the values; all of the names), order and page.

    `reverse` walks backwards from the marker, as page_reverse does.
    """

    filters: dict[str, list[str]] = {}
    sort: list[tuple[str, str]] = []
    limit: int | None = None
    marker: str | None = None
    reverse: bool = False

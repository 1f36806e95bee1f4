"""What a list of images shall hold."""

from msgspec import Struct


class Viewer(Struct, frozen=True):
    """Who looks: an administrator sees every image."""

    project_id: str
    is_admin: bool


class Comparison(Struct, frozen=True):
    """A column compared with values.

    `op`: eq, gt, gte, lt, lte, in; in_second and not_second: the second that begins there.
    """

    column: str
    op: str
    values: tuple[object, ...]


class Listing(Struct, frozen=True, kw_only=True):
    """Filters, order and page of a list. `visibility`: None is the default view, or "all"."""

    viewer: Viewer
    visibility: str | None = None
    member_status: str = "accepted"
    comparisons: tuple[Comparison, ...] = ()
    tags: tuple[str, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    sort_keys: tuple[str, ...] = ()
    sort_dirs: tuple[str, ...] = ()
    marker: str | None = None
    limit: int = 25

"""What lists ask for; pure."""

from typing import Any

from msgspec import Struct


class ServerQuery(Struct, kw_only=True):
    """What a list of servers asks for. `project_id` None: every project.

    `addresses` and `addresses_v6` are patterns, one of which some address must match.
    """

    project_id: str | None
    equals: dict[str, Any] = {}
    states: list[str] | None = None
    name: str | None = None
    tags: list[str] = []
    tags_any: list[str] = []
    not_tags: list[str] = []
    not_tags_any: list[str] = []
    addresses: list[str] = []
    addresses_v6: list[str] = []
    uuids: list[str] | None = None
    changed_since: float | None = None
    changed_before: float | None = None
    deleted: bool = False
    sort_keys: list[str] = []
    sort_dirs: list[str] = []
    marker: str | None = None
    limit: int | None = None

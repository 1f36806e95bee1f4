"""The query string of a list of images."""

import csv
from typing import Any

from aerostat.kit.clock import parse_iso
from aerostat.kit.errors import BadRequest
from aerostat.kit.http.schema import Query, parse_bool
from aerostat.services.glance.config import GlanceConfig
from aerostat.services.glance.model.image import MEMBER_STATUSES, VISIBILITIES
from aerostat.services.glance.model.listing import Comparison, Listing, Viewer

PAGING = frozenset({"limit", "marker", "sort", "sort_key", "sort_dir"})
NAMED = frozenset({"visibility", "member_status", "tag", "os_hidden"})
LISTS = frozenset({"id", "name", "status", "container_format", "disk_format"})
TIMES = frozenset({"created_at", "updated_at"})
NUMBERS = frozenset({"min_disk", "min_ram", "size", "virtual_size"})
TEXTS = {"owner": "owner", "checksum": "checksum", "os_hash_algo": "hash_algo",
         "os_hash_value": "hash_value"}  # fmt: skip
RANGES = {"size_min": ("size", "gte"), "size_max": ("size", "lte")}
OPERATORS = frozenset({"eq", "neq", "gt", "gte", "lt", "lte"})


def listing(query: Query, viewer: Viewer, config: GlanceConfig) -> Listing:
    """Return what the client wants listed. Raises: BadRequest."""
    if query.get("changes-since"):
        raise BadRequest(
            'The "changes-since" filter is no longer available on v2.', field="changes-since"
        )
    visibility, status = query.get("visibility"), query.get("member_status", "accepted")
    if visibility is not None and visibility not in (*VISIBILITIES, "all"):
        raise BadRequest(f"Invalid visibility value: {visibility}", field="visibility")
    if status not in (*MEMBER_STATUSES, "all"):
        raise BadRequest(f"Invalid status: {status}", field="member_status")
    keys, dirs = _sort(query)
    comparisons, properties = _filters(query)
    limit = query.number("limit", config.limit_param_default) or 0
    return Listing(
        viewer=viewer,
        visibility=visibility,
        member_status=status or "accepted",
        comparisons=comparisons,
        tags=tuple(query.all("tag")),
        properties=properties,
        sort_keys=keys,
        sort_dirs=dirs,
        marker=query.get("marker"),
        limit=min(limit, config.api_limit_max),
    )


def _filters(query: Query) -> tuple[tuple[Comparison, ...], tuple[tuple[str, str], ...]]:
    hidden = parse_bool(query.get("os_hidden", "false"), "os_hidden")
    comparisons = [Comparison("hidden", "eq", (hidden,))]
    properties: list[tuple[str, str]] = []
    for name in query.names():
        value = query.get(name) or ""
        if name in PAGING or name in NAMED:
            continue
        found = _comparison(name, value)
        if found is None:
            properties.append((name, value))
        else:
            comparisons.append(found)
    return tuple(comparisons), tuple(properties)


def _comparison(name: str, value: str) -> Comparison | None:
    if name in LISTS:
        if value.startswith("in:"):
            return Comparison(name, "in", tuple(_words(value[3:])))
        return Comparison(name, "eq", (value,))
    if name in TIMES:
        return _time(name, value)
    if name in NUMBERS:
        return Comparison(name, "eq", (_whole(name, value),))
    if name in RANGES:
        column, op = RANGES[name]
        return Comparison(column, op, (_whole(name, value),))
    if name in TEXTS:
        return Comparison(TEXTS[name], "eq", (value,))
    if name == "protected":
        if value not in ("true", "false"):
            raise BadRequest(
                f"Invalid value '{value}' for 'protected' filter. Valid values are 'true' or "
                "'false'.",
                field=name,
            )
        return Comparison(name, "eq", (value == "true",))
    return None


def _words(text: str) -> list[str]:
    if text.count('"') % 2:
        raise BadRequest(f"Invalid filter value {text}. The quote is not closed.")
    return next(csv.reader([text]), [])


def _whole(name: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal()):
        raise BadRequest(f"Invalid value '{value}' for parameter '{name}'", field=name)
    return int(value)


def _time(name: str, value: str) -> Comparison:
    op, _, rest = value.partition(":")
    if op not in OPERATORS:
        if op.isalpha():
            raise BadRequest(f"Unable to filter by unknown operator '{op}'.", field=name)
        op, rest = "eq", value
    try:
        when: Any = parse_iso(rest.replace(" ", "+"))
    except ValueError as why:
        raise BadRequest(f"'{rest}' is not a time.", field=name) from why
    return _whole_second(name, op, when)


def _whole_second(name: str, op: str, when: float) -> Comparison:
    """Times are shown without fractions: compare what is shown."""
    shift = {"gt": ("gte", 1), "lte": ("lt", 1), "eq": ("in_second", 0), "neq": ("not_second", 0)}
    to, add = shift.get(op, (op, 0))
    return Comparison(name, to, (when + add,))


def _sort(query: Query) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if "sort" not in query:
        return tuple(query.all("sort_key")), tuple(query.all("sort_dir"))
    if "sort_key" in query or "sort_dir" in query:
        raise BadRequest("Old and new sorting syntax cannot be combined", field="sort")
    keys, dirs = [], []
    for part in (query.get("sort") or "").split(","):
        key, _, direction = part.strip().partition(":")
        keys.append(key)
        dirs.append(direction or "desc")
    return tuple(keys), tuple(dirs)

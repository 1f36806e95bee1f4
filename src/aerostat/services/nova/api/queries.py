"""Query strings of lists. Source: compute api-ref, "List Servers"."""

import math
import re
from typing import Any

from aerostat.kit.clock import parse_iso
from aerostat.kit.errors import BadRequest
from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Request
from aerostat.kit.http.schema import parse_bool
from aerostat.services.nova import policies
from aerostat.services.nova.model.listing import ServerQuery
from aerostat.services.nova.model.server import states_of

EQUALS = {
    "flavor": "flavor_id",
    "image": "image_id",
    "reservation_id": "reservation_id",
    "user_id": "user_id",
    "availability_zone": "availability_zone",
    "key_name": "key_name",
    "uuid": "uuid",
    "hostname": "hostname",
    "description": "description",
    "launch_index": "launch_index",
    "vm_state": "vm_state",
    "task_state": "task_state",
}
ADMIN_EQUALS = {"host": "host", "node": "host"}
SORT_KEYS_FOR_ADMINS = {"host"}
API_SORT_KEYS = {"display_name": "display_name", "name": "display_name"}


def limit_of(req: Request[None], most: int) -> int:
    """Return the page size. Raises: BadRequest."""
    limit = req.query.number("limit")
    return most if limit is None else min(limit, most)


def server_query(req: Request[None], all_projects: Rule, most: int) -> ServerQuery:
    """Read the query of a list of servers. Raises: BadRequest, Forbidden."""
    q = req.query
    project: str | None = req.ctx.project_id
    if "all_tenants" in q and (q.get("all_tenants") == "" or q.flag("all_tenants")):
        req.enforce(all_projects)
        project = q.get("project_id") or q.get("tenant_id")
    admin = req.allows(policies.SERVERS_ALL_FILTERS)
    status = q.all("status")
    since, before = changed_between(req)
    return ServerQuery(
        project_id=project,
        equals=_equals(req, admin),
        states=[s for name in status for s in states_of(name)] if status else None,
        name=q.get("name") or q.get("display_name"),
        addresses=_patterns(q.all("ip")),
        addresses_v6=_patterns(q.all("ip6")),
        tags=_split(q.get("tags")),
        tags_any=_split(q.get("tags-any")),
        not_tags=_split(q.get("not-tags")),
        not_tags_any=_split(q.get("not-tags-any")),
        changed_since=since,
        changed_before=before,
        deleted=admin and q.flag("deleted"),
        sort_keys=[API_SORT_KEYS.get(k, k) for k in q.all("sort_key")],
        sort_dirs=q.all("sort_dir"),
        marker=q.get("marker"),
        limit=limit_of(req, most),
    )


def _equals(req: Request[None], admin: bool) -> dict[str, Any]:
    known = {**EQUALS, **(ADMIN_EQUALS if admin else {})}
    out: dict[str, Any] = {}
    for name, column in known.items():
        value = req.query.get(name)
        if value is not None:
            out[column] = value.rsplit("/", 1)[-1] if name in ("flavor", "image") else value
    for flag in ("locked", "config_drive"):
        if (value := req.query.get(flag)) is not None:
            out[flag] = parse_bool(value, flag)
    return out


def _patterns(given: list[str]) -> list[str]:
    for pattern in given:
        try:
            re.compile(pattern)
        except re.error as why:
            raise BadRequest(f"Invalid regular expression: {pattern}", field="ip") from why
    return given


def _split(text: str | None) -> list[str]:
    return [part for part in (text or "").split(",") if part]


def changed_between(req: Request[None]) -> tuple[float | None, float | None]:
    """Return the times of changes-since and changes-before, both included.

    Times are shown in whole seconds: what changed within the last one is included too.
    Raises: BadRequest.
    """
    since = time_of(req.query.get("changes-since"), "changes-since")
    before = time_of(req.query.get("changes-before"), "changes-before")
    if since is not None and before is not None and before < since:
        raise BadRequest(
            "The value of changes-since must be less than or equal to changes-before.",
            field="changes-since",
        )
    return since, None if before is None else math.nextafter(math.floor(before) + 1, 0)


def time_of(text: str | None, field: str) -> float | None:
    """Return a time in seconds since the epoch. Raises: BadRequest."""
    if text is None:
        return None
    try:
        return parse_iso(text.replace(" ", "+"))
    except ValueError as why:
        raise BadRequest(f"Invalid {field} format: {text}", field=field) from why

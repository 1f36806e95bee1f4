"""Resources as the API shows them, and lists with their links."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from aerostat.kit.clock import iso, parse_iso
from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Request
from aerostat.services.keystone.model.actors import Group, Project, User
from aerostat.services.keystone.model.listing import ORDERS, Filter, Listing
from aerostat.services.keystone.model.roles import Role
from aerostat.services.keystone.runtime import Keystone

Document = dict[str, Any]
R = TypeVar("R", bound=Struct)

PREFIX = "/v3"
DOMAIN_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
FLAGS = {
    **dict.fromkeys(("", "1", "true", "on", "y", "yes"), True),
    **dict.fromkeys(("0", "false", "off", "n", "no"), False),
}
"""What a flag may be in a query; without a value it is true. Source: keystone, parameter_types."""

SORT_KEYS = ("id", "name", "domain_id")
"""What every user and group has."""

HOWS = {
    "contains",
    "icontains",
    "startswith",
    "istartswith",
    "endswith",
    "iendswith",
}


def link(req: Request[Any], path: str) -> str:
    """Return the URL of `path` as the client reaches it."""
    return f"{req.base}{PREFIX}{path}"


def plain(req: Request[Any], plural: str, item: Any, *nullable: str) -> Document:
    """Return `item` as shown: its extra attributes first, then its fields and its link."""
    fields = msgspec.structs.asdict(item)
    extra = {k: v for k, v in fields.pop("extra", {}).items() if k not in fields}
    for name in nullable:
        fields[name] = fields[name] or None
    return {**extra, **fields, "links": {"self": link(req, f"/{plural}/{item.id}")}}


def project(req: Request[Any], item: Project) -> Document:
    """Return a project as shown; one that is a domain has neither domain nor parent."""
    return plain(req, "projects", item, "domain_id", "parent_id")


def domain(req: Request[Any], item: Project) -> Document:
    """Return a domain as shown."""
    shown = plain(req, "domains", item)
    for name in ("domain_id", "parent_id", "is_domain"):
        del shown[name]
    return shown


def user(req: Request[Any], item: User) -> Document:
    """Return a user as shown, without anything of the password."""
    shown = plain(req, "users", item)
    for name in ("password_hash", "created_at", "last_active_at"):
        del shown[name]
    if not shown["default_project_id"]:
        del shown["default_project_id"]
    shown["password_expires_at"] = iso(item.password_expires_at, micros=True, zone="")
    return shown


def group(req: Request[Any], item: Group) -> Document:
    """Return a group as shown."""
    return plain(req, "groups", item)


def role(req: Request[Any], item: Role) -> Document:
    """Return a role as shown."""
    shown = plain(req, "roles", item, "domain_id")
    shown["description"] = shown["description"] or None
    return shown


def listing(keystone: Keystone, req: Request[Any], *fields: str) -> Listing:
    """Return the part of a list that the query string asks for; `fields` may be filtered by.

    `name__contains` and the like work on text; what is said twice must both be so.
    Raises: BadRequest (limit, or a value that no resource could have).
    """
    filters = []
    for key, values in req.query.items():
        name, _, how = key.partition("__")
        if name in fields and (not how or how in HOWS):
            filters += [_filter(name, how, value) for value in values]
    asked, most = req.query.number("limit", 0) or 0, keystone.config.list_limit
    limit = min(asked or most, most or asked)
    return Listing(tuple(filters), limit, req.query.get("marker") or "")


def _filter(name: str, how: str, value: str) -> Filter:
    if how:
        return Filter(name, how, value)
    if name == "password_expires_at":
        return _when(name, value)
    if name in ("enabled", "is_domain"):
        if value.lower() not in FLAGS:
            raise BadRequest(f"Invalid input for field '{name}': {value!r} is no flag.", field=name)
        return Filter(name, "equals", FLAGS[value.lower()])
    if (name == "name" and not value) or (name == "domain_id" and not DOMAIN_ID.fullmatch(value)):
        raise BadRequest(f"Invalid input for field '{name}': {value!r}", field=name)
    return Filter(name, "equals", value)


def within_scope(req: Request[Any], wanted: Listing) -> Listing:
    """Return `wanted`, of the caller's domain only if the token is for one."""
    if not req.ctx.domain_id:
        return wanted
    mine = Filter("domain_id", "equals", req.ctx.domain_id)
    return replace(wanted, filters=(*wanted.filters, mine))


def in_order(req: Request[Any], wanted: Listing) -> Listing:
    """Return `wanted` in the order that the query string asks for. Raises: BadRequest."""
    key, direction = req.query.get("sort_key") or "", req.query.get("sort_dir") or "asc"
    if key and key not in SORT_KEYS:
        raise BadRequest(f"sort_key must be one of {', '.join(SORT_KEYS)}.", field="sort_key")
    if direction not in ("asc", "desc"):
        raise BadRequest("sort_dir must be asc or desc.", field="sort_dir")
    backwards = direction == "desc"
    return replace(wanted, sort_key=key or ("id" if backwards else ""), descending=backwards)


def _when(name: str, text: str) -> Filter:
    """Return the condition of `lt:2030-01-01T00:00:00Z`. Raises: BadRequest."""
    how, _, given = text.partition(":")
    try:
        when = parse_iso(given)
    except ValueError as why:
        raise BadRequest(f"Invalid timestamp {given}.", field=name) from why
    if how not in ORDERS:
        raise BadRequest(f"Operator for {name} must be one of {', '.join(ORDERS)}.", field=name)
    return Filter(name, how, when)


def collection(
    req: Request[Any],
    plural: str,
    items: Sequence[R],
    show: Callable[[Request[Any], R], Document],
    wanted: Listing | None = None,
) -> Document:
    """Return a list as shown; `items` holds one more than the limit if there is a next page."""
    limit = wanted.limit if wanted else 0
    more = bool(limit) and len(items) > limit
    shown = items[:limit] if more else items
    links: dict[str, Any] = {"next": None, "self": _self(req), "previous": None}
    document: Document = {plural: [show(req, item) for item in shown], "links": links}
    if more:
        links["next"] = _self(req, marker=getattr(shown[-1], "id", ""))
        document["truncated"] = True
    return document


def _self(req: Request[Any], **changes: str) -> str:
    pairs: Iterable[tuple[str, str]] = [
        (name, value)
        for name, values in req.query.items()
        if name not in changes
        for value in values
    ]
    query = urlencode([*pairs, *changes.items()])
    return f"{req.url}?{query}" if query else req.url

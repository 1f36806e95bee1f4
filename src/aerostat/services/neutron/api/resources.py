"""The five handlers that every noun has: list, show, create (bulk too), update, delete."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.neutron import policies
from aerostat.services.neutron.domain import verbs
from aerostat.services.neutron.domain.nouns import Noun
from aerostat.services.neutron.model.listing import Listing
from aerostat.services.neutron.runtime import Call, NeutronService
from aerostat.services.neutron.schemas.attributes import Schema

PAGING = {"limit", "marker", "page_reverse", "sort_key", "sort_dir", "fields"}
MARKS = ("marker", "page_reverse")
LIMIT_MAX = 1 << 31
MAX_BODY = 4 << 20


def call_of(neutron: NeutronService, req: Request[Any]) -> Call:
    """Return the operation that a request asks for, with its policy."""

    def may(name: str, target: Mapping[str, Any]) -> bool:
        rule = policies.BY_NAME.get(name)
        return rule is None or req.allows(rule, target)

    return Call(req.ctx, neutron, neutron.clock.now(), may)


def nothing() -> Reply:
    """Return what upstream says in a body where there is nothing to say, and not 204: null."""
    return Reply(raw=b"null")


def listing(req: Request[Any], config_limit: int) -> Listing:
    """Read a list's query. Raises: BadRequest."""
    query = req.query
    keys, dirs = query.all("sort_key"), query.all("sort_dir")
    if dirs and len(keys) != len(dirs):
        raise BadRequest("The number of sort_keys and sort_dirs must be same")
    dirs = dirs or ["asc"] * len(keys)
    if wrong := [d for d in dirs if d not in ("asc", "desc")]:
        raise BadRequest(f"'{wrong[0]}' is not a valid sort direction", field="sort_dir")
    limit = query.number("limit", None)
    limit = None if limit is None else min(limit, LIMIT_MAX)
    if config_limit and (limit is None or limit > config_limit):
        limit = config_limit
    return Listing(
        filters={name: values for name, values in query.items() if name not in PAGING},
        sort=list(zip(keys, dirs, strict=True)),
        limit=limit or None,
        marker=query.get("marker"),
        reverse=query.flag("page_reverse"),
    )


class Shown:
    """What of a noun one caller gets to see: policy and `fields` decide, once per request."""

    def __init__(self, req: Request[Any], singular: str) -> None:
        prefix = f"get_{singular}:"
        self._hidden = {
            name.removeprefix(prefix)
            for name, rule in policies.BY_NAME.items()
            if name.startswith(prefix) and not req.allows(rule)
        }
        fields = {f for value in req.query.all("fields") for f in value.split(",")} - {""}
        self._fields = fields or None

    def of(self, view: dict[str, Any]) -> dict[str, Any]:
        if self._fields is None and not self._hidden:
            return view
        return {
            k: v
            for k, v in view.items()
            if k not in self._hidden and (self._fields is None or k in self._fields)
        }


def links(req: Request[Any], ask: Listing, found: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return links to the next and the previous page, as far as there may be ones.

    Before an empty page is the last one: its link has no marker.
    """
    if ask.limit is None:
        return []
    kept = [
        (k, v) for k, vs in req.query.items() if k not in ("marker", "page_reverse") for v in vs
    ]

    def link(rel: str, *, reverse: bool) -> dict[str, str]:
        more = [("marker", one["id"]) for one in (found[:1] if reverse else found[-1:])]
        more += [("page_reverse", "True")] if reverse else []
        return {"rel": rel, "href": f"{req.url}?{urlencode(kept + more)}"}

    out = []
    if len(found) == ask.limit or ask.reverse:
        out.append(link("next", reverse=False))
    if len(found) == ask.limit or not ask.reverse:
        out.append(link("previous", reverse=True))
    return out


def revision_of(req: Request[Any]) -> int | None:
    """Return the revision that If-Match demands. Raises: BadRequest."""
    header = req.headers.get("if-match", "")
    if not header:
        return None
    name, _, value = header.partition("=")
    if name.strip() != "revision_number" or not value.strip().isdecimal():
        raise BadRequest(f"Invalid header: {header}", code="HTTPBadRequest")
    return int(value)


def given(schema: Schema, doc: dict[str, Any], values: dict[str, Any]) -> set[str]:
    """Return the attributes of a creation that differ from what they would be anyway."""
    out = set()
    for name in doc.keys() & values.keys():
        default = schema.attrs[name].default
        if values[name] != (default() if callable(default) else default):
            out.add(name)
    return out


def crud(
    path: str, schema: Schema, noun: Noun, routes: Routes[NeutronService] | None = None
) -> Routes[NeutronService]:
    """Return the routes of a noun at `path`."""
    out: Routes[NeutronService] = Routes(schema.plural)
    one = f"{path}/{{id}}"

    @out.get(path, policy=None)
    async def index(neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
        ask = listing(req, neutron.config.pagination_max_limit)
        found = await verbs.index(neutron, call_of(neutron, req), noun, ask)
        shown = Shown(req, schema.singular)
        doc: dict[str, Any] = {schema.plural: [shown.of(v) for v in found]}
        if pages := links(req, ask, found):
            doc[f"{schema.plural}_links"] = pages
        return doc

    @out.post(path, policy=None, body=dict[str, Any], max_body=MAX_BODY)
    async def create(neutron: NeutronService, req: Request[dict[str, Any]]) -> Reply:
        docs, bulk = schema.bodies(req.body)
        items = []
        for doc in docs:
            values = schema.create(doc)
            items.append((values, given(schema, doc, values)))
        made = await verbs.create(neutron, call_of(neutron, req), noun, items)
        shown = Shown(req, schema.singular)
        views = [shown.of(v) for v in made]
        if bulk:
            return Reply({schema.plural: views})
        return Reply({schema.singular: views[0]})

    @out.get(one, policy=None)
    async def show(neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
        found = await verbs.show(neutron, call_of(neutron, req), noun, req.path["id"])
        return {schema.singular: Shown(req, schema.singular).of(found)}

    @out.put(one, policy=None, body=dict[str, Any], max_body=MAX_BODY)
    async def update(neutron: NeutronService, req: Request[dict[str, Any]]) -> dict[str, Any]:
        values = schema.update(schema.body(req.body))
        at = (req.path["id"], revision_of(req))
        found = await verbs.update(neutron, call_of(neutron, req), noun, at, values)
        return {schema.singular: Shown(req, schema.singular).of(found)}

    @out.delete(one, policy=None)
    async def delete(neutron: NeutronService, req: Request[None]) -> None:
        call = call_of(neutron, req)
        await verbs.delete(neutron, call, noun, (req.path["id"], revision_of(req)))

    return out

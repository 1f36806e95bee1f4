"""/v2/metadefs/namespaces and /v2/metadefs/resource_types."""

from typing import Any

from msgspec.structs import replace

from aerostat.kit.clock import iso
from aerostat.kit.errors import BadRequest, Forbidden, NotFound
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.glance import policies
from aerostat.services.glance.api.asking import viewer
from aerostat.services.glance.domain import metadefs
from aerostat.services.glance.model.metadef import (
    ASSOCIATIONS,
    KINDS,
    OBJECTS,
    PROPERTIES,
    TAGS,
    Item,
    Namespace,
    NamespaceListing,
)
from aerostat.services.glance.runtime import Glance
from aerostat.services.glance.schemas import metadefs as schemas

routes: Routes[Glance] = Routes("metadefs")
URL = "/metadefs/namespaces"
ONE = URL + "/{namespace}"
SCHEMA = "/v2/schemas/metadefs"
BASE = ("namespace", "display_name", "description", "visibility", "protected", "owner")
RULES = policies.METADEF
ADDING = {
    OBJECTS: "add_metadef_object",
    PROPERTIES: "add_metadef_property",
    TAGS: "add_metadef_tag",
    ASSOCIATIONS: "add_metadef_resource_type_association",
}
"""The rule that adds a definition of a kind."""
INSIDE = (
    "list_metadef_resource_types",
    "get_metadef_objects",
    "get_metadef_properties",
    "get_metadef_tags",
)
"""The rules for what is in a namespace."""
Document = dict[str, Any]


def view(found: Namespace) -> Document:
    """Return the document of a namespace without what is in it."""
    return {
        **{name: getattr(found, name) for name in BASE},
        "created_at": iso(found.created_at),
        "updated_at": iso(found.updated_at),
        "self": f"/v2/metadefs/namespaces/{found.namespace}",
        "schema": f"{SCHEMA}/namespace",
    }


def view_item(found: Item) -> Document:
    """Return the document of a definition; of a property it is the bare schema."""
    doc = {**found.document, "name": found.name}
    if found.kind == PROPERTIES:
        return schemas.shown(doc)
    if found.kind == OBJECTS and isinstance(inside := doc.get(PROPERTIES), dict):
        doc[PROPERTIES] = {name: schemas.shown(one) for name, one in inside.items()}
    times = {"created_at": iso(found.created_at), "updated_at": iso(found.updated_at)}
    if found.kind in (ASSOCIATIONS, TAGS):
        return doc | times
    url = f"/v2/metadefs/namespaces/{found.namespace}/{found.kind}/{found.name}"
    return doc | times | {"self": url, "schema": f"{SCHEMA}/{found.kind[:-1]}"}


def view_items(kind: str, found: list[Item]) -> Any:
    """Return the definitions of a kind as a namespace or a list shows them."""
    if kind == PROPERTIES:
        return {item.name: view_item(item) for item in found}
    return [view_item(item) for item in found]


def full_view(found: Namespace, inside: list[Item]) -> Document:
    """Return the document of a namespace with what is in it."""
    doc = view(found)
    for kind in KINDS:
        if mine := [item for item in inside if item.kind == kind]:
            doc[kind] = view_items(kind, mine)
    return doc


async def permitted(glance: Glance, req: Request[Any], rule: str) -> Namespace:
    """Return the namespace of the URL if the caller passes the rule for it.

    Raises: NotFound, Forbidden.
    """
    found = await metadefs.get(glance, viewer(req.ctx), req.path["namespace"])
    enforce(req, rule, found)
    return found


def allowed(req: Request[Any], rule: str, found: Namespace) -> bool:
    """Tell whether the caller passes a rule for a namespace."""
    target = {"project_id": found.owner, "visibility": found.visibility}
    return req.allows(RULES[rule], target)


def enforce(req: Request[Any], rule: str, found: Namespace) -> None:
    """Raises: Forbidden; NotFound, if the policy does not let the caller see the namespace."""
    if allowed(req, rule, found):
        return
    if not allowed(req, "get_metadef_namespace", found):
        raise NotFound(f"Metadata definition namespace not found: {found.namespace}")
    raise Forbidden(f"Policy doesn't allow {rule} to be performed.", field=rule)


def new_item(glance: Glance, namespace: str, kind: str, doc: Document) -> Item:
    """Return a definition that is made now."""
    now = glance.clock.now()
    body = schemas.check(kind, doc)
    return Item(namespace, kind, body["name"], body, now, now)


@routes.get(URL, policy=RULES["get_metadef_namespaces"])
async def index(glance: Glance, req: Request[None]) -> Document:
    """List namespaces, with the resource types that each is for."""
    req.enforce(RULES["list_metadef_resource_types"], _own(req))
    types = [name for text in req.query.all("resource_types") for name in text.split(",")]
    limit = req.query.number("limit", glance.config.limit_param_default) or 0
    wanted = NamespaceListing(
        visibility=req.query.get("visibility"),
        types=types,
        order=(req.query.all("sort_key"), req.query.all("sort_dir")),
        marker=req.query.get("marker"),
        limit=min(limit, glance.config.api_limit_max),
    )
    found = await metadefs.listed(glance, viewer(req.ctx), wanted)
    linked = await metadefs.associations(glance, [one.namespace for one in found])
    shown = [
        full_view(one, [item for item in linked if item.namespace == one.namespace])
        for one in found
        if allowed(req, "get_metadef_namespace", one)
    ]
    doc: Document = {"namespaces": shown}
    doc |= {"first": "/v2/metadefs/namespaces", "schema": f"{SCHEMA}/namespaces"}
    if found and len(found) == limit:
        marker = found[-1].namespace
        doc["next"] = f"/v2/metadefs/namespaces?marker={marker}&limit={limit}"
    return doc


@routes.post(URL, policy=RULES["add_metadef_namespace"], body=dict[str, Any])
async def create(glance: Glance, req: Request[Document]) -> Reply:
    """Create a namespace, with what is in it if that is given."""
    doc = schemas.check("namespace", req.body, "namespace")
    now, name = glance.clock.now(), doc["namespace"]
    made = Namespace(
        namespace=name,
        display_name=doc.get("display_name"),
        description=doc.get("description"),
        visibility=doc.get("visibility", "private"),
        protected=doc.get("protected", False),
        owner=doc.get("owner") or req.ctx.project_id or None,
        created_at=now,
        updated_at=now,
    )
    inside = [new_item(glance, name, kind, one) for kind, one in _given(doc)]
    for kind in {item.kind for item in inside}:
        enforce(req, ADDING[kind], made)
    if len({(item.kind, item.name) for item in inside}) < len(inside):
        raise BadRequest("A definition is given twice.")
    await metadefs.create(glance, made, inside)
    return Reply(full_view(made, inside), headers={"location": f"{req.url}/{name}"})


def _given(doc: Document) -> list[tuple[str, Any]]:
    found = [(kind, one) for kind in KINDS if kind != PROPERTIES for one in doc.get(kind, [])]
    for name, one in doc.get(PROPERTIES, {}).items():
        found.append((PROPERTIES, {**one, "name": name} if isinstance(one, dict) else one))
    return found


@routes.get(ONE, policy=None)
async def show(glance: Glance, req: Request[None]) -> Document:
    """Show a namespace with what is in it."""
    found = await permitted(glance, req, "get_metadef_namespace")
    for rule in INSIDE:
        enforce(req, rule, found)
    inside = await metadefs.items(glance, found.namespace)
    return full_view(found, prefixed(inside, req.query.get("resource_type") or ""))


def prefixed(inside: list[Item], resource_type: str) -> list[Item]:
    """Return definitions with properties named as the resource type wants them named."""
    links = [item for item in inside if (item.kind, item.name) == (ASSOCIATIONS, resource_type)]
    prefix = links[0].document.get("prefix") if links else None
    if not prefix:
        return inside

    def named(item: Item) -> Item:
        if item.kind == PROPERTIES:
            return replace(item, name=prefix + item.name)
        if item.kind != OBJECTS:
            return item
        doc = dict(item.document)
        if PROPERTIES in doc:
            doc[PROPERTIES] = {prefix + name: one for name, one in doc[PROPERTIES].items()}
        if doc.get("required"):
            doc["required"] = [prefix + name for name in doc["required"]]
        return replace(item, document=doc)

    return [named(item) for item in inside]


@routes.put(ONE, policy=None, body=dict[str, Any])
async def update(glance: Glance, req: Request[Document]) -> Document:
    """Change a namespace."""
    found = await permitted(glance, req, "modify_metadef_namespace")
    doc = schemas.check("namespace", req.body, "namespace")
    changes = {name: doc[name] for name in BASE if name in doc}
    return view(await metadefs.update(glance, found, changes))


@routes.delete(ONE, policy=None)
async def delete(glance: Glance, req: Request[None]) -> None:
    """Delete a namespace and all in it."""
    found = await permitted(glance, req, "delete_metadef_namespace")
    await metadefs.delete(glance, found)


def _own(req: Request[Any]) -> Document:
    return {"project_id": req.ctx.project_id, "visibility": "public"}


@routes.get("/metadefs/resource_types", policy=None)
async def resource_types(glance: Glance, req: Request[None]) -> Document:
    """List the resource types."""
    req.enforce(RULES["list_metadef_resource_types"], _own(req))
    found = await metadefs.resource_types(glance)
    return {
        "resource_types": [
            {"name": name, "created_at": iso(when), "updated_at": iso(when)} for name, when in found
        ]
    }

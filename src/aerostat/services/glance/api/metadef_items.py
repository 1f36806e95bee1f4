"""What is in a namespace: objects, properties, tags, resource type associations."""

from typing import Any

from aerostat.kit.errors import BadRequest, NotFound
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.glance.api.metadefs import (
    ONE,
    SCHEMA,
    allowed,
    enforce,
    new_item,
    permitted,
    view_item,
    view_items,
)
from aerostat.services.glance.domain import metadefs
from aerostat.services.glance.model.metadef import ASSOCIATIONS, OBJECTS, PROPERTIES, TAGS
from aerostat.services.glance.runtime import Glance
from aerostat.services.glance.schemas import metadefs as schemas

routes: Routes[Glance] = Routes("metadef items")
APPEND = "x-openstack-append"
Document = dict[str, Any]


def _declare(kind: str, noun: str, removing: str) -> None:
    """Declare the routes of one kind; `noun` and `removing` are as policy rules name them."""
    url, one = f"{ONE}/{kind}", f"{ONE}/{kind}/{{name}}"

    @routes.get(url, policy=None)
    async def index(glance: Glance, req: Request[None]) -> Document:
        """List the definitions of a namespace."""
        found = await permitted(glance, req, f"get_metadef_{kind}")
        listed = await metadefs.items(glance, found.namespace, kind)
        if kind == OBJECTS and not allowed(req, "get_metadef_object", found):
            listed = []
        return {kind: view_items(kind, listed), "schema": f"{SCHEMA}/{kind}"}

    @routes.get(one, policy=None)
    async def show(glance: Glance, req: Request[None]) -> Document:
        """Show a definition."""
        found = await permitted(glance, req, f"get_metadef_{noun}")
        name = req.path["name"]
        if kind == PROPERTIES and (resource_type := req.query.get("resource_type")):
            enforce(req, "get_metadef_resource_type", found)
            name = await _without_prefix(glance, found.namespace, name, resource_type)
        return view_item(await metadefs.item(glance, found.namespace, kind, name))

    @routes.put(one, policy=None, body=dict[str, Any])
    async def update(glance: Glance, req: Request[Document]) -> Document:
        """Write a definition anew."""
        found = await permitted(glance, req, f"modify_metadef_{noun}")
        doc = schemas.check(kind, {"name": req.path["name"], **req.body})
        name = req.path["name"]
        return view_item(await metadefs.change_item(glance, found.namespace, kind, name, doc))

    @routes.delete(one, policy=None)
    async def delete(glance: Glance, req: Request[None]) -> None:
        """Delete a definition."""
        found = await permitted(glance, req, f"{removing}_metadef_{noun}")
        metadefs.check_unprotected(found)
        await metadefs.remove_item(glance, found.namespace, kind, req.path["name"])

    @routes.delete(url, policy=None)
    async def clear(glance: Glance, req: Request[None]) -> None:
        """Delete all definitions of this kind."""
        found = await permitted(glance, req, "delete_metadef_namespace")
        if kind == TAGS:
            enforce(req, "delete_metadef_tags", found)
        metadefs.check_unprotected(found)
        await metadefs.clear(glance, found.namespace, kind)


async def _without_prefix(glance: Glance, namespace: str, name: str, resource_type: str) -> str:
    """Return a property's own name. Raises: NotFound (not named as the resource type wants)."""
    link = await metadefs.item(glance, namespace, ASSOCIATIONS, resource_type)
    prefix = link.document.get("prefix")
    if not prefix or not name.startswith(prefix):
        raise NotFound(
            f"Property {name} does not start with the expected resource type association "
            f"prefix of '{prefix}'."
        )
    return name[len(prefix) :]


def _declare_create(kind: str, noun: str) -> None:
    @routes.post(f"{ONE}/{kind}", policy=None, body=dict[str, Any])
    async def create(glance: Glance, req: Request[Document]) -> Reply:
        """Add a definition."""
        found = await permitted(glance, req, f"add_metadef_{noun}")
        made = await metadefs.add_item(glance, new_item(glance, found.namespace, kind, req.body))
        return Reply(view_item(made), headers={"location": f"{req.url}/{made.name}"})


_declare(OBJECTS, "object", "delete")
_declare(PROPERTIES, "property", "remove")
_declare(TAGS, "tag", "delete")
_declare_create(OBJECTS, "object")
_declare_create(PROPERTIES, "property")


@routes.post(f"{ONE}/tags", policy=None, body=dict[str, Any])
async def create_tags(glance: Glance, req: Request[Document]) -> Document:
    """Make the tags those of the body, or add them if a header says so."""
    found = await permitted(glance, req, "add_metadef_tags")
    given = req.body.get(TAGS)
    if not isinstance(given, list):
        raise BadRequest("'tags' is a required property", field=TAGS)
    new = [new_item(glance, found.namespace, TAGS, one) for one in given]
    keep = req.headers.get(APPEND, "").lower() == "true"
    await metadefs.replace_items(glance, found.namespace, TAGS, new, keep)
    return {TAGS: view_items(TAGS, new), "schema": f"{SCHEMA}/tags"}


@routes.post(f"{ONE}/tags/{{name}}", policy=None)
async def create_tag(glance: Glance, req: Request[None]) -> Document:
    """Add a tag."""
    found = await permitted(glance, req, "add_metadef_tag")
    new = new_item(glance, found.namespace, TAGS, {"name": req.path["name"]})
    return view_item(await metadefs.add_item(glance, new))


@routes.get(f"{ONE}/resource_types", policy=None)
async def associations(glance: Glance, req: Request[None]) -> Document:
    """List the resource types that a namespace is for."""
    found = await permitted(glance, req, "list_metadef_resource_types")
    listed = await metadefs.items(glance, found.namespace, ASSOCIATIONS)
    if not allowed(req, "get_metadef_resource_type", found):
        listed = []
    return {ASSOCIATIONS: view_items(ASSOCIATIONS, listed)}


@routes.post(f"{ONE}/resource_types", policy=None, body=dict[str, Any])
async def associate(glance: Glance, req: Request[Document]) -> Document:
    """Say that a namespace is for a resource type."""
    found = await permitted(glance, req, "add_metadef_resource_type_association")
    new = new_item(glance, found.namespace, ASSOCIATIONS, req.body)
    return view_item(await metadefs.add_item(glance, new))


@routes.delete(f"{ONE}/resource_types/{{name}}", policy=None)
async def dissociate(glance: Glance, req: Request[None]) -> None:
    """Say that a namespace is no longer for a resource type."""
    found = await permitted(glance, req, "remove_metadef_resource_type_association")
    metadefs.check_unprotected(found)
    await metadefs.remove_item(glance, found.namespace, ASSOCIATIONS, req.path["name"])

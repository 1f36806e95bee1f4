"""/v3/OS-EP-FILTER: which projects see which endpoints."""

from typing import Any

from aerostat.kit.errors import NotFound
from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.catalog import endpoint_view
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import catalog, nouns
from aerostat.services.keystone.model.catalog import (
    EndpointGroup,
    ProjectEndpoint,
    ProjectEndpointGroup,
)
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.catalog import EndpointGroupCreate, EndpointGroupUpdate
from aerostat.services.keystone.schemas.fields import given

routes: Routes[Keystone] = Routes("endpoint_filter")

BASE = "/OS-EP-FILTER"
PAIR = f"{BASE}/projects/{{project_id}}/endpoints/{{endpoint_id}}"
GROUP = f"{BASE}/endpoint_groups/{{endpoint_group_id}}"
GROUP_PAIR = f"{GROUP}/projects/{{project_id}}"


def _pair(req: Request[Any]) -> ProjectEndpoint | ProjectEndpointGroup:
    project_id = req.path["project_id"]
    if "endpoint_id" in req.path:
        return ProjectEndpoint(project_id, req.path["endpoint_id"])
    return ProjectEndpointGroup(project_id, req.path["endpoint_group_id"])


def group_view(req: Request[Any], item: EndpointGroup) -> Document:
    """Return an endpoint group as shown."""
    shown = views.plain(req, "OS-EP-FILTER/endpoint_groups", item)
    shown["description"] = shown["description"] or None
    return shown


async def check(keystone: Keystone, req: Request[None]) -> None:
    """Tell whether an endpoint or endpoint group is associated with a project."""
    await catalog.is_associated(keystone, _pair(req))


async def show_pair(keystone: Keystone, req: Request[None]) -> Document:
    """Show the association of an endpoint group with a project."""
    await catalog.is_associated(keystone, _pair(req))
    ids = {name: req.path[name] for name in ("endpoint_group_id", "project_id")}
    return {"project_endpoint_group": {**ids, "links": {"self": req.url}}}


async def add(keystone: Keystone, req: Request[None]) -> None:
    """Associate an endpoint or endpoint group with a project."""
    await catalog.associate(keystone, _pair(req))


async def remove(keystone: Keystone, req: Request[None]) -> None:
    """End an association."""
    await catalog.dissociate(keystone, _pair(req))


routes.get(PAIR, policy=policies.CHECK_ASSOCIATION, status=204)(check)
routes.put(PAIR, policy=policies.ADD_ASSOCIATION, status=204)(add)
routes.delete(PAIR, policy=policies.REMOVE_ASSOCIATION)(remove)
routes.get(GROUP_PAIR, policy=policies.GET_GROUP_IN_PROJECT)(show_pair)
routes.put(GROUP_PAIR, policy=policies.ADD_GROUP_TO_PROJECT, status=204)(add)
routes.delete(GROUP_PAIR, policy=policies.REMOVE_GROUP_FROM_PROJECT)(remove)


@routes.get(f"{BASE}/projects/{{project_id}}/endpoints", policy=policies.LIST_ASSOCIATIONS)
async def endpoints(keystone: Keystone, req: Request[None]) -> Document:
    """List the endpoints of a project."""
    found = await catalog.endpoints_of(keystone, req.path["project_id"])
    return views.collection(req, "endpoints", found, endpoint_view)


@routes.get(
    f"{BASE}/endpoints/{{endpoint_id}}/projects", policy=policies.LIST_PROJECTS_FOR_ENDPOINT
)
async def projects(keystone: Keystone, req: Request[None]) -> Document:
    """List the projects of an endpoint."""
    ids = await catalog.projects_of_endpoint(keystone, req.path["endpoint_id"])
    found = await nouns.among(keystone, nouns.projects, ids)
    return views.collection(req, "projects", found, views.project)


@routes.get(f"{BASE}/projects/{{project_id}}/endpoint_groups", policy=policies.GROUPS_OF_PROJECT)
async def groups_of(keystone: Keystone, req: Request[None]) -> Document:
    """List the endpoint groups of a project."""
    found = await catalog.groups_of(keystone, req.path["project_id"])
    return views.collection(req, "endpoint_groups", found, group_view)


@routes.get(f"{BASE}/endpoint_groups", policy=policies.LIST_ENDPOINT_GROUPS)
async def groups(keystone: Keystone, req: Request[None]) -> Document:
    """List endpoint groups."""
    wanted = views.listing(keystone, req, "name")
    found = await nouns.listed(keystone, nouns.endpoint_groups, wanted)
    return views.collection(req, "endpoint_groups", found, group_view, wanted)


@routes.post(
    f"{BASE}/endpoint_groups", policy=policies.CREATE_ENDPOINT_GROUP, body=EndpointGroupCreate
)
async def create(keystone: Keystone, req: Request[EndpointGroupCreate]) -> Document:
    """Create an endpoint group."""
    body = req.body.endpoint_group
    row = EndpointGroup(
        keystone.ids(), body.name, body.description or "", dict(body.filters.items())
    )
    await nouns.insert(keystone, nouns.endpoint_groups, row)
    return {"endpoint_group": group_view(req, row)}


@routes.get(GROUP, policy=policies.GET_ENDPOINT_GROUP)
async def show(keystone: Keystone, req: Request[None]) -> Document:
    """Show an endpoint group."""
    found = await nouns.find(keystone, nouns.endpoint_groups, req.path["endpoint_group_id"])
    return {"endpoint_group": group_view(req, found)}


@routes.patch(GROUP, policy=policies.UPDATE_ENDPOINT_GROUP, body=EndpointGroupUpdate)
async def update(keystone: Keystone, req: Request[EndpointGroupUpdate]) -> Document:
    """Change an endpoint group."""
    changes = given(req.body.endpoint_group)
    found = await nouns.edit(
        keystone, nouns.endpoint_groups, req.path["endpoint_group_id"], **changes
    )
    return {"endpoint_group": group_view(req, found)}


@routes.delete(GROUP, policy=policies.DELETE_ENDPOINT_GROUP)
async def delete(keystone: Keystone, req: Request[None]) -> None:
    """Delete an endpoint group."""
    await nouns.remove(keystone, nouns.endpoint_groups, req.path["endpoint_group_id"])


@routes.get(f"{GROUP}/endpoints", policy=policies.ENDPOINTS_OF_GROUP)
async def members(keystone: Keystone, req: Request[None]) -> Document:
    """List the endpoints that match an endpoint group."""
    found = await catalog.in_group(keystone, req.path["endpoint_group_id"])
    return views.collection(req, "endpoints", found, endpoint_view)


@routes.get(f"{GROUP}/projects", policy=policies.PROJECTS_OF_GROUP)
async def group_projects(keystone: Keystone, req: Request[None]) -> Document:
    """List the projects of an endpoint group."""
    group_id = req.path["endpoint_group_id"]
    if await nouns.look(keystone, nouns.endpoint_groups, group_id) is None:
        raise NotFound(f"Could not find endpoint group: {group_id}.")
    ids = await catalog.projects_of_group(keystone, group_id)
    found = await nouns.among(keystone, nouns.projects, ids)
    return views.collection(req, "projects", found, views.project)

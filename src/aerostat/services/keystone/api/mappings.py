"""/v3/OS-FEDERATION/mappings: what is made of what identity providers say."""

from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.identity_providers import new_id
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import federation, nouns
from aerostat.services.keystone.model import mapping_rules
from aerostat.services.keystone.model.federation import Mapping
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.federation import MappingPut

routes: Routes[Keystone] = Routes("mappings")

MAPPINGS = "/OS-FEDERATION/mappings"
MAPPING = f"{MAPPINGS}/{{mapping_id}}"


def mapping_view(req: Request[Any], item: Mapping) -> Document:
    """Return a mapping as shown."""
    return views.plain(req, "OS-FEDERATION/mappings", item)


@routes.get(MAPPINGS, policy=policies.LIST_MAPPINGS)
async def index(keystone: Keystone, req: Request[None]) -> Document:
    """List mappings."""
    wanted = views.listing(keystone, req)
    found = await nouns.listed(keystone, nouns.mappings, wanted)
    return views.collection(req, "mappings", found, mapping_view, wanted)


def _mapping(keystone: Keystone, req: Request[MappingPut]) -> Mapping:
    body = req.body.mapping
    version = body.schema_version or keystone.config.attribute_mapping_default_schema_version
    try:
        mapping_rules.check(body.rules, version)
    except ValueError as why:
        raise BadRequest(f"Invalid input for field 'mapping'. {why}", field="mapping") from why
    return Mapping(new_id(req, "mapping_id"), body.rules, version)


@routes.put(MAPPING, policy=policies.CREATE_MAPPING, body=MappingPut, status=201)
async def create(keystone: Keystone, req: Request[MappingPut]) -> Document:
    """Store a mapping."""
    made = await federation.create_mapping(keystone, _mapping(keystone, req))
    return {"mapping": mapping_view(req, made)}


@routes.get(MAPPING, policy=policies.GET_MAPPING)
async def show(keystone: Keystone, req: Request[None]) -> Document:
    """Show a mapping."""
    found = await nouns.find(keystone, nouns.mappings, req.path["mapping_id"])
    return {"mapping": mapping_view(req, found)}


@routes.patch(MAPPING, policy=policies.UPDATE_MAPPING, body=MappingPut)
async def update(keystone: Keystone, req: Request[MappingPut]) -> Document:
    """Replace the rules of a mapping."""
    found = await federation.update_mapping(keystone, _mapping(keystone, req))
    return {"mapping": mapping_view(req, found)}


@routes.delete(MAPPING, policy=policies.DELETE_MAPPING)
async def delete(keystone: Keystone, req: Request[None]) -> None:
    """Delete a mapping; protocols that use it let nobody in."""
    await nouns.remove(keystone, nouns.mappings, req.path["mapping_id"])

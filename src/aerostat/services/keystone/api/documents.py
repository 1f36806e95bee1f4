"""/v3/policies: documents that keystone stores for others."""

from typing import Any

from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import catalog, nouns
from aerostat.services.keystone.model.catalog import PolicyBlob
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.catalog import PolicyCreate, PolicyUpdate
from aerostat.services.keystone.schemas.fields import given

routes: Routes[Keystone] = Routes("documents")


def policy_view(req: Request[Any], item: PolicyBlob) -> Document:
    """Return a policy document as shown."""
    return views.plain(req, "policies", item)


@routes.get("/policies", policy=policies.LIST_POLICIES)
async def index(keystone: Keystone, req: Request[None]) -> Document:
    """List policy documents."""
    wanted = views.listing(keystone, req, "type")
    found = await nouns.listed(keystone, nouns.policies, wanted)
    return views.collection(req, "policies", found, policy_view, wanted)


@routes.post("/policies", policy=policies.CREATE_POLICY, body=PolicyCreate)
async def create(keystone: Keystone, req: Request[PolicyCreate]) -> Document:
    """Store a policy document."""
    body = req.body.policy
    row = PolicyBlob(keystone.ids(), body.type, body.blob, body.extra)
    return {"policy": policy_view(req, await nouns.insert(keystone, nouns.policies, row))}


@routes.get("/policies/{policy_id}", policy=policies.GET_POLICY)
async def show(keystone: Keystone, req: Request[None]) -> Document:
    """Show a policy document."""
    found = await nouns.find(keystone, nouns.policies, req.path["policy_id"])
    return {"policy": policy_view(req, found)}


@routes.patch("/policies/{policy_id}", policy=policies.UPDATE_POLICY, body=PolicyUpdate)
async def update(keystone: Keystone, req: Request[PolicyUpdate]) -> Document:
    """Change a policy document."""
    changes = given(req.body.policy)
    found = await nouns.edit(keystone, nouns.policies, req.path["policy_id"], **changes)
    return {"policy": policy_view(req, found)}


@routes.delete("/policies/{policy_id}", policy=policies.DELETE_POLICY)
async def delete(keystone: Keystone, req: Request[None]) -> None:
    """Delete a policy document."""
    await catalog.delete_policy(keystone, req.path["policy_id"])

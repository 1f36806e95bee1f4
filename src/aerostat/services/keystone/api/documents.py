"""/v3/policies and /v3/OS-OAUTH1/consumers: what keystone stores for others."""

import secrets
from typing import Any

from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import nouns
from aerostat.services.keystone.model.catalog import PolicyBlob
from aerostat.services.keystone.model.secrets import Consumer
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.catalog import PolicyCreate, PolicyUpdate
from aerostat.services.keystone.schemas.fields import given
from aerostat.services.keystone.schemas.secrets import ConsumerCreate, ConsumerUpdate

routes: Routes[Keystone] = Routes("documents")

CONSUMERS = "/OS-OAUTH1/consumers"
CONSUMER = f"{CONSUMERS}/{{consumer_id}}"


def policy_view(req: Request[Any], item: PolicyBlob) -> Document:
    """Return a policy document as shown."""
    return views.plain(req, "policies", item)


def consumer_view(req: Request[Any], item: Consumer) -> Document:
    """Return a consumer as shown; its secret only where it was made."""
    shown = views.plain(req, "OS-OAUTH1/consumers", item)
    del shown["secret"]
    return shown


@routes.get("/policies", policy=policies.LIST_POLICIES)
async def index(keystone: Keystone, req: Request[None]) -> Document:
    """List policy documents."""
    wanted = views.listing(req, "type")
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
    await nouns.remove(keystone, nouns.policies, req.path["policy_id"])


@routes.get(CONSUMERS, policy=policies.LIST_CONSUMERS)
async def consumers(keystone: Keystone, req: Request[None]) -> Document:
    """List OAuth consumers."""
    wanted = views.listing(req)
    found = await nouns.listed(keystone, nouns.consumers, wanted)
    return views.collection(req, "consumers", found, consumer_view, wanted)


@routes.post(CONSUMERS, policy=policies.CREATE_CONSUMER, body=ConsumerCreate)
async def create_consumer(keystone: Keystone, req: Request[ConsumerCreate]) -> Document:
    """Create an OAuth consumer; shows its secret, once."""
    body = req.body.consumer
    row = Consumer(keystone.ids(), body.description or "", secrets.token_hex(16), body.extra)
    await nouns.insert(keystone, nouns.consumers, row)
    return {"consumer": {**consumer_view(req, row), "secret": row.secret}}


@routes.get(CONSUMER, policy=policies.GET_CONSUMER)
async def consumer(keystone: Keystone, req: Request[None]) -> Document:
    """Show an OAuth consumer."""
    found = await nouns.find(keystone, nouns.consumers, req.path["consumer_id"])
    return {"consumer": consumer_view(req, found)}


@routes.patch(CONSUMER, policy=policies.UPDATE_CONSUMER, body=ConsumerUpdate)
async def update_consumer(keystone: Keystone, req: Request[ConsumerUpdate]) -> Document:
    """Change an OAuth consumer."""
    changes = given(req.body.consumer)
    found = await nouns.edit(keystone, nouns.consumers, req.path["consumer_id"], **changes)
    return {"consumer": consumer_view(req, found)}


@routes.delete(CONSUMER, policy=policies.DELETE_CONSUMER)
async def delete_consumer(keystone: Keystone, req: Request[None]) -> None:
    """Delete an OAuth consumer."""
    await nouns.remove(keystone, nouns.consumers, req.path["consumer_id"])

"""/v3/OS-FEDERATION/service_providers: clouds that let our users in."""

from typing import Any

from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.identity_providers import changed, new_id
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import federation, nouns
from aerostat.services.keystone.model.federation import ServiceProvider
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.federation import (
    ServiceProviderCreate,
    ServiceProviderUpdate,
)

routes: Routes[Keystone] = Routes("service_providers")

PROVIDERS = "/OS-FEDERATION/service_providers"
PROVIDER = f"{PROVIDERS}/{{service_provider_id}}"


def provider_view(req: Request[Any], item: ServiceProvider) -> Document:
    """Return a service provider as shown."""
    return views.plain(req, "OS-FEDERATION/service_providers", item)


@routes.get(PROVIDERS, policy=policies.LIST_SERVICE_PROVIDERS)
async def index(keystone: Keystone, req: Request[None]) -> Document:
    """List service providers."""
    wanted = views.listing(keystone, req, "id", "enabled")
    found = await nouns.listed(keystone, nouns.service_providers, wanted)
    return views.collection(req, "service_providers", found, provider_view, wanted)


@routes.put(
    PROVIDER, policy=policies.CREATE_SERVICE_PROVIDER, body=ServiceProviderCreate, status=201
)
async def create(keystone: Keystone, req: Request[ServiceProviderCreate]) -> Document:
    """Register a cloud that trusts this one."""
    body = req.body.service_provider
    prefix = body.relay_state_prefix
    row = ServiceProvider(
        new_id(req, "service_provider_id"),
        body.auth_url,
        body.sp_url,
        body.enabled,
        body.description,
        keystone.config.saml.relay_state_prefix if prefix is None else prefix,
    )
    made = await federation.create_service_provider(keystone, row)
    return {"service_provider": provider_view(req, made)}


@routes.get(PROVIDER, policy=policies.GET_SERVICE_PROVIDER)
async def show(keystone: Keystone, req: Request[None]) -> Document:
    """Show a service provider."""
    wanted = req.path["service_provider_id"]
    found = await nouns.find(keystone, nouns.service_providers, wanted)
    return {"service_provider": provider_view(req, found)}


@routes.patch(PROVIDER, policy=policies.UPDATE_SERVICE_PROVIDER, body=ServiceProviderUpdate)
async def update(keystone: Keystone, req: Request[ServiceProviderUpdate]) -> Document:
    """Change a service provider."""
    changes = changed(req.body.service_provider)
    if changes.get("relay_state_prefix", "") is None:
        changes["relay_state_prefix"] = keystone.config.saml.relay_state_prefix
    wanted = req.path["service_provider_id"]
    found = await nouns.edit(keystone, nouns.service_providers, wanted, **changes)
    return {"service_provider": provider_view(req, found)}


@routes.delete(PROVIDER, policy=policies.DELETE_SERVICE_PROVIDER)
async def delete(keystone: Keystone, req: Request[None]) -> None:
    """Delete a service provider."""
    wanted = req.path["service_provider_id"]
    await nouns.remove(keystone, nouns.service_providers, wanted)

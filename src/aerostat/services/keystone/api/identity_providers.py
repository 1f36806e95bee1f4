"""/v3/OS-FEDERATION/identity_providers and their protocols."""

from typing import Any

from msgspec import UNSET, Struct

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import federation
from aerostat.services.keystone.domain.federation import Provider
from aerostat.services.keystone.model.federation import FederationProtocol, IdentityProvider
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.federation import (
    IdentityProviderCreate,
    IdentityProviderUpdate,
    ProtocolCreate,
    ProtocolUpdate,
)

routes: Routes[Keystone] = Routes("identity_providers")

PROVIDERS = "/OS-FEDERATION/identity_providers"
PROVIDER = f"{PROVIDERS}/{{idp_id}}"
PROTOCOLS = f"{PROVIDER}/protocols"
PROTOCOL = f"{PROTOCOLS}/{{protocol_id}}"
ID_MAX = 64


def new_id(req: Request[Any], name: str) -> str:
    """Return an id that the client chose. Raises: BadRequest (longer than any id)."""
    given = req.path[name]
    if len(given) > ID_MAX:
        raise BadRequest(f"Invalid input for field '{name}'. It is too long.", field=name)
    return given


def changed(body: Struct) -> dict[str, Any]:
    """Return the fields that the client gave; null stays null. Raises: BadRequest (none)."""
    names = body.__struct_fields__
    found = {n: v for n in names if (v := getattr(body, n)) is not UNSET}
    if not found:
        raise BadRequest("Invalid input: at least one property is required.", field="body")
    return found


def provider_view(req: Request[Any], item: Provider) -> Document:
    """Return an identity provider as shown."""
    shown = views.plain(req, "OS-FEDERATION/identity_providers", item.row)
    shown["remote_ids"] = item.remote_ids
    shown["links"]["protocols"] = f"{shown['links']['self']}/protocols"
    return shown


def protocol_view(req: Request[Any], item: FederationProtocol) -> Document:
    """Return a protocol of an identity provider as shown."""
    base = views.link(req, f"/OS-FEDERATION/identity_providers/{item.idp_id}")
    return {
        "id": item.id,
        "mapping_id": item.mapping_id,
        "remote_id_attribute": item.remote_id_attribute,
        "links": {"self": f"{base}/protocols/{item.id}", "identity_provider": base},
    }


@routes.get(PROVIDERS, policy=policies.LIST_IDENTITY_PROVIDERS)
async def index(keystone: Keystone, req: Request[None]) -> Document:
    """List identity providers."""
    wanted = views.listing(keystone, req, "id", "enabled")
    found = await federation.providers(keystone, wanted)
    return views.collection(req, "identity_providers", found, provider_view, wanted)


@routes.put(
    PROVIDER, policy=policies.CREATE_IDENTITY_PROVIDER, body=IdentityProviderCreate, status=201
)
async def create(keystone: Keystone, req: Request[IdentityProviderCreate]) -> Document:
    """Register an identity provider; without a domain it gets one of its own."""
    body = req.body.identity_provider
    row = IdentityProvider(
        new_id(req, "idp_id"),
        body.domain_id or "",
        body.enabled,
        body.description,
        body.authorization_ttl,
    )
    made = await federation.create_provider(keystone, row, _names(body.remote_ids))
    return {"identity_provider": provider_view(req, made)}


def _names(remote_ids: list[str] | None) -> list[str]:
    names = remote_ids or []
    if len(set(names)) != len(names):
        raise BadRequest("remote_ids has non-unique elements.", field="remote_ids")
    return names


@routes.get(PROVIDER, policy=policies.GET_IDENTITY_PROVIDER)
async def show(keystone: Keystone, req: Request[None]) -> Document:
    """Show an identity provider."""
    found = await federation.provider(keystone, req.path["idp_id"])
    return {"identity_provider": provider_view(req, found)}


@routes.patch(PROVIDER, policy=policies.UPDATE_IDENTITY_PROVIDER, body=IdentityProviderUpdate)
async def update(keystone: Keystone, req: Request[IdentityProviderUpdate]) -> Document:
    """Change an identity provider; one that is disabled lets nobody in."""
    changes = changed(req.body.identity_provider)
    names = _names(changes.pop("remote_ids")) if "remote_ids" in changes else None
    found = await federation.update_provider(keystone, req.path["idp_id"], changes, names)
    return {"identity_provider": provider_view(req, found)}


@routes.delete(PROVIDER, policy=policies.DELETE_IDENTITY_PROVIDER)
async def delete(keystone: Keystone, req: Request[None]) -> None:
    """Delete an identity provider with its protocols and the users it vouched for."""
    await federation.delete_provider(keystone, req.path["idp_id"])


@routes.get(PROTOCOLS, policy=policies.LIST_PROTOCOLS)
async def protocols(keystone: Keystone, req: Request[None]) -> Document:
    """List the protocols of an identity provider."""
    found = await federation.protocols(keystone, req.path["idp_id"])
    return views.collection(req, "protocols", found, protocol_view)


@routes.put(PROTOCOL, policy=policies.CREATE_PROTOCOL, body=ProtocolCreate, status=201)
async def create_protocol(keystone: Keystone, req: Request[ProtocolCreate]) -> Document:
    """Let an identity provider use a protocol, by a mapping."""
    body = req.body.protocol
    protocol_id = new_id(req, "protocol_id")
    attribute = body.remote_id_attribute
    row = FederationProtocol(req.path["idp_id"], protocol_id, body.mapping_id, attribute)
    return {"protocol": protocol_view(req, await federation.create_protocol(keystone, row))}


@routes.get(PROTOCOL, policy=policies.GET_PROTOCOL)
async def protocol(keystone: Keystone, req: Request[None]) -> Document:
    """Show a protocol of an identity provider."""
    ids = req.path["idp_id"], req.path["protocol_id"]
    return {"protocol": protocol_view(req, await federation.protocol(keystone, *ids))}


@routes.patch(PROTOCOL, policy=policies.UPDATE_PROTOCOL, body=ProtocolUpdate)
async def update_protocol(keystone: Keystone, req: Request[ProtocolUpdate]) -> Document:
    """Change the mapping of a protocol."""
    ids = req.path["idp_id"], req.path["protocol_id"]
    found = await federation.update_protocol(keystone, *ids, changed(req.body.protocol))
    return {"protocol": protocol_view(req, found)}


@routes.delete(PROTOCOL, policy=policies.DELETE_PROTOCOL)
async def delete_protocol(keystone: Keystone, req: Request[None]) -> None:
    """Delete a protocol with the users it let in."""
    await federation.delete_protocol(keystone, req.path["idp_id"], req.path["protocol_id"])

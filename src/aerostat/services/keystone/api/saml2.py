"""This cloud as a SAML identity provider for others: metadata, and assertions for tokens."""

from typing import Any

from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.keystone.domain import saml_issue
from aerostat.services.keystone.model.federation import ServiceProvider
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.federation import SamlPost

routes: Routes[Keystone] = Routes("saml2")

XML = "text/xml"


@routes.get("/OS-FEDERATION/saml2/metadata", policy=None, public=True)
async def metadata(keystone: Keystone, req: Request[None]) -> Reply:
    """Show how clouds that are to trust this one find its certificate."""
    return Reply(raw=saml_issue.metadata(keystone), content_type=XML)


def _reply(raw: bytes, provider: ServiceProvider) -> Reply:
    headers = {"X-sp-url": provider.sp_url, "X-auth-url": provider.auth_url}
    return Reply(raw=raw, headers=headers, content_type=XML)


def _wanted(req: Request[Any]) -> tuple[str, str]:
    auth = req.body.auth
    return auth.identity.token.id, auth.scope.service_provider.id


@routes.post("/auth/OS-FEDERATION/saml2", policy=None, public=True, body=SamlPost, status=200)
async def assertion(keystone: Keystone, req: Request[SamlPost]) -> Reply:
    """Exchange a token for an assertion; the token in the body is the proof."""
    return _reply(*await saml_issue.assertion(keystone, *_wanted(req)))


@routes.post("/auth/OS-FEDERATION/saml2/ecp", policy=None, public=True, body=SamlPost, status=200)
async def envelope(keystone: Keystone, req: Request[SamlPost]) -> Reply:
    """Exchange a token for an assertion in an envelope that clients pass on."""
    return _reply(*await saml_issue.envelope(keystone, *_wanted(req)))

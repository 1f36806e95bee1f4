"""A token and a catalogue as the API shows them; what many tokens show is encoded once."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from aerostat.kit.clock import iso
from aerostat.kit.http.route import Reply
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import catalog, federation
from aerostat.services.keystone.domain.tokens import Resolved
from aerostat.services.keystone.model import tokens
from aerostat.services.keystone.model.actors import Project
from aerostat.services.keystone.model.catalog import substitute
from aerostat.services.keystone.model.tokens import Token
from aerostat.services.keystone.runtime import Keystone

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class SignedIn(Reply):
    """The answer to somebody who was let in; who that is and in which groups, for events."""

    who: dict[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()


def signed_in(found: Resolved, **reply: Any) -> SignedIn:
    """Return the answer to the owner of a new token."""
    user = found.user.user
    who = {"user_id": user.id, "username": user.name}
    return SignedIn(who=who, groups=found.token.group_ids, **reply)


async def token_body(keystone: Keystone, found: Resolved, *, with_catalog: bool) -> bytes:
    """Return the encoded document of a token."""
    worth = found.shown.get(with_catalog)
    if worth is None:
        generation = keystone.generation
        worth = _encode(await _worth(keystone, found, with_catalog))
        if generation == keystone.generation:
            found.shown[with_catalog] = worth
    return b'{"token":' + _encode(_own(found.token))[:-1] + b"," + worth[1:] + b"}"


def _own(token: Token) -> Document:
    """Return what a token shows beside its worth."""
    return {
        "methods": token.methods,
        "audit_ids": token.audit_ids,
        "expires_at": iso(token.expires_at, micros=True),
        "issued_at": iso(token.issued_at, micros=True),
    }


async def catalog_list(keystone: Keystone, project_id: str, user_id: str) -> list[Document]:
    """Return the catalogue as shown."""
    entries = (await catalog.catalog(keystone, project_id)).entries
    return [
        {
            "endpoints": [
                {
                    "id": e.id,
                    "interface": e.interface,
                    "region_id": e.region_id or None,
                    "url": url,
                    "region": e.region_id or None,
                }
                for e in endpoints
                if (url := substitute(e.url, project_id, user_id)) is not None
            ],
            "id": service.id,
            "type": service.type,
            "name": service.name,
        }
        for service, endpoints in entries
    ]


def _with_domain(item_id: str, name: str, domain: Project) -> Document:
    return {"domain": {"id": domain.id, "name": domain.name}, "id": item_id, "name": name}


async def _worth(keystone: Keystone, found: Resolved, with_catalog: bool) -> Document:
    """Return what every token of the same worth shows."""
    token, user = found.token, found.user
    shown: Document = {
        "user": {
            **_with_domain(user.user.id, user.user.name, user.domain),
            "password_expires_at": iso(user.user.password_expires_at, micros=True, zone=""),
        },
    }
    if token.idp_id:
        del shown["user"]["password_expires_at"]
        shown["user"]["OS-FEDERATION"] = {
            "groups": [{"id": group_id} for group_id in token.group_ids],
            "identity_provider": {"id": token.idp_id},
            "protocol": {"id": token.protocol_id},
        }
    if token.thumbprint:
        shown["oauth2_credential"] = {"x5t#S256": token.thumbprint}
    shown.update(_scope(found))
    if token.scope != tokens.UNSCOPED:
        shown["roles"] = [{"id": r.id, "name": r.name} for r in found.roles]
    if found.application_credential is not None:
        shown["application_credential"] = _credential(found)
    if found.trust is not None:
        trust = found.trust
        shown["OS-TRUST:trust"] = {
            "id": trust.id,
            "trustor_user": {"id": trust.trustor_user_id},
            "trustee_user": {"id": trust.trustee_user_id},
            "impersonation": trust.impersonation,
        }
    if found.access_token is not None:
        access = found.access_token
        shown["OS-OAUTH1"] = {"access_token_id": access.id, "consumer_id": access.consumer_id}
    clouds = await keystone.remember(federation.enabled_service_providers)
    if clouds:
        shown["service_providers"] = [
            {"auth_url": c.auth_url, "id": c.id, "sp_url": c.sp_url} for c in clouds
        ]
    if with_catalog and token.scope != tokens.UNSCOPED:
        project_id = found.project.id if found.project else ""
        shown["catalog"] = await catalog_list(keystone, project_id, token.user_id)
    return shown


def _scope(found: Resolved) -> Document:
    project, domain = found.project, found.domain
    if project is not None and domain is not None:
        named = _with_domain(project.id, project.name, domain)
        return {"project": named, "is_domain": project.is_domain}
    if domain is not None:
        return {"domain": {"id": domain.id, "name": domain.name}}
    return {"system": {"all": True}} if found.token.scope == tokens.SYSTEM else {}


def _credential(found: Resolved) -> Document:
    credential = found.application_credential
    assert credential is not None
    shown: dict[str, Any] = {
        "id": credential.id,
        "name": credential.name,
        "restricted": not credential.unrestricted,
    }
    if found.access_rules is not None:
        shown["access_rules"] = [
            {"id": r.id, "path": r.path, "method": r.method, "service": r.service}
            for r in found.access_rules
        ]
    return shown

"""/v3/OS-TRUST/trusts"""

from typing import Any

from aerostat.kit.clock import iso
from aerostat.kit.errors import BadRequest, Forbidden, NotFound
from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.application_credentials import expiry, refs
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import identity, nouns, trusts
from aerostat.services.keystone.domain.trusts import Redelegation
from aerostat.services.keystone.model.roles import Role
from aerostat.services.keystone.model.secrets import Trust
from aerostat.services.keystone.policies import target
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.secrets import TrustCreate

routes: Routes[Keystone] = Routes("trusts")

BASE = "/OS-TRUST/trusts"
ONE = f"{BASE}/{{trust_id}}"


def view(req: Request[Any], trust: Trust) -> Document:
    """Return a trust as shown in lists."""
    shown = views.plain(req, "OS-TRUST/trusts", trust, "project_id")
    del shown["roles"]
    if not shown["redelegated_trust_id"]:
        del shown["redelegated_trust_id"]
    shown["expires_at"] = iso(trust.expires_at, micros=True)
    shown["deleted_at"] = iso(trust.deleted_at, micros=True)
    return shown


async def full(keystone: Keystone, req: Request[Any], trust: Trust) -> Document:
    """Return a trust as shown alone, with its roles."""
    found = await _roles(keystone, trust)
    path = f"/OS-TRUST/trusts/{trust.id}/roles"
    links = {"self": views.link(req, path), "next": None, "previous": None}
    roles = [views.role(req, role) for role in found]
    return {**view(req, trust), "roles": roles, "roles_links": links}


async def _roles(keystone: Keystone, trust: Trust) -> list[Role]:
    return await nouns.among(keystone, nouns.roles, trust.roles)


def not_by_credential(req: Request[Any]) -> None:
    """Raises: Forbidden, if the caller comes with an application credential, of any kind.

    Source: keystone bug 2150089.
    """
    if "application_credential_id" in req.ctx.extra:
        raise Forbidden("Using method 'application_credential' is not allowed for managing trusts.")


async def seen(keystone: Keystone, req: Request[Any], rule: Rule) -> Trust:
    """Return the trust of the path if `rule` lets the caller. Raises: Forbidden, NotFound."""
    trust_id = req.path["trust_id"]
    found = await nouns.look(keystone, nouns.trusts, trust_id)
    parties = (found.trustor_user_id, found.trustee_user_id) if found else ("", "")
    req.enforce(rule, target(trust__trustor_user_id=parties[0], trust__trustee_user_id=parties[1]))
    not_by_credential(req)
    return await trusts.show(keystone, trust_id)


@routes.get(BASE, policy=None)
async def index(keystone: Keystone, req: Request[None]) -> Document:
    """List trusts, all of them or those of a trustor or trustee."""
    trustor, trustee = req.query.get("trustor_user_id"), req.query.get("trustee_user_id")
    if trustor:
        about = target(trust__trustor_user_id=trustor)
        req.enforce(policies.LIST_TRUSTS_FOR_TRUSTOR, about)
    if trustee:
        about = target(trust__trustee_user_id=trustee)
        req.enforce(policies.LIST_TRUSTS_FOR_TRUSTEE, about)
    if not trustor and not trustee:
        req.enforce(policies.LIST_TRUSTS)
    not_by_credential(req)
    found = await trusts.listed(keystone, trustor or "", trustee or "")
    return views.collection(req, "trusts", found, view)


@routes.post(BASE, policy=None, body=TrustCreate)
async def create(keystone: Keystone, req: Request[TrustCreate]) -> Document:
    """Trust another user."""
    body = req.body.trust
    req.enforce(policies.CREATE_TRUST, target(trust__trustor_user_id=body.trustor_user_id))
    not_by_credential(req)
    if "access_token_id" in req.ctx.extra:
        raise Forbidden("Redelegation allowed for delegated by trust only")
    if body.roles and not body.project_id:
        raise BadRequest("Roles of a trust need a project.", field="roles")
    await identity.user(keystone, body.trustee_user_id)
    row = Trust(
        id=keystone.ids(),
        trustor_user_id=body.trustor_user_id,
        trustee_user_id=body.trustee_user_id,
        project_id=body.project_id or "",
        impersonation=body.impersonation,
        roles=list(req.ctx.roles),
        expires_at=expiry(keystone, body.expires_at),
        remaining_uses=body.remaining_uses,
        redelegated_trust_id="",
        redelegation_count=0,
        deleted_at=None,
        extra=body.extra,
    )
    source = req.ctx.extra.get("trust_id", "")
    wish = Redelegation(body.allow_redelegation, body.redelegation_count, source)
    made = await trusts.create(keystone, row, refs(body.roles), wish)
    return {"trust": await full(keystone, req, made)}


@routes.get(ONE, policy=None)
async def show(keystone: Keystone, req: Request[None]) -> Document:
    """Show a trust."""
    return {"trust": await full(keystone, req, await seen(keystone, req, policies.GET_TRUST))}


@routes.delete(ONE, policy=None)
async def delete(keystone: Keystone, req: Request[None]) -> None:
    """End a trust."""
    trust = await seen(keystone, req, policies.DELETE_TRUST)
    await trusts.delete(keystone, trust.id)


@routes.get(f"{ONE}/roles", policy=None)
async def roles(keystone: Keystone, req: Request[None]) -> Document:
    """List the roles of a trust."""
    trust = await seen(keystone, req, policies.LIST_ROLES_FOR_TRUST)
    return views.collection(req, "roles", await _roles(keystone, trust), views.role)


@routes.get(f"{ONE}/roles/{{role_id}}", policy=None)
async def role(keystone: Keystone, req: Request[None]) -> Document:
    """Show a role of a trust."""
    trust = await seen(keystone, req, policies.GET_ROLE_FOR_TRUST)
    for found in await _roles(keystone, trust):
        if found.id == req.path["role_id"]:
            return {"role": views.role(req, found)}
    raise NotFound(f"Could not find role: {req.path['role_id']}.")

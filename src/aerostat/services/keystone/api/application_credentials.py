"""/v3/users/{user_id}/application_credentials and /access_rules"""

from typing import Any

from aerostat.kit.clock import iso, parse_iso
from aerostat.kit.errors import BadRequest, Forbidden
from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.delegation import unrestricted
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import secrets
from aerostat.services.keystone.model.secrets import AccessRule, ApplicationCredential
from aerostat.services.keystone.policies import target
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.secrets import (
    AccessRuleNew,
    ApplicationCredentialCreate,
    RoleRef,
)

routes: Routes[Keystone] = Routes("application_credentials")

BASE = "/users/{user_id}/application_credentials"
ONE = f"{BASE}/{{application_credential_id}}"
RULES = "/users/{user_id}/access_rules"


def _owned(req: Request[Any], rule: Rule) -> str:
    user_id = req.path["user_id"]
    req.enforce(rule, target(user_id=user_id, user__id=user_id))
    if "trust_id" in req.ctx.extra or "access_token_id" in req.ctx.extra:
        raise Forbidden("Cannot manage application credentials with a token issued via delegation.")
    return user_id


async def view(keystone: Keystone, req: Request[Any], item: ApplicationCredential) -> Document:
    """Return an application credential as shown; never its secret."""
    roles, rules = await secrets.expanded(keystone, item)
    path = f"/users/{item.user_id}/application_credentials/{item.id}"
    shown: Document = {
        "id": item.id,
        "name": item.name,
        "description": item.description or None,
        "user_id": item.user_id,
        "project_id": item.project_id,
        "system": None,
        "roles": roles,
        "expires_at": iso(item.expires_at, micros=True, zone=""),
        "unrestricted": item.unrestricted,
        "links": {"self": views.link(req, path)},
    }
    if rules:
        shown["access_rules"] = [_rule_fields(rule) for rule in rules]
    return shown


def _rule_fields(rule: AccessRule) -> Document:
    return {"id": rule.id, "path": rule.path, "method": rule.method, "service": rule.service}


def expiry(keystone: Keystone, text: str | None) -> float | None:
    """Return a time of the future. Raises: BadRequest."""
    if text is None:
        return None
    try:
        when = parse_iso(text)
    except ValueError as why:
        raise BadRequest("Invalid input for field 'expires_at'.", field="expires_at") from why
    if when <= keystone.clock.now():
        raise BadRequest("Expiration time must be in the future.", field="expires_at")
    return when


def refs(roles: list[RoleRef]) -> list[dict[str, str]]:
    """Return references to roles, each by id or by name."""
    return [{"id": r.id} if r.id else {"name": r.name} for r in roles]


@routes.get(BASE, policy=None)
async def index(keystone: Keystone, req: Request[None]) -> Document:
    """List the application credentials of a user."""
    user_id = _owned(req, policies.LIST_APPLICATION_CREDENTIALS)
    found = await secrets.of_user(keystone, user_id, req.query.get("name") or "")
    shown = [await view(keystone, req, item) for item in found]
    links = {"next": None, "previous": None, "self": req.url}
    return {"application_credentials": shown, "links": links}


@routes.post(BASE, policy=None, body=ApplicationCredentialCreate)
async def create(keystone: Keystone, req: Request[ApplicationCredentialCreate]) -> Document:
    """Make an application credential for the project of the token; shows its secret, once."""
    body = req.body.application_credential
    user_id = _owned(req, policies.CREATE_APPLICATION_CREDENTIAL)
    unrestricted(req, "application credentials")
    if not req.ctx.project_id:
        raise BadRequest("An application credential needs a project-scoped token.")
    if body.project_id not in (None, req.ctx.project_id):
        raise BadRequest("An application credential is for the project of the token.")
    row = ApplicationCredential(
        id=keystone.ids(),
        name=body.name,
        user_id=user_id,
        project_id=req.ctx.project_id,
        secret_hash="",
        description=body.description or "",
        roles=list(req.ctx.roles),
        expires_at=expiry(keystone, body.expires_at),
        unrestricted=bool(body.unrestricted),
        access_rules=[],
    )
    rules = [_rule(keystone, user_id, r) for r in body.access_rules]
    roles = refs(body.roles) if body.roles else None
    made, secret = await secrets.create_application_credential(
        keystone, row, body.secret or "", roles, rules
    )
    shown = {**await view(keystone, req, made), "secret": secret}
    return {"application_credential": shown}


def _rule(keystone: Keystone, user_id: str, body: AccessRuleNew) -> AccessRule:
    return AccessRule(body.id or keystone.ids(), user_id, body.service, body.method, body.path)


@routes.get(ONE, policy=None)
async def show(keystone: Keystone, req: Request[None]) -> Document:
    """Show an application credential."""
    user_id = _owned(req, policies.GET_APPLICATION_CREDENTIAL)
    found = await secrets.application_credential(
        keystone, user_id, req.path["application_credential_id"]
    )
    return {"application_credential": await view(keystone, req, found)}


@routes.delete(ONE, policy=None)
async def delete(keystone: Keystone, req: Request[None]) -> None:
    """Delete an application credential; its tokens end."""
    user_id = _owned(req, policies.DELETE_APPLICATION_CREDENTIAL)
    unrestricted(req, "application credentials")
    await secrets.delete_application_credential(
        keystone, user_id, req.path["application_credential_id"]
    )


def rule_view(req: Request[Any], item: AccessRule) -> Document:
    """Return an access rule as shown."""
    path = f"/users/{item.user_id}/access_rules/{item.id}"
    return {**_rule_fields(item), "links": {"self": views.link(req, path)}}


@routes.get(RULES, policy=None)
async def rules(keystone: Keystone, req: Request[None]) -> Document:
    """List the access rules of a user."""
    found = await secrets.rules_of(keystone, _owned(req, policies.LIST_ACCESS_RULES))
    for name in ("service", "path", "method"):
        if wanted := req.query.all(name):
            found = [rule for rule in found if {getattr(rule, name)} == set(wanted)]
    return views.collection(req, "access_rules", found, rule_view)


@routes.get(f"{RULES}/{{access_rule_id}}", policy=None)
async def rule(keystone: Keystone, req: Request[None]) -> Document:
    """Show an access rule."""
    user_id = _owned(req, policies.GET_ACCESS_RULE)
    found = await secrets.access_rule(keystone, user_id, req.path["access_rule_id"])
    return {"access_rule": rule_view(req, found)}


@routes.delete(f"{RULES}/{{access_rule_id}}", policy=None)
async def delete_rule(keystone: Keystone, req: Request[None]) -> None:
    """Delete an access rule that no application credential uses."""
    user_id = _owned(req, policies.DELETE_ACCESS_RULE)
    await secrets.delete_access_rule(keystone, user_id, req.path["access_rule_id"])

"""/v3/credentials and a user's EC2 credentials"""

from typing import Any

import msgspec

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.delegation import (
    DELEGATIONS,
    check_within,
    unrestricted,
    within,
)
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import ec2, identity, nouns, secrets
from aerostat.services.keystone.model.secrets import Credential
from aerostat.services.keystone.policies import target
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.fields import given
from aerostat.services.keystone.schemas.secrets import (
    CredentialCreate,
    CredentialUpdate,
    Ec2Create,
)

routes: Routes[Keystone] = Routes("credentials")


def view(req: Request[Any], item: Credential) -> Document:
    """Return a credential as shown."""
    shown = views.plain(req, "credentials", item, "project_id")
    del shown["key_hash"]
    return shown


async def seen(keystone: Keystone, req: Request[Any], rule: Rule) -> Credential:
    """Return the credential of the path, in clear, if `rule` lets the caller."""
    credential_id = req.path["credential_id"]
    found = await nouns.look(keystone, nouns.credentials, credential_id)
    req.enforce(rule, target(credential__user_id=found.user_id if found else ""))
    if found is None:
        raise nouns.credentials.missing(credential_id)
    check_within(req, found.project_id)
    return secrets.unsealed(keystone, found)


@routes.get("/credentials", policy=None)
async def index(keystone: Keystone, req: Request[None]) -> Document:
    """List credentials, those that the caller may see."""
    wanted = views.listing(keystone, req, "user_id", "type", "id")
    found = await nouns.listed(keystone, nouns.credentials, wanted)
    visible = [
        secrets.unsealed(keystone, c)
        for c in found
        if req.allows(policies.GET_CREDENTIAL, target(credential__user_id=c.user_id))
        and within(req, c.project_id)
    ]
    return views.collection(req, "credentials", visible, view, wanted)


@routes.post("/credentials", policy=None, body=CredentialCreate)
async def create(keystone: Keystone, req: Request[CredentialCreate]) -> Document:
    """Store a credential."""
    body = req.body.credential
    user_id = body.user_id or req.ctx.user_id
    req.enforce(policies.CREATE_CREDENTIAL, target(credential__user_id=user_id))
    check_within(req, body.project_id or "")
    is_ec2 = body.type.lower() == "ec2"
    if is_ec2:
        unrestricted(req, "credentials")
    if is_ec2 and not body.project_id:
        raise BadRequest("project_id is needed for ec2 credentials.", field="project_id")
    row = Credential(
        id=_ec2_id(body.blob) if is_ec2 else keystone.ids(),
        user_id=user_id,
        project_id=body.project_id or "",
        type=body.type,
        blob=_bound(req, body.blob) if is_ec2 else body.blob,
        extra=body.extra,
    )
    return {"credential": view(req, await secrets.create_credential(keystone, row))}


def _blob(text: str) -> Document:
    try:
        found = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as why:
        raise BadRequest("Invalid blob in credential", field="blob") from why
    return found


def _ec2_id(text: str) -> str:
    access = _blob(text).get("access")
    if not isinstance(access, str) or not access:
        raise BadRequest("Invalid blob in credential: no access key.", field="blob")
    return ec2.credential_id(access)


def _bound(req: Request[Any], text: str) -> str:
    blob = _blob(text)
    if any(name in blob for name in DELEGATIONS):
        raise BadRequest("Blob of an ec2 credential may not hold delegation ids.", field="blob")
    for name, source in DELEGATIONS.items():
        if source in req.ctx.extra:
            blob[name] = req.ctx.extra[source]
    return msgspec.json.encode(blob).decode()


@routes.get("/credentials/{credential_id}", policy=None)
async def show(keystone: Keystone, req: Request[None]) -> Document:
    """Show a credential."""
    return {"credential": view(req, await seen(keystone, req, policies.GET_CREDENTIAL))}


@routes.patch("/credentials/{credential_id}", policy=None, body=CredentialUpdate)
async def update(keystone: Keystone, req: Request[CredentialUpdate]) -> Document:
    """Change a credential; its owner only to another whose credential one might make."""
    before = await seen(keystone, req, policies.UPDATE_CREDENTIAL)
    changes = given(req.body.credential)
    check_within(req, changes.get("project_id", before.project_id))
    owner = changes.get("user_id", before.user_id)
    req.enforce(policies.UPDATE_CREDENTIAL, target(credential__user_id=owner))
    if "ec2" in (before.type.lower(), str(changes.get("type", "")).lower()):
        _same_binding(before, changes)
    found = await secrets.update_credential(keystone, before.id, changes)
    return {"credential": view(req, found)}


def _same_binding(before: Credential, changes: Document) -> None:
    old = _blob(before.blob) if before.type.lower() == "ec2" else {}
    moves = changes.get("project_id", before.project_id) != before.project_id
    if moves and any(name in old for name in DELEGATIONS):
        raise BadRequest("A delegation is for one project.", field="project_id")
    if "blob" in changes:
        new = _blob(changes["blob"])
        if any(old.get(name) != new.get(name) for name in DELEGATIONS):
            raise BadRequest("Delegation ids of an ec2 credential cannot change.", field="blob")


@routes.delete("/credentials/{credential_id}", policy=None)
async def delete(keystone: Keystone, req: Request[None]) -> None:
    """Delete a credential."""
    found = await seen(keystone, req, policies.DELETE_CREDENTIAL)
    await nouns.remove(keystone, nouns.credentials, found.id)


EC2 = "/users/{user_id}/credentials/OS-EC2"


def _ec2_view(req: Request[Any], item: Credential) -> Document:
    blob = _blob(item.blob)
    path = f"/users/{item.user_id}/credentials/OS-EC2/{blob['access']}"
    return {
        "user_id": item.user_id,
        "tenant_id": item.project_id,
        "access": blob["access"],
        "secret": blob["secret"],
        "trust_id": blob.get("trust_id"),
        "links": {"self": views.link(req, path)},
    }


@routes.get(EC2, policy=None)
async def ec2_index(keystone: Keystone, req: Request[None]) -> Document:
    """List a user's EC2 credentials."""
    user_id = req.path["user_id"]
    req.enforce(policies.EC2_LIST, target(user_id=user_id))
    c = nouns.credentials.store.table.c
    found = await keystone.db.read(
        nouns.credentials.store.all, c.user_id == user_id, c.type == "ec2"
    )
    clear = [secrets.unsealed(keystone, f) for f in found if within(req, f.project_id)]
    return views.collection(req, "credentials", clear, _ec2_view)


@routes.post(EC2, policy=None, body=Ec2Create)
async def ec2_create(keystone: Keystone, req: Request[Ec2Create]) -> Document:
    """Make an EC2 credential for a project on which the user has a role."""
    user_id, project_id = req.path["user_id"], req.body.tenant_id
    req.enforce(policies.EC2_CREATE, target(credential__user_id=user_id))
    unrestricted(req, "credentials")
    if await identity.user(keystone, user_id) is None:
        raise nouns.users.missing(user_id)
    await nouns.find(keystone, nouns.projects, project_id)
    check_within(req, project_id)
    access, secret = keystone.ids(), keystone.ids()
    blob = msgspec.json.encode({"access": access, "secret": secret}).decode()
    row = Credential(_ec2_id(blob), user_id, project_id, "ec2", _bound(req, blob), {})
    made = await secrets.create_credential(keystone, row)
    return {"credential": _ec2_view(req, made)}


async def _ec2_seen(keystone: Keystone, req: Request[Any], rule: Rule) -> Credential:
    access = req.path["access"]
    key = ec2.credential_id(access)
    found = await nouns.look(keystone, nouns.credentials, key)
    if found is None:
        raise nouns.credentials.missing(access)
    req.enforce(rule, target(credential__user_id=found.user_id))
    if found.user_id != req.path["user_id"]:
        raise nouns.credentials.missing(access)
    check_within(req, found.project_id)
    return secrets.unsealed(keystone, found)


@routes.get(EC2 + "/{access}", policy=None)
async def ec2_show(keystone: Keystone, req: Request[None]) -> Document:
    """Show an EC2 credential."""
    return {"credential": _ec2_view(req, await _ec2_seen(keystone, req, policies.EC2_GET))}


@routes.delete(EC2 + "/{access}", policy=None)
async def ec2_delete(keystone: Keystone, req: Request[None]) -> None:
    """Delete an EC2 credential."""
    found = await _ec2_seen(keystone, req, policies.EC2_DELETE)
    await nouns.remove(keystone, nouns.credentials, found.id)

"""/v3/OS-OAUTH1 and the access tokens of users: OAuth 1.0a."""

import secrets
from typing import Any
from urllib.parse import urlencode

from aerostat.kit.clock import iso
from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.auth import signed
from aerostat.services.keystone.api.delegation import undelegated
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import nouns, oauth1
from aerostat.services.keystone.model.roles import Role
from aerostat.services.keystone.model.secrets import AccessToken, Consumer
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.auth import RequestTokenPut
from aerostat.services.keystone.schemas.fields import given
from aerostat.services.keystone.schemas.secrets import ConsumerCreate, ConsumerUpdate

routes: Routes[Keystone] = Routes("oauth1")

CONSUMERS = "/OS-OAUTH1/consumers"
CONSUMER = f"{CONSUMERS}/{{consumer_id}}"
TOKENS = "/users/{user_id}/OS-OAUTH1/access_tokens"
TOKEN = f"{TOKENS}/{{access_token_id}}"


def consumer_view(req: Request[Any], item: Consumer) -> Document:
    """Return an OAuth consumer as shown; its secret only where it was made."""
    shown = views.plain(req, "OS-OAUTH1/consumers", item)
    del shown["secret"]
    shown["description"] = shown["description"] or None
    return shown


@routes.get(CONSUMERS, policy=policies.LIST_CONSUMERS)
async def consumers(keystone: Keystone, req: Request[None]) -> Document:
    """List OAuth consumers."""
    wanted = views.listing(keystone, req)
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
    if "secret" in changes["extra"]:
        raise BadRequest("The secret of a consumer cannot change.", field="consumer.secret")
    found = await nouns.edit(keystone, nouns.consumers, req.path["consumer_id"], **changes)
    return {"consumer": consumer_view(req, found)}


@routes.delete(CONSUMER, policy=policies.DELETE_CONSUMER)
async def delete_consumer(keystone: Keystone, req: Request[None]) -> None:
    """Delete an OAuth consumer."""
    await oauth1.delete_consumer(keystone, req.path["consumer_id"])


def _form(token_id: str, secret: str, expires_at: float | None) -> Reply:
    values = {"oauth_token": token_id, "oauth_token_secret": secret}
    if expires_at is not None:
        values["oauth_expires_at"] = str(iso(expires_at, micros=True))
    media = "application/x-www-form-urlencoded"
    return Reply(raw=urlencode(values, safe=":").encode(), content_type=media)


@routes.post("/OS-OAUTH1/request_token", policy=None, public=True)
async def request_token(keystone: Keystone, req: Request[None]) -> Reply:
    """Give a consumer a token that a user may agree to."""
    project_id = req.headers.get("requested-project-id", "")
    made = await oauth1.request_token(keystone, signed(req), project_id)
    return _form(made.id, made.secret, made.expires_at)


@routes.post("/OS-OAUTH1/access_token", policy=None, public=True)
async def access_token(keystone: Keystone, req: Request[None]) -> Reply:
    """Exchange a request token that a user agreed to."""
    made = await oauth1.access_token(keystone, signed(req))
    return _form(made.id, made.secret, made.expires_at)


@routes.put(
    "/OS-OAUTH1/authorize/{request_token_id}",
    policy=policies.AUTHORIZE_REQUEST_TOKEN,
    body=RequestTokenPut,
)
async def authorize(keystone: Keystone, req: Request[RequestTokenPut]) -> Document:
    """Agree to a request token with some of one's own roles."""
    undelegated(req, "Cannot authorize a request token")
    roles = [{"id": role.id, "name": role.name} for role in req.body.roles]
    token_id = req.path["request_token_id"]
    verifier = await oauth1.authorize(keystone, token_id, req.ctx.user_id, roles)
    return {"token": {"oauth_verifier": verifier}}


def _owner(req: Request[Any]) -> str:
    undelegated(req, "Cannot manage OAuth access tokens")
    return req.path["user_id"]


def token_view(req: Request[Any], item: AccessToken) -> Document:
    """Return an access token as shown, without its secret."""
    path = f"/users/{item.user_id}/OS-OAUTH1/access_tokens/{item.id}"
    return {
        "id": item.id,
        "consumer_id": item.consumer_id,
        "project_id": item.project_id,
        "authorizing_user_id": item.user_id,
        "expires_at": iso(item.expires_at, micros=True),
        "links": {"roles": views.link(req, f"{path}/roles"), "self": views.link(req, path)},
    }


@routes.get(TOKENS, policy=policies.LIST_ACCESS_TOKENS)
async def tokens(keystone: Keystone, req: Request[None]) -> Document:
    """List the access tokens that a user agreed to."""
    found = await oauth1.of_user(keystone, _owner(req))
    return views.collection(req, "access_tokens", found, token_view)


@routes.get(TOKEN, policy=policies.GET_ACCESS_TOKEN)
async def token(keystone: Keystone, req: Request[None]) -> Document:
    """Show an access token."""
    return {"access_token": token_view(req, await _token(keystone, req))}


async def _token(keystone: Keystone, req: Request[Any]) -> AccessToken:
    return await oauth1.of_user_one(keystone, _owner(req), req.path["access_token_id"])


@routes.delete(TOKEN, policy=policies.DELETE_ACCESS_TOKEN)
async def delete_token(keystone: Keystone, req: Request[None]) -> None:
    """Take an access token back; what was made with it ends."""
    await oauth1.delete(keystone, _owner(req), req.path["access_token_id"])


@routes.get(f"{TOKEN}/roles", policy=policies.LIST_ACCESS_TOKEN_ROLES)
async def token_roles(keystone: Keystone, req: Request[None]) -> Document:
    """List the roles of an access token."""
    return views.collection(req, "roles", await _roles(keystone, req), views.role)


@routes.get(f"{TOKEN}/roles/{{role_id}}", policy=policies.GET_ACCESS_TOKEN_ROLE)
async def token_role(keystone: Keystone, req: Request[None]) -> Document:
    """Show a role of an access token."""
    for role in await _roles(keystone, req):
        if role.id == req.path["role_id"]:
            return {"role": views.role(req, role)}
    raise nouns.roles.missing(req.path["role_id"])


async def _roles(keystone: Keystone, req: Request[Any]) -> list[Role]:
    token = await _token(keystone, req)
    return await nouns.among(keystone, nouns.roles, token.roles)

"""OAuth 1.0a: a consumer asks, a user agrees, the consumer acts for the user in one project.

Source: api-ref, OS-OAUTH1; RFC 5849.
"""

import hashlib
import hmac
import secrets
from typing import NamedTuple

from msgspec.structs import replace

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, NotFound, Unauthorized
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.db.assignments import role_graph, role_ids_on_project
from aerostat.services.keystone.domain import identity, nouns, revocation
from aerostat.services.keystone.domain.tokens import refusal
from aerostat.services.keystone.model import oauth1
from aerostat.services.keystone.model.auth import SignedRequest
from aerostat.services.keystone.model.revocations import ACCESS_TOKEN, CONSUMER
from aerostat.services.keystone.model.secrets import AccessToken, RequestToken
from aerostat.services.keystone.runtime import Keystone

CLOCK_SKEW_S = 600
"""How far a request's time may be off; as long are its nonces remembered."""

VERIFIER_CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
VERIFIER_LENGTH = 8
R, A, N = tables.request_tokens.c, tables.access_tokens.c, tables.nonces


class _Signed(NamedTuple):
    request: SignedRequest
    oauth: dict[str, str]


def _parsed(request: SignedRequest, *needed: str) -> _Signed:
    try:
        oauth = oauth1.parameters(request.headers.get("authorization", ""))
    except ValueError as why:
        raise Unauthorized("Error retrieving OAuth headers", detail=str(why)) from why
    if any("\0" in value for value in oauth.values()):
        raise Unauthorized("Error retrieving OAuth headers", detail="a NUL")
    for name in needed:
        if not oauth.get(name):
            raise BadRequest(f"Expecting to find {name} in request.", field=name)
    if oauth.get("oauth_signature_method") not in oauth1.METHODS:
        raise BadRequest("Invalid signature method.", field="oauth_signature_method")
    if oauth.get("oauth_version", "1.0") != "1.0":
        raise BadRequest("Invalid OAuth version.", field="oauth_version")
    return _Signed(request, oauth)


async def _check(keystone: Keystone, signed: _Signed, secret: str, token_secret: str) -> None:
    """Raises: Unauthorized, unless the signature is right and new."""
    wanted = oauth1.signature(signed.request, signed.oauth, secret, token_secret)
    given = signed.oauth.get("oauth_signature", "")
    if not hmac.compare_digest(wanted.encode(), given.encode()):
        raise Unauthorized("Invalid signature")
    stamp = signed.oauth.get("oauth_timestamp", "")
    now = keystone.clock.now()
    if not stamp.isdecimal() or abs(int(stamp[:12]) - now) > CLOCK_SKEW_S:
        raise Unauthorized("Timestamp given is invalid, differ from allowed by over 600 seconds.")
    parts = (signed.oauth.get(n, "") for n in ("oauth_consumer_key", "oauth_token", "oauth_nonce"))
    nonce_id = hashlib.sha256("\n".join((*parts, stamp)).encode()).hexdigest()

    def once(tx: Tx) -> None:
        tx.run(N.delete().where(N.c.seen_at < now - 2 * CLOCK_SKEW_S))
        tx.run(N.insert().values(id=nonce_id, seen_at=now))

    try:
        await keystone.db.write(once)
    except Conflict as why:
        raise Unauthorized("Nonce was used before.") from why


async def _consumer_secret(keystone: Keystone, consumer_id: str) -> str:
    consumer = await nouns.look(keystone, nouns.consumers, consumer_id)
    if consumer is None:
        raise Unauthorized("Provided consumer does not exist.")
    return consumer.secret


async def request_token(
    keystone: Keystone, request: SignedRequest, project_id: str
) -> RequestToken:
    """Store and return what a consumer lets its user agree to.

    Raises: BadRequest, Unauthorized, NotFound (the project or the consumer).
    """
    signed = _parsed(request, "oauth_consumer_key")
    if not project_id:
        raise BadRequest("Expecting to find Requested-Project-Id in request.")
    await nouns.find(keystone, nouns.projects, project_id)
    consumer = await nouns.find(keystone, nouns.consumers, signed.oauth["oauth_consumer_key"])
    await _check(keystone, signed, consumer.secret, "")
    lasts = keystone.config.request_token_duration
    made = RequestToken(
        id=secrets.token_hex(16),
        secret=secrets.token_hex(16),
        consumer_id=consumer.id,
        project_id=project_id,
        verifier="",
        user_id="",
        roles=[],
        expires_at=keystone.clock.now() + lasts if lasts else None,
    )

    def write(tx: Tx) -> None:
        stores.request_tokens.delete(tx, R.expires_at < keystone.clock.now())
        stores.request_tokens.insert(tx, made)

    await keystone.db.write(write)
    return made


async def authorize(
    keystone: Keystone, token_id: str, user_id: str, role_refs: list[dict[str, str]]
) -> str:
    """Agree to a request token with some of one's roles; return the verifier.

    Raises: NotFound, Unauthorized (expired; a role that the user has not).
    """

    now = keystone.clock.now()

    def write(tx: Tx) -> str:
        token = stores.request_tokens.get(tx, token_id)
        if token is None:
            raise NotFound(f"Could not find Request Token: {token_id}.")
        _alive(keystone, token.expires_at, "Request token is expired")
        wanted = _role_ids(tx, role_refs)
        said = identity.said_groups(keystone, tx, user_id, now)
        held = role_graph(tx).expand(role_ids_on_project(tx, user_id, token.project_id, said))
        if not wanted or not set(wanted) <= {role.id for role in held}:
            raise Unauthorized("authorizing user does not have role required")
        verifier = "".join(secrets.choice(VERIFIER_CHARS) for _ in range(VERIFIER_LENGTH))
        agreed = replace(token, user_id=user_id, roles=wanted, verifier=verifier)
        stores.request_tokens.update(tx, agreed)
        return verifier

    return await keystone.db.write(write)


def _role_ids(tx: Tx, refs: list[dict[str, str]]) -> list[str]:
    c = tables.roles.c
    found = []
    for ref in refs:
        name = ref.get("name", "")
        role = (
            nouns.roles.must(tx, ref["id"])
            if ref.get("id")
            else stores.roles.first(tx, c.name == name, c.domain_id == "")
        )
        if role is None:
            raise nouns.roles.missing(name)
        found.append(role.id)
    return found


def _alive(keystone: Keystone, expires_at: float | None, words: str) -> None:
    if expires_at is not None and expires_at <= keystone.clock.now():
        raise Unauthorized(words)


async def access_token(keystone: Keystone, request: SignedRequest) -> AccessToken:
    """Exchange a request token that the user agreed to; it can be used once.

    Raises: BadRequest, Unauthorized, NotFound.
    """
    signed = _parsed(request, "oauth_consumer_key", "oauth_token", "oauth_verifier")
    oauth = signed.oauth
    asked = await keystone.db.read(stores.request_tokens.get, oauth["oauth_token"])
    if asked is None:
        raise NotFound(f"Could not find Request Token: {oauth['oauth_token']}.")
    _alive(keystone, asked.expires_at, "Request token is expired")
    secret = await _consumer_secret(keystone, oauth["oauth_consumer_key"])
    if asked.consumer_id != oauth["oauth_consumer_key"]:
        raise Unauthorized("Provided consumer key does not match stored consumer key.")
    await _check(keystone, signed, secret, asked.secret)
    verifier = oauth["oauth_verifier"].encode()
    if not asked.verifier or not hmac.compare_digest(asked.verifier.encode(), verifier):
        raise Unauthorized("Provided verifier does not match stored verifier")
    lasts = keystone.config.access_token_duration
    made = AccessToken(
        id=secrets.token_hex(16),
        secret=secrets.token_hex(16),
        consumer_id=asked.consumer_id,
        project_id=asked.project_id,
        user_id=asked.user_id,
        roles=asked.roles,
        expires_at=keystone.clock.now() + lasts if lasts else None,
    )

    def write(tx: Tx) -> None:
        if not stores.request_tokens.delete(tx, R.id == asked.id):
            raise Unauthorized("Request token was used before.")
        stores.access_tokens.insert(tx, made)

    await keystone.change(write)
    return made


async def check_access(keystone: Keystone, request: SignedRequest) -> AccessToken:
    """Return the access token that `request` is signed with. Raises: Unauthorized, BadRequest."""
    signed = _parsed(request, "oauth_consumer_key", "oauth_token")
    found = await keystone.db.read(stores.access_tokens.get, signed.oauth["oauth_token"])
    if found is None or found.consumer_id != signed.oauth["oauth_consumer_key"]:
        raise refusal("unknown access token")
    _alive(keystone, found.expires_at, "Access token is expired")
    secret = await _consumer_secret(keystone, found.consumer_id)
    await _check(keystone, signed, secret, found.secret)
    return found


async def delete_consumer(keystone: Keystone, consumer_id: str) -> None:
    """Delete a consumer with all its tokens, which end at once. Raises: NotFound."""

    def write(tx: Tx) -> None:
        nouns.consumers.must(tx, consumer_id)
        stores.request_tokens.delete(tx, R.consumer_id == consumer_id)
        stores.access_tokens.delete(tx, A.consumer_id == consumer_id)
        stores.consumers.delete(tx, tables.consumers.c.id == consumer_id)
        revocation.record(keystone, tx, CONSUMER, consumer_id)

    await keystone.change(write)


async def of_user(keystone: Keystone, user_id: str) -> list[AccessToken]:
    """Return the access tokens by which others act as this user."""
    return await keystone.db.read(stores.access_tokens.all, A.user_id == user_id)


async def of_user_one(keystone: Keystone, user_id: str, token_id: str) -> AccessToken:
    """Return one of a user's access tokens. Raises: NotFound."""
    found = await keystone.db.read(stores.access_tokens.get, token_id)
    if found is None or found.user_id != user_id:
        raise NotFound(f"Could not find Access Token: {token_id}.")
    return found


async def delete(keystone: Keystone, user_id: str, token_id: str) -> None:
    """Take an access token back; what came of it ends at once. Raises: NotFound."""
    await of_user_one(keystone, user_id, token_id)

    def write(tx: Tx) -> None:
        stores.access_tokens.delete(tx, A.id == token_id)
        revocation.record(keystone, tx, ACCESS_TOKEN, token_id)

    await keystone.change(write)

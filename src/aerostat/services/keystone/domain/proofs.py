"""The ways to prove who one is: each method that is named must prove the same user."""

from msgspec import Struct

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Forbidden, Unauthorized
from aerostat.services.keystone.db import actors, stores, tables
from aerostat.services.keystone.domain import identity, oauth1, passwords, revocation, secrets
from aerostat.services.keystone.domain.tokens import Resolved, is_active, look_up, refusal
from aerostat.services.keystone.model import tokens
from aerostat.services.keystone.model.auth import (
    ApplicationCredentialProof,
    AuthRequest,
    SecretProof,
    UserRef,
)
from aerostat.services.keystone.model.secrets import AccessToken, ApplicationCredential
from aerostat.services.keystone.model.totp import passcodes
from aerostat.services.keystone.runtime import Keystone


class Federated(Struct, frozen=True):
    """The identity provider that vouches for somebody, and the groups it names."""

    idp_id: str
    protocol_id: str
    group_ids: tuple[str, ...]


class Proven(Struct, frozen=True):
    """Who it is, and what the proof itself limits."""

    user: actors.UserRecord
    methods: tuple[str, ...]
    origin: Resolved | None = None
    credential: ApplicationCredential | None = None
    access_token: AccessToken | None = None
    federated: Federated | None = None


async def prove(keystone: Keystone, request: AuthRequest) -> Proven:
    """Return whom all the named methods prove.

    Raises: Unauthorized (always the same words), NotFound (a token that is worth nothing),
    Forbidden (one that may not be exchanged), BadRequest (a method without its proof).
    """
    found = [await _one(keystone, method, request) for method in dict.fromkeys(request.methods)]
    if not found:
        raise refusal("no method")
    first = found[0]
    if len(found) == 1:
        return first
    if any(p.user.user.id != first.user.user.id for p in found):
        raise refusal("methods prove different users")
    return Proven(
        first.user,
        tuple(dict.fromkeys(m for p in found for m in p.methods)),
        next((p.origin for p in found if p.origin), None),
        next((p.credential for p in found if p.credential), None),
        next((p.access_token for p in found if p.access_token), None),
        next((p.federated for p in found if p.federated), None),
    )


async def _one(keystone: Keystone, method: str, request: AuthRequest) -> Proven:
    if method not in keystone.config.methods or method not in METHODS:
        raise Unauthorized("Attempted to authenticate with an unsupported method.")
    if not getattr(request, method):
        raise BadRequest(
            f"Expecting to find {method} in identity. The server could not comply with the "
            "request since it is either malformed or otherwise incorrect. The client is assumed "
            "to be in error.",
            field=method,
        )
    await revocation.refresh(keystone)
    return await METHODS[method](keystone, request)


async def _by_password(keystone: Keystone, request: AuthRequest) -> Proven:
    proof = request.password
    assert proof is not None
    record = await find_user(keystone, proof.user)
    right = await _right_password(keystone, record, proof)
    if record is not None and right is False:
        raise WrongPassword()
    if record is None or not right:
        raise refusal("unknown user, or locked out")
    check_active(keystone, record)
    if passwords.expired(keystone, record.user):
        raise Unauthorized(
            f"The password is expired and needs to be changed for user: {record.user.id}."
        )
    await passwords.succeeded(keystone, record.user)
    return Proven(record, ("password",))


class WrongPassword(Unauthorized):
    """The password is not the user's; clients are told the same as always."""

    def __init__(self) -> None:
        super().__init__(refusal("").message, detail="wrong password")


async def _right_password(
    keystone: Keystone, record: actors.UserRecord | None, proof: SecretProof
) -> bool | None:
    """Return whether the password is right; None: it does not matter, nobody may come in.

    Who is locked out learns nothing, not even by how long it takes. Source: CVE-2021-38155.
    """
    if record is None:
        await keystone.hasher.verify(proof.secret, "")
        return None
    locked = await passwords.locked_out(keystone, record.user)
    right = await identity.check_password(keystone, record.user, proof.secret)
    if locked:
        return None
    if not right:
        await passwords.failed(keystone, record.user)
        return False
    return None if await passwords.locked_out(keystone, record.user) else True


def check_active(keystone: Keystone, record: actors.UserRecord) -> None:
    """Raises: Unauthorized, unless the user and its domain are enabled."""
    if not (record.domain.enabled and is_active(keystone, record.user)):
        raise refusal("user or domain is disabled")


async def _by_totp(keystone: Keystone, request: AuthRequest) -> Proven:
    proof = request.totp
    assert proof is not None
    record = await find_user(keystone, proof.user)
    if record is None or await passwords.locked_out(keystone, record.user):
        raise refusal("unknown user, or locked out")
    c = tables.credentials.c
    mine = (c.user_id == record.user.id, c.type == "totp")
    sealed = await keystone.db.read(stores.credentials.all, *mine)
    windows = keystone.config.totp_included_previous_windows
    seeds = [secrets.unsealed(keystone, credential).blob for credential in sealed]
    now = keystone.clock.now()
    if not any(proof.secret in passcodes(seed, now, windows) for seed in seeds):
        await passwords.failed(keystone, record.user)
        raise refusal("wrong passcode")
    if await passwords.locked_out(keystone, record.user):
        raise refusal("locked out")
    check_active(keystone, record)
    return Proven(record, ("totp",))


async def _by_token(keystone: Keystone, request: AuthRequest) -> Proven:
    return await _exchange(keystone, request, "token")


async def _by_mapped(keystone: Keystone, request: AuthRequest) -> Proven:
    return await _exchange(keystone, request, "mapped")


async def _by_saml2(keystone: Keystone, request: AuthRequest) -> Proven:
    return await _exchange(keystone, request, "saml2")


async def _by_openid(keystone: Keystone, request: AuthRequest) -> Proven:
    return await _exchange(keystone, request, "openid")


async def _exchange(keystone: Keystone, request: AuthRequest, method: str) -> Proven:
    origin = await look_up(keystone, getattr(request, method))
    if method != "token" and not origin.token.idp_id:
        raise refusal("not a federated token")
    if origin.trust is not None:
        raise _not_exchanged("Using trust-scoped token to create another token.")
    if origin.access_token is not None:
        raise _not_exchanged("Using OAuth-scoped token to create another token.")
    scoped = origin.token.scope != tokens.UNSCOPED
    if scoped and not keystone.config.allow_rescope_scoped_token:
        raise _not_exchanged("rescope a scoped token")
    if origin.token.scope == tokens.SYSTEM and request.scope.kind in (
        tokens.PROJECT,
        tokens.DOMAIN,
    ):
        raise _not_exchanged("Using a system-scoped token to create a project-scoped token.")
    methods = tuple(dict.fromkeys((*origin.token.methods, method)))
    federated = None
    if origin.token.idp_id:
        token = origin.token
        await keystone.db.read(_still_mapped, token)
        federated = Federated(token.idp_id, token.protocol_id, token.group_ids)
    return Proven(origin.user, methods, origin, origin.application_credential, federated=federated)


def _still_mapped(tx: Tx, token: tokens.Token) -> None:
    """Raises: Unauthorized, if the mapping or a group behind a federated token is gone."""
    protocol = stores.federation_protocols.get(tx, token.idp_id, token.protocol_id)
    mapping = stores.mappings.get(tx, protocol.mapping_id) if protocol else None
    groups = stores.groups.among(tx, token.group_ids)
    if mapping is None or len(groups) != len(set(token.group_ids)):
        raise refusal("the mapping or a group of the federated token is gone")


def _not_exchanged(why: str) -> Forbidden:
    return Forbidden(f"You are not authorized to perform the requested action: {why}")


async def _by_credential(keystone: Keystone, request: AuthRequest) -> Proven:
    proof = request.application_credential
    assert proof is not None
    return await by_secret(keystone, await _credential(keystone, proof), proof.secret)


async def by_secret(
    keystone: Keystone, credential: ApplicationCredential | None, secret: str
) -> Proven:
    """Return whom the secret of an application credential proves. Raises: Unauthorized."""
    hashed = credential.secret_hash if credential else ""
    right = await keystone.hasher.verify(secrets.whole(secret), hashed)
    if credential is None or not right:
        raise refusal("unknown application credential or wrong secret")
    record = await identity.record(keystone, credential.user_id)
    if record is None:
        raise refusal("the user is gone")
    check_active(keystone, record)
    return Proven(record, ("application_credential",), None, credential)


async def _credential(
    keystone: Keystone, proof: ApplicationCredentialProof
) -> ApplicationCredential | None:
    if proof.id:
        return await keystone.db.read(stores.application_credentials.get, proof.id)
    record = await find_user(keystone, proof.user)
    if record is None:
        return None
    c = tables.application_credentials.c
    mine = (c.user_id == record.user.id, c.name == proof.name)
    return await keystone.db.read(stores.application_credentials.first, *mine)


async def _by_oauth1(keystone: Keystone, request: AuthRequest) -> Proven:
    assert request.oauth1 is not None
    access = await oauth1.check_access(keystone, request.oauth1)
    record = await identity.record(keystone, access.user_id)
    if record is None:
        raise refusal("the user is gone")
    check_active(keystone, record)
    return Proven(record, ("oauth1",), access_token=access)


async def find_user(keystone: Keystone, ref: UserRef) -> actors.UserRecord | None:
    """Return the user that `ref` means."""
    if ref.id:
        return await identity.record(keystone, ref.id)
    return await identity.named(keystone, ref.name, ref.domain_id, ref.domain_name)


METHODS = {
    "password": _by_password,
    "totp": _by_totp,
    "token": _by_token,
    "application_credential": _by_credential,
    "oauth1": _by_oauth1,
    "mapped": _by_mapped,
    "saml2": _by_saml2,
    "openid": _by_openid,
}

"""How a token is written: Fernet (encrypted) or JWS (signed, readable by its holder)."""

from typing import Any, Protocol

import msgspec

from aerostat.services.keystone.jws import Signer
from aerostat.services.keystone.keyring import Keyring
from aerostat.services.keystone.model import tokens
from aerostat.services.keystone.model.tokens import Token


class TokenFormat(Protocol):
    """Writes and reads tokens; the keys are its own."""

    def write(self, token: Token) -> str: ...

    def read(self, text: str) -> Token:
        """Return the token, whose times are not looked at. Raises: ValueError."""
        ...

    def rotate(self) -> None:
        """Sign with the next key; what earlier keys made stays good for some rotations."""
        ...


class FernetTokens:
    """Short and opaque."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def write(self, token: Token) -> str:
        return self._keyring.encrypt(tokens.pack(token))

    def read(self, text: str) -> Token:
        return tokens.unpack(self._keyring.decrypt(text))

    def rotate(self) -> None:
        self._keyring.rotate()


class JwsTokens:
    """JSON web tokens; claims as upstream names them. Source: keystone, "JWS tokens"."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def write(self, token: Token) -> str:
        return self._signer.sign(msgspec.json.encode(_claims(token)))

    def read(self, text: str) -> Token:
        try:
            return _token(msgspec.json.decode(self._signer.verify(text)))
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as why:
            raise ValueError("not a token") from why

    def rotate(self) -> None:
        self._signer.rotate()


_CLAIMS = (
    ("openstack_trust_id", "trust_id"),
    ("openstack_app_cred_id", "application_credential_id"),
    ("openstack_access_token_id", "access_token_id"),
    ("openstack_idp_id", "idp_id"),
    ("openstack_protocol_id", "protocol_id"),
    ("openstack_thumbprint", "thumbprint"),
)


def _claims(token: Token) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "sub": token.user_id,
        "iat": token.issued_at,
        "exp": token.expires_at,
        "openstack_methods": token.methods,
        "openstack_audit_ids": token.audit_ids,
    }
    if token.scope == tokens.SYSTEM:
        claims["openstack_system"] = "all"
    elif token.scope != tokens.UNSCOPED:
        claims[f"openstack_{token.scope}_id"] = token.scope_id
    claims.update((claim, v) for claim, name in _CLAIMS if (v := getattr(token, name)))
    if token.group_ids:
        claims["openstack_group_ids"] = token.group_ids
    return claims


def _token(claims: dict[str, Any]) -> Token:
    scope, scope_id = tokens.UNSCOPED, ""
    if "openstack_system" in claims:
        scope, scope_id = tokens.SYSTEM, tokens.SYSTEM_TARGET
    for kind in (tokens.PROJECT, tokens.DOMAIN):
        if f"openstack_{kind}_id" in claims:
            scope, scope_id = kind, claims[f"openstack_{kind}_id"]
    return Token(
        user_id=claims["sub"],
        methods=tuple(claims["openstack_methods"]),
        scope=scope,
        scope_id=scope_id,
        expires_at=claims["exp"],
        issued_at=claims["iat"],
        audit_ids=tuple(claims["openstack_audit_ids"]),
        group_ids=tuple(claims.get("openstack_group_ids", ())),
        **{name: claims.get(claim, "") for claim, name in _CLAIMS},
    )

"""What a token says, and its bytes: as short as they get, since every request carries them."""

from typing import Any

import msgspec
from msgspec import Struct

METHODS = (
    "password",
    "token",
    "application_credential",
    "trust",
    "totp",
    "external",
    "oauth1",
    "mapped",
    "ec2credential",
    "oauth2_credential",
    "saml2",
    "openid",
)
"""The place in this list is in every token: new ones go to its end."""

SIGNED = "ec2credential"
"""How whoever signed an EC2 or S3 request came in."""

_BIT = {method: 1 << i for i, method in enumerate(METHODS)}

UNSCOPED, PROJECT, DOMAIN, SYSTEM = "unscoped", "project", "domain", "system"
SCOPES = (UNSCOPED, PROJECT, DOMAIN, SYSTEM)
SYSTEM_TARGET = "system"
LAYOUT = 1
"""Version of the payload's layout; a reader refuses others."""


class Token(Struct, frozen=True):
    """A token's payload. Times are seconds since the epoch; `audit_ids` are own and first.

    `group_ids` are those that the identity provider said the user is in.
    `thumbprint` is that of the only certificate with which the token counts.
    """

    user_id: str
    methods: tuple[str, ...]
    scope: str
    scope_id: str
    expires_at: int
    issued_at: float
    audit_ids: tuple[str, ...]
    application_credential_id: str = ""
    trust_id: str = ""
    access_token_id: str = ""
    idp_id: str = ""
    protocol_id: str = ""
    group_ids: tuple[str, ...] = ()
    thumbprint: str = ""


class _Payload(Struct, frozen=True, array_like=True):
    """On the wire; ids are 16 bytes where they are UUIDs, text otherwise."""

    layout: int
    user: Any
    methods: int
    scope: int
    scope_id: Any
    expires_at: int
    issued_us: int
    audit_ids: tuple[str, ...]
    application_credential: Any = b""
    trust: Any = b""
    access_token: Any = b""
    idp_id: str = ""
    protocol_id: str = ""
    groups: tuple[Any, ...] = ()
    thumbprint: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Payload).decode


def pack(token: Token) -> bytes:
    """Return the payload of `token`."""
    return _encode(
        _Payload(
            LAYOUT,
            _short(token.user_id),
            sum(map(_BIT.__getitem__, token.methods)),
            SCOPES.index(token.scope),
            _short(token.scope_id),
            token.expires_at,
            round(token.issued_at * 1_000_000),
            token.audit_ids,
            _short(token.application_credential_id),
            _short(token.trust_id),
            _short(token.access_token_id),
            token.idp_id,
            token.protocol_id,
            tuple(map(_short, token.group_ids)),
            token.thumbprint,
        )
    )


def unpack(raw: bytes) -> Token:
    """Return the token whose payload is `raw`. Raises: ValueError."""
    try:
        p = _decode(raw)
    except msgspec.MsgspecError as why:
        raise ValueError("not a token payload") from why
    if p.layout != LAYOUT or p.scope >= len(SCOPES):
        raise ValueError("unknown token layout")
    return Token(
        _long(p.user),
        tuple(m for i, m in enumerate(METHODS) if p.methods >> i & 1),
        SCOPES[p.scope],
        _long(p.scope_id),
        p.expires_at,
        p.issued_us / 1_000_000,
        p.audit_ids,
        _long(p.application_credential),
        _long(p.trust),
        _long(p.access_token),
        p.idp_id,
        p.protocol_id,
        tuple(map(_long, p.groups)),
        p.thumbprint,
    )


def _short(text: str) -> bytes | str:
    if len(text) == 32:
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            return text
        return raw if raw.hex() == text else text
    return text


def _long(value: bytes | str) -> str:
    return value.hex() if isinstance(value, bytes) else value

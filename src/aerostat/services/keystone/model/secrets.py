"""What users act with instead of their password: credentials, application credentials, trusts."""

from typing import Any

from msgspec import Struct


class Credential(Struct, frozen=True):
    """An opaque secret of a user; `blob` is encrypted where it rests, `key_hash` names the key."""

    id: str
    user_id: str
    project_id: str
    type: str
    blob: str
    extra: dict[str, Any]
    key_hash: str = ""


class ApplicationCredential(Struct, frozen=True):
    """A right to act as a user in one project with some of the user's roles."""

    id: str
    name: str
    user_id: str
    project_id: str
    secret_hash: str
    description: str
    roles: list[str]
    expires_at: float | None
    unrestricted: bool
    access_rules: list[str]


class AccessRule(Struct, frozen=True):
    """A request that an application credential may make."""

    id: str
    user_id: str
    service: str
    method: str
    path: str


class Trust(Struct, frozen=True):
    """A user's right given to another one, for one project or for none."""

    id: str
    trustor_user_id: str
    trustee_user_id: str
    project_id: str
    impersonation: bool
    roles: list[str]
    expires_at: float | None
    remaining_uses: int | None
    redelegated_trust_id: str
    redelegation_count: int
    deleted_at: float | None
    extra: dict[str, Any]


class Consumer(Struct, frozen=True):
    """An OAuth1 consumer. Source: OS-OAUTH1."""

    id: str
    description: str
    secret: str
    extra: dict[str, Any]


class RequestToken(Struct, frozen=True):
    """What a consumer has before and after the user agreed. Source: OS-OAUTH1, RFC 5849."""

    id: str
    secret: str
    consumer_id: str
    project_id: str
    verifier: str
    user_id: str
    roles: list[str]
    expires_at: float | None


class AccessToken(Struct, frozen=True):
    """A consumer's right to act as a user in one project with some roles. Source: OS-OAUTH1."""

    id: str
    secret: str
    consumer_id: str
    project_id: str
    user_id: str
    roles: list[str]
    expires_at: float | None

"""Federation: whom this cloud trusts to say who somebody is, and to whom it says so itself.

Times are seconds since the epoch.
"""

from collections.abc import Mapping as ReadOnly
from typing import Any

from msgspec import Struct


class IdentityProvider(Struct, frozen=True):
    """A provider of identities. `authorization_ttl`: minutes that groups of its users last."""

    id: str
    domain_id: str
    enabled: bool
    description: str | None
    authorization_ttl: int | None


class RemoteId(Struct, frozen=True):
    """What an identity provider calls itself: an entity id or an issuer."""

    remote_id: str
    idp_id: str


class FederationProtocol(Struct, frozen=True):
    """A way in which an identity provider speaks, and the mapping of what it says."""

    idp_id: str
    id: str
    mapping_id: str
    remote_id_attribute: str | None


class Mapping(Struct, frozen=True):
    """Rules that make users, groups and projects of attributes."""

    id: str
    rules: list[dict[str, Any]]
    schema_version: str


class ServiceProvider(Struct, frozen=True):
    """Another cloud that lets our users in."""

    id: str
    auth_url: str
    sp_url: str
    enabled: bool
    description: str | None
    relay_state_prefix: str


class FederatedUser(Struct, frozen=True):
    """What an identity provider calls one of our users, and what it last said as a name."""

    idp_id: str
    protocol_id: str
    unique_id: str
    user_id: str
    display_name: str


class ExpiringMembership(Struct, frozen=True):
    """A group that an identity provider said a user is in, when it last did."""

    user_id: str
    group_id: str
    idp_id: str
    last_verified: float


class PendingLogin(Struct, frozen=True):
    """A login that waits for what its identity provider answers."""

    id: str
    idp_id: str
    protocol_id: str
    data: dict[str, str]
    expires_at: float


class SeenAssertion(Struct, frozen=True):
    """An assertion that let somebody in, and must not do so again."""

    id: str
    expires_at: float


class FederatedSession(Struct, frozen=True):
    """A login that led to the tokens of an audit chain, until the last of them expires.

    `subject` and `session` are hashes of what the provider calls the user and its own session.
    """

    chain_id: str
    idp_id: str
    protocol_id: str
    subject: str
    session: str
    expires_at: float


class Assertion(Struct, frozen=True):
    """What an identity provider said, verified: its own name, and attributes with their values.

    `remote_id` is what must be among the provider's remote ids, if it has any. `subject` and
    `session` are what the provider will say when it ends the session, if it ever does.
    """

    remote_id: str
    attributes: ReadOnly[str, tuple[str, ...]]
    subject: str = ""
    session: str = ""

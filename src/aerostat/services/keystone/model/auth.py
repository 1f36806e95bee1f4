"""What somebody offers to be let in, and what they want to do then."""

from collections.abc import Mapping

from msgspec import Struct


class UserRef(Struct, frozen=True):
    """A user by id, or by name with a domain by id or name."""

    id: str = ""
    name: str = ""
    domain_id: str = ""
    domain_name: str = ""


class SecretProof(Struct, frozen=True):
    """A user and the password, or the passcode of this half minute."""

    user: UserRef
    secret: str


class ApplicationCredentialProof(Struct, frozen=True):
    """An application credential by id, or by name with its user, and its secret."""

    id: str
    name: str
    user: UserRef
    secret: str


class SignedRequest(Struct, frozen=True):
    """An HTTP request as its client signed it. Source: RFC 5849."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: tuple[tuple[str, str], ...] = ()


class ScopeRequest(Struct, frozen=True):
    """The scope that is asked for; `kind` "" leaves it to keystone.

    A project or domain comes by id, or by name (a project's with its domain).
    """

    kind: str = ""
    id: str = ""
    name: str = ""
    domain_id: str = ""
    domain_name: str = ""


class AuthRequest(Struct, frozen=True):
    """All of an authentication request; a method that is named has its proof.

    `mapped`, `saml2` and `openid` are federated tokens that are exchanged.
    `receipt` stands for what was proven in an earlier request; `signed` is this request.
    """

    methods: tuple[str, ...]
    scope: ScopeRequest
    password: SecretProof | None = None
    totp: SecretProof | None = None
    token: str = ""
    application_credential: ApplicationCredentialProof | None = None
    oauth1: SignedRequest | None = None
    mapped: str = ""
    saml2: str = ""
    openid: str = ""
    receipt: str = ""

"""What somebody offers to be let in, and what they want to do then."""

from msgspec import Struct


class UserRef(Struct, frozen=True):
    """A user by id, or by name with a domain by id or name."""

    id: str = ""
    name: str = ""
    domain_id: str = ""
    domain_name: str = ""


class PasswordProof(Struct, frozen=True):
    """A user and the password."""

    user: UserRef
    password: str


class ApplicationCredentialProof(Struct, frozen=True):
    """An application credential by id, or by name with its user, and its secret."""

    id: str
    name: str
    user: UserRef
    secret: str


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
    """All of an authentication request; a method that is named has its proof."""

    methods: tuple[str, ...]
    scope: ScopeRequest
    password: PasswordProof | None = None
    token: str = ""
    application_credential: ApplicationCredentialProof | None = None

"""The body of an authentication request."""

from typing import Any

from msgspec import field

from aerostat.kit.http.schema import Body, Open


class DomainRef(Body):
    id: str = ""
    name: str = ""


class PasswordUser(Open, kw_only=True):
    password: str
    id: str = ""
    name: str = ""
    domain: DomainRef | None = None


class Password(Body):
    user: PasswordUser


class TokenId(Body):
    id: str


class CredentialUser(Body):
    id: str = ""
    name: str = ""
    domain: DomainRef | None = None


class ApplicationCredential(Body):
    secret: str
    id: str = ""
    name: str = ""
    user: CredentialUser | None = None


class Identity(Open, kw_only=True):
    methods: list[str]
    password: Password | None = None
    token: TokenId | None = None
    application_credential: ApplicationCredential | None = None


class ProjectRef(Body):
    id: str = ""
    name: str = ""
    domain: DomainRef | None = None


class TrustRef(Body):
    id: str


class Scope(Body):
    project: ProjectRef | None = None
    domain: DomainRef | None = None
    system: dict[str, Any] | None = None
    trust: TrustRef | None = field(default=None, name="OS-TRUST:trust")
    unscoped: dict[str, Any] | None = None


class Auth(Open, kw_only=True):
    identity: Identity
    scope: Scope | str | None = None


class AuthPost(Body):
    auth: Auth

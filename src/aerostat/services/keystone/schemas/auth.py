"""The body of an authentication request."""

from typing import Annotated, Any

from msgspec import Meta, field

from aerostat.kit.http.schema import Body, Loose, Open


class DomainRef(Body):
    id: str = ""
    name: str = ""


class PasswordUser(Loose):
    password: str
    id: str = ""
    name: str = ""
    domain: DomainRef | None = None


class Password(Body):
    user: PasswordUser


class TotpUser(Loose):
    passcode: str
    id: str = ""
    name: str = ""
    domain: DomainRef | None = None


class Totp(Body):
    user: TotpUser


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


class Identity(Loose):
    methods: list[str]
    password: Password | None = None
    token: TokenId | None = None
    application_credential: ApplicationCredential | None = None
    totp: Totp | None = None
    oauth1: dict[str, Any] | None = None
    mapped: TokenId | None = None
    saml2: TokenId | None = None
    openid: TokenId | None = None


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


class Auth(Loose):
    identity: Identity
    scope: Scope | str | None = None


class AuthPost(Body):
    auth: Auth


class SignedPost(Open, kw_only=True):
    """A request to EC2 or S3 as it was signed; the names are what upstream's clients send."""

    credentials: dict[str, Any] | None = None
    credential: dict[str, Any] | None = None
    ec2_credentials: dict[str, Any] | None = field(default=None, name="ec2Credentials")


class RoleOfToken(Body):
    id: str = ""
    name: str = ""


class RequestTokenPut(Body):
    roles: Annotated[list[RoleOfToken], Meta(min_length=1)]

"""Bodies about credentials, application credentials, trusts, consumers and limits."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, field

from aerostat.kit.http.schema import Body, Open
from aerostat.services.keystone.schemas.fields import ID, NAME_255, Maybe

Count = Annotated[int, Meta(ge=-1, le=0x7FFFFFFF)]
Resource = Annotated[str, Meta(min_length=1, max_length=255)]


class CredentialNew(Open, kw_only=True):
    blob: str
    type: NAME_255
    user_id: ID | None = None
    project_id: ID | None = None


class CredentialChanges(Open, kw_only=True):
    blob: str | Maybe = UNSET
    type: NAME_255 | Maybe = UNSET
    user_id: ID | Maybe = UNSET
    project_id: ID | Maybe | None = UNSET


class CredentialCreate(Body):
    credential: CredentialNew


class CredentialUpdate(Body):
    credential: CredentialChanges


class Ec2Create(Body):
    tenant_id: ID


class RoleRef(Body):
    id: ID = ""
    name: str = ""
    domain_id: str | None = None
    domain: dict[str, Any] | None = None


class AccessRuleNew(Body):
    id: ID | None = None
    path: Annotated[str, Meta(max_length=128, pattern=r"^/")] = ""
    method: Literal["", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = ""
    service: str = ""


class ApplicationCredentialNew(Body):
    name: NAME_255
    description: str | None = None
    secret: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    roles: list[RoleRef] | None = None
    expires_at: str | None = None
    unrestricted: bool | None = None
    access_rules: list[AccessRuleNew] = field(default_factory=list)
    project_id: str | None = None


class ApplicationCredentialCreate(Body):
    application_credential: ApplicationCredentialNew


class TrustNew(Open, kw_only=True):
    trustor_user_id: ID
    trustee_user_id: ID
    impersonation: bool
    project_id: ID | None = None
    roles: list[RoleRef] = field(default_factory=list)
    expires_at: str | None = None
    remaining_uses: Annotated[int, Meta(ge=1)] | None = None
    allow_redelegation: bool = False
    redelegation_count: Annotated[int, Meta(ge=0)] | None = None


class TrustCreate(Body):
    trust: TrustNew


class ConsumerNew(Open, kw_only=True):
    description: str | None = None


class ConsumerChanges(Open, kw_only=True):
    description: str | Maybe | None = UNSET


class ConsumerCreate(Body):
    consumer: ConsumerNew


class ConsumerUpdate(Body):
    consumer: ConsumerChanges


class RegisteredLimitNew(Body):
    service_id: ID
    resource_name: Resource
    default_limit: Count
    region_id: str | None = None
    description: str | None = None


class RegisteredLimitChanges(Body):
    service_id: ID | Maybe = UNSET
    resource_name: Resource | Maybe = UNSET
    default_limit: Count | Maybe = UNSET
    region_id: str | Maybe | None = UNSET
    description: str | Maybe | None = UNSET


class RegisteredLimitsCreate(Body):
    registered_limits: Annotated[list[RegisteredLimitNew], Meta(min_length=1)]


class RegisteredLimitUpdate(Body):
    registered_limit: RegisteredLimitChanges


class LimitNew(Body):
    service_id: ID
    resource_name: Resource
    resource_limit: Count
    project_id: ID | None = None
    domain_id: ID | None = None
    region_id: str | None = None
    description: str | None = None


class LimitChanges(Body):
    resource_limit: Count | Maybe = UNSET
    description: str | Maybe | None = UNSET


class LimitsCreate(Body):
    limits: Annotated[list[LimitNew], Meta(min_length=1)]


class LimitUpdate(Body):
    limit: LimitChanges

"""Bodies about identity providers, protocols, mappings and service providers."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, field

from aerostat.kit.http.schema import Body, Open
from aerostat.services.keystone.schemas.fields import ID, URL, Maybe

RemoteName = Annotated[str, Meta(min_length=1, max_length=255)]
Minutes = Annotated[int, Meta(ge=0, le=2_147_483_647)]
AttributeName = Annotated[str, Meta(max_length=255)]
MappingId = Annotated[str, Meta(min_length=1, max_length=64)]
Prefix = Annotated[str, Meta(max_length=255)]


class IdentityProviderNew(Body):
    enabled: bool = False
    description: str | None = None
    authorization_ttl: Minutes | None = None
    remote_ids: list[RemoteName] | None = None
    domain_id: ID | None = None


class IdentityProviderChanges(Body):
    enabled: bool | Maybe = UNSET
    description: str | Maybe | None = UNSET
    authorization_ttl: Minutes | Maybe | None = UNSET
    remote_ids: list[RemoteName] | Maybe | None = UNSET


class IdentityProviderCreate(Body):
    identity_provider: IdentityProviderNew = field(default_factory=IdentityProviderNew)


class IdentityProviderUpdate(Body):
    identity_provider: IdentityProviderChanges


class ProtocolNew(Body):
    mapping_id: MappingId
    remote_id_attribute: AttributeName | None = None


class ProtocolChanges(Body):
    mapping_id: MappingId | Maybe = UNSET
    remote_id_attribute: AttributeName | Maybe | None = UNSET


class ProtocolCreate(Body):
    protocol: ProtocolNew


class ProtocolUpdate(Body):
    protocol: ProtocolChanges


class MappingBody(Open, kw_only=True):
    rules: list[dict[str, Any]]
    schema_version: str | None = None


class MappingPut(Body):
    mapping: MappingBody


class ServiceProviderNew(Body):
    auth_url: URL
    sp_url: URL
    enabled: bool = False
    description: str | None = None
    relay_state_prefix: Prefix | None = None


class ServiceProviderChanges(Body):
    auth_url: URL | Maybe = UNSET
    sp_url: URL | Maybe = UNSET
    enabled: bool | Maybe = UNSET
    description: str | Maybe | None = UNSET
    relay_state_prefix: Prefix | Maybe | None = UNSET


class ServiceProviderCreate(Body):
    service_provider: ServiceProviderNew


class ServiceProviderUpdate(Body):
    service_provider: ServiceProviderChanges


class TokenRef(Body):
    id: str


class SamlIdentity(Body):
    token: TokenRef
    methods: list[str] | Maybe = UNSET


class ServiceProviderRef(Body):
    id: str


class SamlScope(Body):
    service_provider: ServiceProviderRef


class SamlAuth(Body):
    identity: SamlIdentity
    scope: SamlScope


class SamlPost(Body):
    auth: SamlAuth

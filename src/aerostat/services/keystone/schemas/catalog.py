"""Bodies about regions, services, endpoints, their groups, and policy documents."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta

from aerostat.kit.http.schema import Body, Open
from aerostat.services.keystone.schemas.fields import ID, NAME_255, URL, Maybe

Interface = Literal["admin", "internal", "public"]
RegionId = Annotated[str, Meta(max_length=255)]


class RegionNew(Open, kw_only=True):
    id: RegionId | None = None
    description: str | None = None
    parent_region_id: RegionId | None = None


class RegionChanges(Open, kw_only=True):
    description: str | Maybe | None = UNSET
    parent_region_id: RegionId | Maybe | None = UNSET


class RegionCreate(Body):
    region: RegionNew


class RegionUpdate(Body):
    region: RegionChanges


class ServiceNew(Open, kw_only=True):
    type: NAME_255
    name: RegionId | None = None
    description: str | None = None
    enabled: bool = True


class ServiceChanges(Open, kw_only=True):
    type: NAME_255 | Maybe = UNSET
    name: RegionId | Maybe = UNSET
    description: str | Maybe | None = UNSET
    enabled: bool | Maybe = UNSET


class ServiceCreate(Body):
    service: ServiceNew


class ServiceUpdate(Body):
    service: ServiceChanges


class EndpointNew(Open, kw_only=True):
    service_id: ID
    interface: Interface
    url: URL
    region_id: str | None = None
    region: str | None = None
    enabled: bool = True


class EndpointChanges(Open, kw_only=True):
    service_id: ID | Maybe = UNSET
    interface: Interface | Maybe = UNSET
    url: URL | Maybe = UNSET
    region_id: str | Maybe | None = UNSET
    region: str | Maybe | None = UNSET
    enabled: bool | Maybe = UNSET


class EndpointCreate(Body):
    endpoint: EndpointNew


class EndpointUpdate(Body):
    endpoint: EndpointChanges


class EndpointGroupNew(Body):
    name: NAME_255
    filters: dict[Literal["interface", "service_id", "region_id", "enabled"], Any]
    description: str | None = None


class EndpointGroupChanges(Body):
    name: NAME_255 | Maybe = UNSET
    filters: dict[Literal["interface", "service_id", "region_id", "enabled"], Any] | Maybe = UNSET
    description: str | Maybe | None = UNSET


class EndpointGroupCreate(Body):
    endpoint_group: EndpointGroupNew


class EndpointGroupUpdate(Body):
    endpoint_group: EndpointGroupChanges


class PolicyNew(Open, kw_only=True):
    blob: str | dict[str, Any]
    type: NAME_255


class PolicyChanges(Open, kw_only=True):
    blob: str | dict[str, Any] | Maybe = UNSET
    type: NAME_255 | Maybe = UNSET


class PolicyCreate(Body):
    policy: PolicyNew


class PolicyUpdate(Body):
    policy: PolicyChanges

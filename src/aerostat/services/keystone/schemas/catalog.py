"""Bodies about regions, services, endpoints, their groups, and policy documents."""

from typing import Any, Literal

from msgspec import UNSET

from aerostat.kit.http.schema import Body, Open, text
from aerostat.services.keystone.schemas.fields import ID, NAME_255, URL, Maybe

Interface = Literal["admin", "internal", "public"]
RegionId = text(0, 255)


class RegionNew(Open, frozen=True, kw_only=True):
    id: RegionId | None = None  # type: ignore[valid-type]
    description: str | None = None
    parent_region_id: RegionId | None = None  # type: ignore[valid-type]


class RegionChanges(Open, frozen=True, kw_only=True):
    description: str | None | Maybe = UNSET
    parent_region_id: RegionId | None | Maybe = UNSET  # type: ignore[valid-type]


class RegionCreate(Body):
    region: RegionNew


class RegionUpdate(Body):
    region: RegionChanges


class ServiceNew(Open, frozen=True, kw_only=True):
    type: NAME_255  # type: ignore[valid-type]
    name: text(0, 255) | None = None  # type: ignore[valid-type]
    description: str | None = None
    enabled: bool = True


class ServiceChanges(Open, frozen=True, kw_only=True):
    type: NAME_255 | Maybe = UNSET  # type: ignore[valid-type]
    name: text(0, 255) | Maybe = UNSET  # type: ignore[valid-type]
    description: str | None | Maybe = UNSET
    enabled: bool | Maybe = UNSET


class ServiceCreate(Body):
    service: ServiceNew


class ServiceUpdate(Body):
    service: ServiceChanges


class EndpointNew(Open, frozen=True, kw_only=True):
    service_id: ID
    interface: Interface
    url: URL
    region_id: str | None = None
    region: str | None = None
    enabled: bool = True


class EndpointChanges(Open, frozen=True, kw_only=True):
    service_id: ID | Maybe = UNSET
    interface: Interface | Maybe = UNSET
    url: URL | Maybe = UNSET
    region_id: str | None | Maybe = UNSET
    region: str | None | Maybe = UNSET
    enabled: bool | Maybe = UNSET


class EndpointCreate(Body):
    endpoint: EndpointNew


class EndpointUpdate(Body):
    endpoint: EndpointChanges


class EndpointGroupNew(Body):
    name: NAME_255  # type: ignore[valid-type]
    filters: dict[Literal["interface", "service_id", "region_id", "enabled"], Any]
    description: str | None = None


class EndpointGroupChanges(Body):
    name: NAME_255 | Maybe = UNSET  # type: ignore[valid-type]
    filters: dict[Literal["interface", "service_id", "region_id", "enabled"], Any] | Maybe = UNSET
    description: str | None | Maybe = UNSET


class EndpointGroupCreate(Body):
    endpoint_group: EndpointGroupNew


class EndpointGroupUpdate(Body):
    endpoint_group: EndpointGroupChanges


class PolicyNew(Open, frozen=True, kw_only=True):
    blob: str | dict[str, Any]
    type: NAME_255  # type: ignore[valid-type]


class PolicyChanges(Open, frozen=True, kw_only=True):
    blob: str | dict[str, Any] | Maybe = UNSET
    type: NAME_255 | Maybe = UNSET  # type: ignore[valid-type]


class PolicyCreate(Body):
    policy: PolicyNew


class PolicyUpdate(Body):
    policy: PolicyChanges

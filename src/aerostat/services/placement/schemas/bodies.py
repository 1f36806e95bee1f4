"""Bodies of placement's API. Source: placement api-ref."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from aerostat.kit.http.schema import Body, since
from aerostat.services.placement.model.provider import MAX_INT

Uuid = Annotated[
    str, Meta(pattern="^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$", max_length=36)
]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Class = Annotated[str, Meta(pattern="^[A-Z0-9_]+$", min_length=1, max_length=255)]
CustomClass = Annotated[str, Meta(pattern="^CUSTOM_[A-Z0-9_]+$", max_length=255)]
Trait = Annotated[str, Meta(pattern="^[A-Z0-9_]+$", min_length=1, max_length=255)]
Count = Annotated[int, Meta(ge=0, le=MAX_INT)]
Positive = Annotated[int, Meta(ge=1, le=MAX_INT)]
Ratio = Annotated[float, Meta(gt=0, le=3.40282e38)]
Amount = Annotated[int, Meta(ge=1, le=MAX_INT)]
Owner = Annotated[str, Meta(min_length=1, max_length=255)]
ConsumerType = Annotated[
    str, Meta(pattern="^[A-Z0-9_]+$", min_length=1, max_length=255), since("1.38")
]


class ProviderCreate(Body):
    """POST /resource_providers."""

    name: Name
    uuid: Uuid | None = None
    parent_provider_uuid: Annotated[Uuid | None, since("1.14")] = None


class ProviderUpdate(Body):
    """PUT /resource_providers/{uuid}."""

    name: Name
    parent_provider_uuid: Annotated[Uuid | UnsetType | None, since("1.14")] = UNSET


class InventoryBody(Body):
    """One inventory. Defaults are upstream's."""

    total: Positive
    reserved: Count = 0
    min_unit: Positive = 1
    max_unit: Positive = MAX_INT
    step_size: Positive = 1
    allocation_ratio: Ratio = 1.0


class Inventories(Body):
    """PUT /resource_providers/{uuid}/inventories."""

    resource_provider_generation: int
    inventories: dict[Class, InventoryBody]


class InventoryCreate(InventoryBody, kw_only=True):
    """POST /resource_providers/{uuid}/inventories."""

    resource_class: Class


class InventoryUpdate(InventoryBody, kw_only=True):
    """PUT /resource_providers/{uuid}/inventories/{resource_class}."""

    resource_provider_generation: int


class Aggregates(Body):
    """PUT /resource_providers/{uuid}/aggregates."""

    aggregates: list[Uuid]
    resource_provider_generation: int | None = None


class ProviderTraits(Body):
    """PUT /resource_providers/{uuid}/traits."""

    resource_provider_generation: int
    traits: list[Trait]


class Holding(Body):
    """What is held of one provider."""

    resources: Annotated[dict[Class, Amount], Meta(min_length=1)]
    generation: int | None = None


class Allocations(Body, kw_only=True):
    """PUT /allocations/{consumer_uuid}, and one consumer of POST /allocations."""

    allocations: dict[Uuid, Holding]
    project_id: Owner = "unknown"
    user_id: Owner = "unknown"
    consumer_generation: Annotated[int | None, since("1.28")]
    consumer_type: ConsumerType | None = None
    mappings: dict[str, list[Uuid]] | None = None


class ClassCreate(Body):
    """POST /resource_classes."""

    name: CustomClass


class ReshapedInventory(Body):
    """The inventories of one provider in POST /reshaper."""

    resource_provider_generation: int
    inventories: dict[Class, InventoryBody]


class Reshape(Body):
    """POST /reshaper."""

    inventories: dict[Uuid, ReshapedInventory]
    allocations: dict[Uuid, Allocations]

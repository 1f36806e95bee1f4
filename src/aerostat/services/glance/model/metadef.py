"""The metadata definition catalogue: what custom properties mean, grouped in namespaces."""

from typing import Any

from msgspec import Struct

RESOURCE_TYPES = (
    "OS::Cinder::Volume",
    "OS::Glance::Image",
    "OS::Neutron::Net",
    "OS::Nova::Aggregate",
    "OS::Nova::Flavor",
    "OS::Nova::Server",
    "OS::Trove::Instance",
)
"""Always known; an association may name others. Source: metadata definitions catalogue."""

OBJECTS, PROPERTIES, TAGS = "objects", "properties", "tags"
ASSOCIATIONS = "resource_type_associations"
KINDS = (OBJECTS, PROPERTIES, TAGS, ASSOCIATIONS)


class Namespace(Struct, frozen=True):
    """A group of definitions."""

    namespace: str
    display_name: str | None
    description: str | None
    visibility: str
    protected: bool
    owner: str | None
    created_at: float
    updated_at: float


class Item(Struct, frozen=True):
    """A definition in a namespace: `kind` is one of KINDS, `document` what the client gave."""

    namespace: str
    kind: str
    name: str
    document: dict[str, Any]
    created_at: float
    updated_at: float


class NamespaceListing(Struct, frozen=True):
    """Which namespaces to list; `order` holds sort keys and directions."""

    visibility: str | None
    types: list[str]
    order: tuple[list[str], list[str]]
    marker: str | None
    limit: int

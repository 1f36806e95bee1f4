"""Placement's tables."""

from sqlalchemy import (
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData()

providers = Table(
    "placement_resource_providers",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("generation", Integer, nullable=False, default=0),
    Column("parent_id", Integer, ForeignKey("placement_resource_providers.id")),
    Column("root_id", Integer),
    Column("updated_at", Double, nullable=False),
    Index("ix_placement_providers_root", "root_id"),
)

inventories = Table(
    "placement_inventories",
    metadata,
    Column(
        "provider_id",
        Integer,
        ForeignKey("placement_resource_providers.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("resource_class", String(255), primary_key=True),
    Column("total", Integer, nullable=False),
    Column("reserved", Integer, nullable=False),
    Column("min_unit", Integer, nullable=False),
    Column("max_unit", Integer, nullable=False),
    Column("step_size", Integer, nullable=False),
    Column("allocation_ratio", Double, nullable=False),
    Index("ix_placement_inventories_class", "resource_class"),
)

consumers = Table(
    "placement_consumers",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("project_id", String(255), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("consumer_type", String(255)),
    Column("generation", Integer, nullable=False),
    Column("updated_at", Double, nullable=False),
    Index("ix_placement_consumers_project", "project_id", "user_id"),
)

allocations = Table(
    "placement_allocations",
    metadata,
    Column(
        "consumer_uuid",
        String(36),
        ForeignKey("placement_consumers.uuid", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column(
        "provider_id",
        Integer,
        ForeignKey("placement_resource_providers.id"),
        primary_key=True,
    ),
    Column("resource_class", String(255), primary_key=True),
    Column("used", Integer, nullable=False),
    Index("ix_placement_allocations_provider", "provider_id", "resource_class", "used"),
)

traits = Table("placement_traits", metadata, Column("name", String(255), primary_key=True))

classes = Table(
    "placement_resource_classes", metadata, Column("name", String(255), primary_key=True)
)

provider_traits = Table(
    "placement_provider_traits",
    metadata,
    Column(
        "provider_id",
        Integer,
        ForeignKey("placement_resource_providers.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("trait", String(255), primary_key=True),
    Index("ix_placement_provider_traits", "trait"),
)

provider_aggregates = Table(
    "placement_provider_aggregates",
    metadata,
    Column(
        "provider_id",
        Integer,
        ForeignKey("placement_resource_providers.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("aggregate_uuid", String(36), primary_key=True),
    UniqueConstraint("aggregate_uuid", "provider_id"),
)

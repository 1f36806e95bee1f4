"""Glance's tables."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from aerostat.kit.db.columns import Json

metadata = MetaData()

images = Table(
    "glance_images",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255)),
    Column("status", String(30), nullable=False),
    Column("visibility", String(16), nullable=False),
    Column("owner", String(255)),
    Column("disk_format", String(20)),
    Column("container_format", String(20)),
    Column("size", BigInteger),
    Column("virtual_size", BigInteger),
    Column("checksum", String(32)),
    Column("hash_algo", String(64)),
    Column("hash_value", String(128)),
    Column("min_disk", Integer, nullable=False),
    Column("min_ram", Integer, nullable=False),
    Column("protected", Boolean, nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("properties", Json, nullable=False),
    Column("tags", Json, nullable=False),
    Column("locations", Json),
    Column("copies", Integer, nullable=False, server_default="0"),
    Column("lease", String(36)),
    Column("lease_until", Double),
    Index("ix_glance_images_created", "created_at", "id"),
    Index("ix_glance_images_owner", "owner", "created_at"),
    Index("ix_glance_images_visibility", "visibility", "created_at"),
)

_image = "glance_images.id"

tags = Table(
    "glance_image_tags",
    metadata,
    Column("image_id", String(36), ForeignKey(_image, ondelete="CASCADE"), primary_key=True),
    Column("value", String(255), primary_key=True),
    Index("ix_glance_image_tags_value", "value"),
)

properties = Table(
    "glance_image_properties",
    metadata,
    Column("image_id", String(36), ForeignKey(_image, ondelete="CASCADE"), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("value", Text),
    Index("ix_glance_image_properties_name", "name"),
)

members = Table(
    "glance_image_members",
    metadata,
    Column("image_id", String(36), ForeignKey(_image, ondelete="CASCADE"), primary_key=True),
    Column("member", String(255), primary_key=True),
    Column("status", String(20), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Index("ix_glance_image_members_member", "member", "status"),
)

garbage = Table(
    "glance_garbage",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("image_id", String(36), nullable=False),
    Column("store", String(64), nullable=False),
    Column("url", Text, nullable=False),
    Column("due_at", Double, nullable=False),
    Index("ix_glance_garbage_due", "due_at"),
    Index("ix_glance_garbage_image", "image_id"),
)

deleted_images = Table(
    "glance_deleted_images",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("deleted_at", Double, nullable=False),
)

cached_images = Table(
    "glance_cached_images",
    metadata,
    Column("node", String(255), primary_key=True),
    Column("image_id", String(36), primary_key=True),
    Index("ix_glance_cached_images", "image_id"),
)

tasks = Table(
    "glance_tasks",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("type", String(30), nullable=False),
    Column("status", String(30), nullable=False),
    Column("owner", String(255)),
    Column("image_id", String(36)),
    Column("request_id", String(64)),
    Column("user_id", String(64)),
    Column("input", Json, nullable=False),
    Column("result", Json),
    Column("message", Text),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("expires_at", Double),
    Index("ix_glance_tasks_image", "image_id"),
)

metadef_namespaces = Table(
    "glance_metadef_namespaces",
    metadata,
    Column("namespace", String(80), primary_key=True),
    Column("display_name", String(80)),
    Column("description", Text),
    Column("visibility", String(16), nullable=False),
    Column("protected", Boolean, nullable=False),
    Column("owner", String(255)),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Index("ix_glance_metadef_namespaces_created", "created_at"),
)

metadef_items = Table(
    "glance_metadef_items",
    metadata,
    Column(
        "namespace",
        String(80),
        ForeignKey("glance_metadef_namespaces.namespace", ondelete="CASCADE", onupdate="CASCADE"),
        primary_key=True,
    ),
    Column("kind", String(30), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("document", Json, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Index("ix_glance_metadef_items_kind", "kind", "name"),
)

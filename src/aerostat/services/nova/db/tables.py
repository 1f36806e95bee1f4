"""Nova's tables."""

from sqlalchemy import Boolean, Column, Double, Index, Integer, MetaData, String, Table, Text

from aerostat.kit.db.columns import Json
from aerostat.kit.saga.store import Store

metadata = MetaData()

servers = Table(
    "nova_instances",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("project_id", String(64), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("description", String(255)),
    Column("hostname", String(255), nullable=False),
    Column("vm_state", String(32), nullable=False),
    Column("task_state", String(32)),
    Column("power_state", String(16), nullable=False),
    Column("host", String(255)),
    Column("availability_zone", String(255)),
    Column("flavor_id", String(255), nullable=False),
    Column("vcpus", Integer, nullable=False),
    Column("ram_mib", Integer, nullable=False),
    Column("flavor", Json, nullable=False),
    Column("image_id", String(64)),
    Column("image", Json),
    Column("key_name", String(255)),
    Column("key_data", Text),
    Column("user_data", Text),
    Column("config_drive", Boolean, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("tags", Json, nullable=False),
    Column("locked", Boolean, nullable=False),
    Column("locked_reason", String(255)),
    Column("requested", Json, nullable=False),
    Column("fault", Json),
    Column("access_ip_v4", String(64)),
    Column("access_ip_v6", String(64)),
    Column("reservation_id", String(32), nullable=False),
    Column("launch_index", Integer, nullable=False),
    Column("group_id", String(36)),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("launched_at", Double),
    Column("terminated_at", Double),
    Column("deleted", Integer, nullable=False),
    Column("system_metadata", Json),
    Index("ix_nova_instances_project", "deleted", "project_id", "created_at", "id"),
    Index("ix_nova_instances_created", "deleted", "created_at", "id"),
    Index("ix_nova_instances_host", "deleted", "host"),
)

migrations = Table(
    "nova_migrations",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("instance_uuid", String(36), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("migration_type", String(32), nullable=False),
    Column("status", String(32), nullable=False),
    Column("source_compute", String(255), nullable=False),
    Column("dest_compute", String(255)),
    Column("old_vm_state", String(32), nullable=False),
    Column("old_flavor", Json, nullable=False),
    Column("new_flavor", Json, nullable=False),
    Column("stats", Json),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Index("ix_nova_migrations_server", "instance_uuid", "created_at", "id"),
    Index("ix_nova_migrations_source", "source_compute", "status"),
    Index("ix_nova_migrations_status", "status"),
    Index("ix_nova_migrations_created", "created_at", "id"),
)

flavors = Table(
    "nova_flavors",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("flavorid", String(255), nullable=False, unique=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("vcpus", Integer, nullable=False),
    Column("ram_mib", Integer, nullable=False),
    Column("root_gb", Integer, nullable=False),
    Column("ephemeral_gb", Integer, nullable=False),
    Column("swap_mib", Integer, nullable=False),
    Column("rxtx_factor", Double, nullable=False),
    Column("is_public", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("description", Text),
    Column("extra_specs", Json, nullable=False),
)

flavor_access = Table(
    "nova_flavor_access",
    metadata,
    Column("flavorid", String(255), primary_key=True),
    Column("project_id", String(64), primary_key=True),
)

keypairs = Table(
    "nova_keypairs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("user_id", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("type", String(8), nullable=False),
    Column("fingerprint", String(255), nullable=False),
    Column("public_key", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Index("ix_nova_keypairs_user", "user_id", "name", unique=True),
)

services = Table(
    "nova_services",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("host", String(255), nullable=False),
    Column("binary", String(64), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("disabled_reason", String(255)),
    Column("forced_down", Boolean, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Index("ix_nova_services_host", "host", "binary", unique=True),
)

hosts = Table(
    "nova_compute_nodes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("host", String(255), nullable=False, unique=True),
    Column("facts", Json, nullable=False),
    Column("updated_at", Double, nullable=False),
)

leftovers = Table(
    "nova_leftovers",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("server_uuid", String(36), primary_key=True),
    Column("created_at", Double, nullable=False),
    Index("ix_nova_leftovers_server", "server_uuid"),
)

aggregates = Table(
    "nova_aggregates",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("metadata", Json, nullable=False),
    Column("hosts", Json, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
)

server_groups = Table(
    "nova_server_groups",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("project_id", String(64), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("policy", String(32), nullable=False),
    Column("rules", Json, nullable=False),
    Index("ix_nova_server_groups_project", "project_id"),
)

quotas = Table(
    "nova_quotas",
    metadata,
    Column("owner", String(128), primary_key=True),
    Column("resource", String(64), primary_key=True),
    Column("hard_limit", Integer, nullable=False),
)

console_tokens = Table(
    "nova_console_tokens",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("server_uuid", String(36), nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("ix_nova_console_tokens_server", "server_uuid"),
)

sagas = Store(metadata, "nova")

"""Keystone's tables; columns stand in the order of the fields of the struct in model/."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from aerostat.kit.db.columns import Json

metadata = MetaData()


def _id(
    name: str = "id", size: int = 64, *, primary_key: bool = False, index: bool = False
) -> Column[str]:
    return Column(name, String(size), nullable=False, primary_key=primary_key, index=index)


def _json(name: str) -> Column[object]:
    return Column(name, Json, nullable=False)


projects = Table(
    "keystone_projects",
    metadata,
    _id(primary_key=True),
    Column("name", String(64), nullable=False),
    _id("domain_id"),
    _id("parent_id", index=True),
    Column("is_domain", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("description", Text, nullable=False),
    _json("tags"),
    _json("options"),
    _json("extra"),
    UniqueConstraint("domain_id", "name", name="uq_keystone_projects_name"),
)
users = Table(
    "keystone_users",
    metadata,
    _id(primary_key=True),
    Column("name", String(255), nullable=False),
    _id("domain_id"),
    Column("enabled", Boolean, nullable=False),
    _id("default_project_id"),
    Column("password_hash", String(255), nullable=False),
    Column("password_expires_at", Double),
    _json("options"),
    _json("extra"),
    Column("created_at", Double),
    Column("last_active_at", Double),
    UniqueConstraint("domain_id", "name", name="uq_keystone_users_name"),
)
passwords = Table(
    "keystone_passwords",
    metadata,
    _id(primary_key=True),
    _id("user_id", index=True),
    Column("password_hash", String(255), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("self_service", Boolean, nullable=False),
)
failures = Table(
    "keystone_login_failures",
    metadata,
    _id("user_id", primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_at", Double, nullable=False),
)
groups = Table(
    "keystone_groups",
    metadata,
    _id(primary_key=True),
    Column("name", String(64), nullable=False),
    _id("domain_id"),
    Column("description", Text, nullable=False),
    _json("extra"),
    UniqueConstraint("domain_id", "name", name="uq_keystone_groups_name"),
)
memberships = Table(
    "keystone_memberships",
    metadata,
    _id("user_id", primary_key=True),
    _id("group_id", primary_key=True, index=True),
)
roles = Table(
    "keystone_roles",
    metadata,
    _id(primary_key=True),
    Column("name", String(255), nullable=False),
    _id("domain_id"),
    Column("description", Text, nullable=False),
    _json("options"),
    _json("extra"),
    UniqueConstraint("domain_id", "name", name="uq_keystone_roles_name"),
)
implications = Table(
    "keystone_implied_roles",
    metadata,
    _id("prior_role_id", primary_key=True),
    _id("implied_role_id", primary_key=True),
)
assignments = Table(
    "keystone_assignments",
    metadata,
    _id("actor_kind", 8, primary_key=True),
    _id("actor_id", primary_key=True),
    _id("target_kind", 8, primary_key=True),
    _id("target_id", primary_key=True),
    _id("role_id", primary_key=True),
    Column("inherited", Boolean, primary_key=True, nullable=False),
    Index("ix_keystone_assignments_actor", "actor_id"),
    Index("ix_keystone_assignments_target", "target_id"),
    Index("ix_keystone_assignments_role", "role_id"),
)
regions = Table(
    "keystone_regions",
    metadata,
    _id(size=255, primary_key=True),
    Column("description", Text, nullable=False),
    _id("parent_region_id", 255, index=True),
    _json("extra"),
)
services = Table(
    "keystone_services",
    metadata,
    _id(primary_key=True),
    Column("type", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("description", Text, nullable=False),
    _json("extra"),
)
endpoints = Table(
    "keystone_endpoints",
    metadata,
    _id(primary_key=True),
    _id("service_id", index=True),
    _id("region_id", 255),
    _id("interface", 8),
    Column("url", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    _json("extra"),
)
endpoint_groups = Table(
    "keystone_endpoint_groups",
    metadata,
    _id(primary_key=True),
    Column("name", String(255), nullable=False),
    Column("description", Text, nullable=False),
    _json("filters"),
)
project_endpoints = Table(
    "keystone_project_endpoints",
    metadata,
    _id("project_id", primary_key=True),
    _id("endpoint_id", primary_key=True, index=True),
)
project_endpoint_groups = Table(
    "keystone_project_endpoint_groups",
    metadata,
    _id("project_id", primary_key=True),
    _id("endpoint_group_id", primary_key=True, index=True),
)
policies = Table(
    "keystone_policies",
    metadata,
    _id(primary_key=True),
    Column("type", String(255), nullable=False),
    _json("blob"),
    _json("extra"),
)
credentials = Table(
    "keystone_credentials",
    metadata,
    _id(primary_key=True),
    _id("user_id", index=True),
    _id("project_id"),
    Column("type", String(255), nullable=False),
    Column("blob", Text, nullable=False),
    _json("extra"),
    Column("key_hash", String(64), nullable=False, server_default=""),
)
application_credentials = Table(
    "keystone_application_credentials",
    metadata,
    _id(primary_key=True),
    Column("name", String(255), nullable=False),
    _id("user_id"),
    _id("project_id", index=True),
    Column("secret_hash", String(255), nullable=False),
    Column("description", Text, nullable=False),
    _json("roles"),
    Column("expires_at", Double),
    Column("unrestricted", Boolean, nullable=False),
    _json("access_rules"),
    UniqueConstraint("user_id", "name", name="uq_keystone_application_credentials_name"),
)
access_rules = Table(
    "keystone_access_rules",
    metadata,
    _id(primary_key=True),
    _id("user_id"),
    Column("service", String(64), nullable=False),
    Column("method", String(16), nullable=False),
    Column("path", String(128), nullable=False),
    UniqueConstraint("user_id", "service", "method", "path", name="uq_keystone_access_rules"),
)
trusts = Table(
    "keystone_trusts",
    metadata,
    _id(primary_key=True),
    _id("trustor_user_id", index=True),
    _id("trustee_user_id", index=True),
    _id("project_id", index=True),
    Column("impersonation", Boolean, nullable=False),
    _json("roles"),
    Column("expires_at", Double),
    Column("remaining_uses", Integer),
    _id("redelegated_trust_id", index=True),
    Column("redelegation_count", Integer, nullable=False),
    Column("deleted_at", Double),
    _json("extra"),
)
consumers = Table(
    "keystone_consumers",
    metadata,
    _id(primary_key=True),
    Column("description", Text, nullable=False),
    Column("secret", String(64), nullable=False),
    _json("extra"),
)
request_tokens = Table(
    "keystone_request_tokens",
    metadata,
    _id(primary_key=True),
    _id("secret"),
    _id("consumer_id", index=True),
    _id("project_id"),
    _id("verifier"),
    _id("user_id"),
    _json("roles"),
    Column("expires_at", Double),
)
access_tokens = Table(
    "keystone_access_tokens",
    metadata,
    _id(primary_key=True),
    _id("secret"),
    _id("consumer_id", index=True),
    _id("project_id", index=True),
    _id("user_id", index=True),
    _json("roles"),
    Column("expires_at", Double),
)
nonces = Table(
    "keystone_nonces",
    metadata,
    _id(primary_key=True),
    Column("seen_at", Double, nullable=False, index=True),
)
policy_associations = Table(
    "keystone_policy_associations",
    metadata,
    _id("endpoint_id", primary_key=True),
    _id("service_id", primary_key=True),
    _id("region_id", 255, primary_key=True),
    _id("policy_id", index=True),
)
registered_limits = Table(
    "keystone_registered_limits",
    metadata,
    _id(primary_key=True),
    _id("service_id"),
    _id("region_id", 255),
    Column("resource_name", String(255), nullable=False),
    Column("default_limit", BigInteger, nullable=False),
    Column("description", Text),
    UniqueConstraint("service_id", "region_id", "resource_name", name="uq_keystone_reg_limits"),
)
limits = Table(
    "keystone_limits",
    metadata,
    _id(primary_key=True),
    _id("project_id"),
    _id("domain_id"),
    _id("service_id"),
    _id("region_id", 255),
    Column("resource_name", String(255), nullable=False),
    Column("resource_limit", BigInteger, nullable=False),
    Column("description", Text),
    UniqueConstraint(
        "project_id",
        "domain_id",
        "service_id",
        "region_id",
        "resource_name",
        name="uq_keystone_limits",
    ),
)
domain_options = Table(
    "keystone_domain_options",
    metadata,
    _id("domain_id", primary_key=True),
    _id("option_group", 255, primary_key=True),
    _id("option", 255, primary_key=True),
    _json("value"),
)
id_mappings = Table(
    "keystone_id_mappings",
    metadata,
    _id("public_id", primary_key=True),
    _id("domain_id", index=True),
    _id("local_id", 255),
    _id("entity_type", 16),
)
identity_providers = Table(
    "keystone_identity_providers",
    metadata,
    _id(primary_key=True),
    _id("domain_id", index=True),
    Column("enabled", Boolean, nullable=False),
    Column("description", Text),
    Column("authorization_ttl", Integer),
)
remote_ids = Table(
    "keystone_remote_ids",
    metadata,
    _id("remote_id", 255, primary_key=True),
    _id("idp_id", index=True),
)
federation_protocols = Table(
    "keystone_federation_protocols",
    metadata,
    _id("idp_id", primary_key=True),
    _id(primary_key=True),
    _id("mapping_id"),
    Column("remote_id_attribute", String(255)),
)
mappings = Table(
    "keystone_mappings",
    metadata,
    _id(primary_key=True),
    _json("rules"),
    _id("schema_version", 8),
)
service_providers = Table(
    "keystone_service_providers",
    metadata,
    _id(primary_key=True),
    Column("auth_url", Text, nullable=False),
    Column("sp_url", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("description", Text),
    Column("relay_state_prefix", String(255), nullable=False),
)
federated_users = Table(
    "keystone_federated_users",
    metadata,
    _id("idp_id", primary_key=True),
    _id("protocol_id", primary_key=True),
    _id("unique_id", 255, primary_key=True),
    _id("user_id", index=True),
    Column("display_name", String(255), nullable=False),
)
expiring_memberships = Table(
    "keystone_expiring_memberships",
    metadata,
    _id("user_id", primary_key=True),
    _id("group_id", primary_key=True, index=True),
    _id("idp_id", primary_key=True, index=True),
    Column("last_verified", Double, nullable=False),
)
federation_requests = Table(
    "keystone_federation_requests",
    metadata,
    _id(primary_key=True),
    _id("idp_id"),
    _id("protocol_id"),
    _json("data"),
    Column("expires_at", Double, nullable=False, index=True),
)
federation_seen = Table(
    "keystone_federation_seen",
    metadata,
    _id(primary_key=True),
    Column("expires_at", Double, nullable=False, index=True),
)
federation_sessions = Table(
    "keystone_federation_sessions",
    metadata,
    _id("chain_id", primary_key=True),
    _id("idp_id"),
    _id("protocol_id"),
    _id("subject", index=True),
    _id("session", index=True),
    Column("expires_at", Double, nullable=False, index=True),
)
revocations = Table(
    "keystone_revocations",
    metadata,
    _id("kind", 16, primary_key=True),
    _id("key", primary_key=True),
    Column("issued_before", Double, nullable=False),
    Column("revoked_at", Double, nullable=False, index=True),
    Column("generation", BigInteger, nullable=False, server_default="0"),
)
generation = Table(
    "keystone_generation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
)

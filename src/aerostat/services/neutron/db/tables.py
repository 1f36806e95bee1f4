"""Neutron's tables. Times are seconds since the epoch; lists that nothing filters by are JSON."""

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    false,
)

from aerostat.kit.db.columns import Json

metadata = MetaData()

UUID, NAME, MAC, IP = String(36), String(255), String(32), String(64)


def _standard(*, described: bool = True) -> list[Column[Any]]:
    """Return the columns that every resource has. Source: api-ref, standard attributes."""
    columns: list[Column[Any]] = [
        Column("id", UUID, primary_key=True),
        Column("project_id", NAME, nullable=False, index=True),
        Column("name", NAME, nullable=False, default=""),
    ]
    if described:
        columns.append(Column("description", NAME, nullable=False, default=""))
    return [
        *columns,
        Column("revision_number", Integer, nullable=False, default=0),
        Column("created_at", Double, nullable=False),
        Column("updated_at", Double, nullable=False),
    ]


networks = Table(
    "neutron_networks",
    metadata,
    *_standard(),
    Column("admin_state_up", Boolean, nullable=False, default=True),
    Column("shared", Boolean, nullable=False, default=False),
    Column("external", Boolean, nullable=False, default=False),
    Column("restricted", Boolean, nullable=False, default=False, server_default=false()),
    Column("is_default", Boolean, nullable=False, default=False),
    Column("mtu", Integer, nullable=False),
    Column("port_security_enabled", Boolean, nullable=False, default=True),
    Column("dns_domain", NAME, nullable=False, default=""),
    Column("network_type", String(32), nullable=False),
    Column("physical_network", String(64)),
    Column("segmentation_id", Integer),
    Column("segment_key", NAME, unique=True),
    Column("dhcp_host", NAME, nullable=False, default="", server_default="", index=True),
    Column("availability_zone_hints", Json, nullable=False),
)

network_rbacs = Table(
    "neutron_network_rbacs",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("project_id", NAME, nullable=False, index=True),
    Column(
        "object_id", UUID, ForeignKey("neutron_networks.id", ondelete="CASCADE"), nullable=False
    ),
    Column("target_project", NAME, nullable=False),
    Column("action", String(32), nullable=False),
    UniqueConstraint("object_id", "action", "target_project", name="uq_neutron_network_rbacs"),
    Index("ix_neutron_network_rbacs_target", "target_project", "action", "object_id"),
)

subnets = Table(
    "neutron_subnets",
    metadata,
    *_standard(),
    Column("network_id", UUID, ForeignKey("neutron_networks.id"), nullable=False, index=True),
    Column("ip_version", Integer, nullable=False),
    Column("cidr", IP, nullable=False),
    Column("gateway_ip", IP),
    Column("enable_dhcp", Boolean, nullable=False, default=True),
    Column("ipv6_ra_mode", String(20)),
    Column("ipv6_address_mode", String(20)),
    Column("subnetpool_id", UUID, index=True),
    Column("allocation_pools", Json, nullable=False),
    Column("dns_nameservers", Json, nullable=False),
    Column("host_routes", Json, nullable=False),
    Column("service_types", Json, nullable=False),
    Column("dns_publish_fixed_ip", Boolean, nullable=False, default=False),
    Column("cursor", IP),
)

ports = Table(
    "neutron_ports",
    metadata,
    *_standard(),
    Column("network_id", UUID, ForeignKey("neutron_networks.id"), nullable=False, index=True),
    Column("mac_address", MAC, nullable=False, index=True),
    Column("admin_state_up", Boolean, nullable=False, default=True),
    Column("status", String(16), nullable=False, default="DOWN"),
    Column("device_id", NAME, nullable=False, default="", index=True),
    Column("device_owner", NAME, nullable=False, default=""),
    Column("host", NAME, nullable=False, default="", index=True),
    Column("vif_type", String(32), nullable=False, default="unbound"),
    Column("migrating_to", NAME, nullable=False, default="", server_default="", index=True),
    Column("vnic_type", String(32), nullable=False, default="normal"),
    Column("profile", Json, nullable=False),
    Column("port_security_enabled", Boolean, nullable=False, default=True),
    Column("propagate_uplink_status", Boolean, nullable=False, default=True),
    Column("allowed_address_pairs", Json, nullable=False),
    Column("extra_dhcp_opts", Json, nullable=False),
    Column("dns_name", NAME, nullable=False, default=""),
    Column("dns_domain", NAME, nullable=False, default=""),
    Column("adopted", Boolean, nullable=False, default=False),
    Column("tag", NAME),
    Column("place", Integer, nullable=False, default=0),
    UniqueConstraint("network_id", "mac_address", name="uq_neutron_ports_mac"),
    Index("ix_neutron_ports_owner", "network_id", "device_owner"),
    Index("ix_neutron_ports_hosts", "network_id", "host"),
)

addresses = Table(
    "neutron_ip_allocations",
    metadata,
    Column("subnet_id", UUID, ForeignKey("neutron_subnets.id"), primary_key=True),
    Column("ip_address", IP, primary_key=True),
    Column(
        "port_id",
        UUID,
        ForeignKey("neutron_ports.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("network_id", UUID, nullable=False),
    Column("place", Integer, nullable=False, default=0),
    Index("ix_neutron_ip_network", "network_id", "ip_address"),
)

groups = Table(
    "neutron_security_groups",
    metadata,
    *_standard(),
    Column("stateful", Boolean, nullable=False, default=True),
    Column("shared", Boolean, nullable=False, default=False),
    Column("default_of", NAME, unique=True),
)

rules = Table(
    "neutron_security_group_rules",
    metadata,
    *_standard(),
    Column(
        "security_group_id",
        UUID,
        ForeignKey("neutron_security_groups.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("direction", String(8), nullable=False),
    Column("ethertype", String(8), nullable=False),
    Column("protocol", String(40)),
    Column("port_range_min", Integer),
    Column("port_range_max", Integer),
    Column("remote_ip_prefix", IP),
    Column("remote_group_id", UUID, index=True),
)

port_groups = Table(
    "neutron_port_security_groups",
    metadata,
    Column("port_id", UUID, ForeignKey("neutron_ports.id", ondelete="CASCADE"), primary_key=True),
    Column("group_id", UUID, ForeignKey("neutron_security_groups.id"), primary_key=True),
    Index("ix_neutron_port_groups_group", "group_id", "port_id"),
)

routers = Table(
    "neutron_routers",
    metadata,
    *_standard(),
    Column("admin_state_up", Boolean, nullable=False, default=True),
    Column("status", String(16), nullable=False, default="ACTIVE"),
    Column("gw_port_id", UUID, index=True),
    Column("enable_snat", Boolean, nullable=False, default=True),
    Column("routes", Json, nullable=False),
    Column("host", NAME, nullable=False, default="", index=True),
    Column("availability_zone_hints", Json, nullable=False),
)

floatings = Table(
    "neutron_floatingips",
    metadata,
    *_standard(),
    Column("floating_network_id", UUID, nullable=False, index=True),
    Column("floating_ip_address", IP, nullable=False),
    Column("floating_port_id", UUID, nullable=False),
    Column("port_id", UUID, index=True),
    Column("fixed_ip_address", IP),
    Column("router_id", UUID, index=True),
    Column("status", String(16), nullable=False, default="DOWN"),
    Column("dns_name", NAME, nullable=False, default=""),
    Column("dns_domain", NAME, nullable=False, default=""),
    UniqueConstraint("port_id", "fixed_ip_address", name="uq_neutron_floatingips_fixed"),
)

subnetpools = Table(
    "neutron_subnetpools",
    metadata,
    *_standard(),
    Column("ip_version", Integer, nullable=False),
    Column("prefixes", Json, nullable=False),
    Column("default_prefixlen", Integer, nullable=False),
    Column("min_prefixlen", Integer, nullable=False),
    Column("max_prefixlen", Integer, nullable=False),
    Column("default_quota", Integer),
    Column("shared", Boolean, nullable=False, default=False),
    Column("is_default", Boolean, nullable=False, default=False),
    Column("address_scope_id", UUID),
)

address_scopes = Table(
    "neutron_address_scopes",
    metadata,
    *_standard(),
    Column("ip_version", Integer, nullable=False),
    Column("shared", Boolean, nullable=False, default=False),
)

metering_labels = Table(
    "neutron_metering_labels",
    metadata,
    *_standard(),
    Column("shared", Boolean, nullable=False, default=False),
)

metering_rules = Table(
    "neutron_metering_label_rules",
    metadata,
    *_standard(),
    Column(
        "metering_label_id",
        UUID,
        ForeignKey("neutron_metering_labels.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("direction", String(8), nullable=False),
    Column("remote_ip_prefix", IP),
    Column("source_ip_prefix", IP),
    Column("destination_ip_prefix", IP),
    Column("excluded", Boolean, nullable=False, default=False),
)

auto_topologies = Table(
    "neutron_auto_topologies",
    metadata,
    Column("project_id", NAME, primary_key=True),
    Column(
        "network_id",
        UUID,
        ForeignKey("neutron_networks.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("router_id", UUID, ForeignKey("neutron_routers.id", ondelete="SET NULL"), index=True),
)

tags = Table(
    "neutron_tags",
    metadata,
    Column("resource_id", UUID, primary_key=True),
    Column("tag", NAME, primary_key=True),
    Index("ix_neutron_tags_tag", "tag", "resource_id"),
)

quotas = Table(
    "neutron_quotas",
    metadata,
    Column("project_id", NAME, primary_key=True),
    Column("resource", String(64), primary_key=True),
    Column("limit", Integer, nullable=False),
)

agents = Table(
    "neutron_agents",
    metadata,
    Column("id", UUID, primary_key=True),
    Column("host", NAME, nullable=False),
    Column("agent_type", NAME, nullable=False),
    Column("binary", NAME, nullable=False),
    Column("topic", NAME, nullable=False),
    Column("availability_zone", NAME),
    Column("admin_state_up", Boolean, nullable=False, default=True),
    Column("description", NAME),
    Column("configurations", Json, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("heartbeat", Double, nullable=False),
    UniqueConstraint("host", "agent_type", name="uq_neutron_agents_host"),
)

revision = Table(
    "neutron_revision",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("value", Integer, nullable=False),
)

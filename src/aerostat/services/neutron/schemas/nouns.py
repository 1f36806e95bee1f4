"""The attributes of every resource, with upstream's defaults. Source: networking api-ref v2."""

from aerostat.services.neutron.schemas.attributes import REQUIRED, Attr, Schema, schema
from aerostat.services.neutron.schemas.checks import (
    anything,
    boolean,
    cidr,
    dns_name,
    document,
    integer,
    ip,
    ip_or_cidr,
    list_of,
    mac,
    no_control,
    one_of,
    option_name,
    optional,
    prefix,
    remote_prefix,
    struct,
    text,
    uuid,
)

OWNER = Attr("project_id", text(), put=False)
NAME = Attr("name", text(), "")
DESCRIPTION = Attr("description", text(), "")
STANDARD = (OWNER, NAME, DESCRIPTION)
ADMIN_STATE = Attr("admin_state_up", boolean, True)
ZONES = Attr("availability_zone_hints", list_of(text(255)), list, put=False)

V6_MODES = one_of("dhcpv6-stateful", "dhcpv6-stateless", "slaac")
POOL = struct({"start": ip, "end": ip})
ROUTE = struct({"destination": cidr, "nexthop": ip})
FIXED_IP = struct({}, {"subnet_id": optional(uuid), "ip_address": ip})
PAIR = struct({"ip_address": ip_or_cidr}, {"mac_address": optional(mac)})
DHCP_OPTION = struct(
    {"opt_name": option_name},
    {"opt_value": optional(no_control(text(255))), "ip_version": integer(4, 6)},
)
GATEWAY = struct(
    {"network_id": uuid},
    {"enable_snat": boolean, "external_fixed_ips": list_of(FIXED_IP), "qos_policy_id": anything},
)


def _gateway(value: object) -> object:
    return GATEWAY(value) if value else None


NETWORK: Schema = schema(
    "network",
    "networks",
    *STANDARD,
    ADMIN_STATE,
    Attr("shared", boolean, False),
    Attr("router:external", boolean, False),
    Attr("is_default", boolean, False),
    Attr("mtu", integer(0, 65535), 0),
    Attr("port_security_enabled", boolean, True),
    Attr("dns_domain", dns_name, ""),
    Attr("provider:network_type", one_of("local", "flat", "vxlan", "vlan", "gre", "geneve")),
    Attr("provider:physical_network", optional(text(64))),
    Attr("provider:segmentation_id", optional(integer())),
    Attr("vlan_transparent", anything, put=False),
    ZONES,
)

RBAC: Schema = schema(
    "rbac_policy",
    "rbac_policies",
    OWNER,
    Attr("object_type", text(), REQUIRED, put=False),
    Attr("object_id", uuid, REQUIRED, put=False),
    Attr("action", text(), REQUIRED, put=False),
    Attr("target_tenant", text(), REQUIRED),
)

SUBNET: Schema = schema(
    "subnet",
    "subnets",
    *STANDARD,
    Attr("network_id", uuid, REQUIRED, put=False),
    Attr("ip_version", one_of(4, 6, "4", "6"), put=False),
    Attr("cidr", optional(cidr), None, put=False),
    Attr("prefixlen", integer(0, 128), put=False),
    Attr("subnetpool_id", optional(text(36)), None, put=False),
    Attr("use_default_subnetpool", boolean, False, put=False),
    Attr("gateway_ip", optional(ip)),
    Attr("enable_dhcp", boolean, True),
    Attr("ipv6_ra_mode", optional(V6_MODES), None, put=False),
    Attr("ipv6_address_mode", optional(V6_MODES), None, put=False),
    Attr("allocation_pools", list_of(POOL)),
    Attr("dns_nameservers", list_of(ip), list),
    Attr("host_routes", list_of(ROUTE), list),
    Attr("service_types", list_of(text(255)), list),
    Attr("dns_publish_fixed_ip", boolean, False),
    Attr("segment_id", optional(uuid), None),
)

PORT: Schema = schema(
    "port",
    "ports",
    *STANDARD,
    Attr("network_id", uuid, REQUIRED, put=False),
    ADMIN_STATE,
    Attr("mac_address", optional(mac)),
    Attr("fixed_ips", list_of(FIXED_IP)),
    Attr("device_id", no_control(text()), ""),
    Attr("device_owner", text(), ""),
    Attr("security_groups", list_of(uuid)),
    Attr("port_security_enabled", boolean),
    Attr("allowed_address_pairs", list_of(PAIR), list),
    Attr("extra_dhcp_opts", list_of(DHCP_OPTION), list),
    Attr("binding:host_id", optional(text()), ""),
    Attr(
        "binding:vnic_type",
        one_of(
            "normal",
            "direct",
            "macvtap",
            "baremetal",
            "direct-physical",
            "virtio-forwarder",
            "smart-nic",
            "vdpa",
            "accelerator-direct",
            "accelerator-direct-physical",
            "remote-managed",
        ),
        "normal",
    ),
    Attr("binding:profile", document, dict),
    Attr("dns_name", dns_name, ""),
    Attr("dns_domain", dns_name, ""),
    Attr("propagate_uplink_status", boolean, True),
)

GROUP: Schema = schema(
    "security_group", "security_groups", *STANDARD, Attr("stateful", boolean, True)
)


def _protocol(value: object) -> str | None:
    return None if value is None or str(value).lower() in ("any", "") else str(value).lower()


def _port(value: object) -> int:
    try:
        return int(integer(-1, 65535)(value))
    except ValueError as why:
        raise ValueError(f"Invalid value for port {value}") from why


RULE: Schema = schema(
    "security_group_rule",
    "security_group_rules",
    OWNER,
    DESCRIPTION,
    Attr("security_group_id", uuid, REQUIRED, put=False),
    Attr("direction", one_of("ingress", "egress"), REQUIRED, put=False),
    Attr("ethertype", one_of("IPv4", "IPv6", "ipv4", "ipv6", None), "IPv4", put=False),
    Attr("protocol", _protocol, None, put=False),
    Attr("port_range_min", optional(_port), None, put=False),
    Attr("port_range_max", optional(_port), None, put=False),
    Attr("remote_ip_prefix", optional(remote_prefix), None, put=False),
    Attr("remote_group_id", optional(text()), None, put=False),
    Attr("remote_address_group_id", one_of(None), None, put=False),
)

ROUTER: Schema = schema(
    "router",
    "routers",
    *STANDARD,
    ADMIN_STATE,
    Attr("external_gateway_info", _gateway),
    Attr("routes", list_of(ROUTE), post=False),
    Attr("distributed", boolean, False),
    Attr("ha", boolean, False),
    Attr("flavor_id", optional(text()), None, put=False),
    ZONES,
)

FLOATING: Schema = schema(
    "floatingip",
    "floatingips",
    OWNER,
    DESCRIPTION,
    Attr("floating_network_id", uuid, REQUIRED, put=False),
    Attr("floating_ip_address", optional(ip), None, put=False),
    Attr("subnet_id", optional(uuid), None, put=False),
    Attr("port_id", optional(uuid)),
    Attr("fixed_ip_address", optional(ip)),
    Attr("dns_name", dns_name, "", put=False),
    Attr("dns_domain", dns_name, "", put=False),
)

SUBNETPOOL: Schema = schema(
    "subnetpool",
    "subnetpools",
    *STANDARD,
    Attr("prefixes", list_of(cidr), REQUIRED),
    Attr("default_prefixlen", integer(0, 128)),
    Attr("min_prefixlen", integer(0, 128)),
    Attr("max_prefixlen", integer(0, 128)),
    Attr("default_quota", optional(integer(0, 2147483647)), None),
    Attr("shared", boolean, False, put=False),
    Attr("is_default", boolean, False),
    Attr("address_scope_id", optional(uuid), None),
)

ADDRESS_SCOPE: Schema = schema(
    "address_scope",
    "address_scopes",
    OWNER,
    NAME,
    Attr("ip_version", one_of(4, 6), REQUIRED, put=False),
    Attr("shared", boolean, False),
)

METERING_LABEL: Schema = schema(
    "metering_label", "metering_labels", *STANDARD, Attr("shared", boolean, False)
)

METERING_RULE: Schema = schema(
    "metering_label_rule",
    "metering_label_rules",
    OWNER,
    Attr("metering_label_id", uuid, REQUIRED, put=False),
    Attr("direction", one_of("ingress", "egress"), "ingress", put=False),
    Attr("excluded", boolean, False, put=False),
    Attr("remote_ip_prefix", optional(prefix), None, put=False),
    Attr("source_ip_prefix", optional(prefix), None, put=False),
    Attr("destination_ip_prefix", optional(prefix), None, put=False),
)

"""Neutron's policy rules with upstream's names and defaults.

Source: neutron documentation, "Policy Reference" (secure RBAC). `network:project_id` in a target
is the owner of the network that the resource is on.
"""

from aerostat.kit.http.policy import (
    ADMIN,
    ANYONE,
    PROJECT_MEMBER,
    PROJECT_MEMBER_OR_ADMIN,
    PROJECT_READER_OR_ADMIN,
    Rule,
)

SHARED = "True:%(shared)s"
EXTERNAL = "True:%(router:external)s"
NET_OWNER_MEMBER = "role:member and project_id:%(network:project_id)s"
NET_OWNER_READER = "role:reader and project_id:%(network:project_id)s"
ADMIN_OR_NET_OWNER_MEMBER = f"rule:context_is_admin or ({NET_OWNER_MEMBER})"
ADMIN_OR_NET_OWNER_READER = f"rule:context_is_admin or ({NET_OWNER_READER})"
SERVICE = "role:service"
ADMIN_OR_SERVICE = f"{ADMIN} or {SERVICE}"
MEMBER = f"{PROJECT_MEMBER_OR_ADMIN} or {SERVICE}"
READER = f"{PROJECT_READER_OR_ADMIN} or {SERVICE}"
NOT_EVERYBODY = f"{ADMIN} or not '*':%(target_tenant)s"
NETWORK_DEVICE = Rule(
    "network_device", "True:%(is_network_device)s", "Ports that neutron itself serves."
)

PROVIDER = (
    "provider:network_type",
    "provider:physical_network",
    "provider:segmentation_id",
)


def _crud(noun: str, read: str = READER, write: str = MEMBER) -> list[Rule]:
    return [
        Rule(f"create_{noun}", write),
        Rule(f"get_{noun}", read),
        Rule(f"update_{noun}", write),
        Rule(f"delete_{noun}", write),
    ]


def _attrs(verbs: str, noun: str, names: tuple[str, ...], check: str) -> list[Rule]:
    return [Rule(f"{v}_{noun}:{name}", check) for v in verbs.split() for name in names]


NETWORKS = [
    *_crud("network", f"{READER} or {SHARED} or {EXTERNAL}"),
    *_attrs("create update", "network", ("shared", "router:external", "is_default"), ADMIN),
    *_attrs("create update get", "network", PROVIDER, ADMIN),
    *_attrs("create update", "network", ("port_security_enabled",), PROJECT_MEMBER_OR_ADMIN),
    *_attrs("create update get", "network", ("segments",), ADMIN),
]

SUBNETS = [
    Rule("create_subnet", ADMIN_OR_NET_OWNER_MEMBER),
    Rule("get_subnet", f"{READER} or {SHARED} or ({NET_OWNER_READER})"),
    Rule("update_subnet", f"{ADMIN_OR_NET_OWNER_MEMBER} or ({PROJECT_MEMBER})"),
    Rule("delete_subnet", f"{ADMIN_OR_NET_OWNER_MEMBER} or ({PROJECT_MEMBER})"),
    *_attrs("create update", "subnet", ("service_types",), ADMIN),
    *_attrs("create update get", "subnet", ("segment_id",), ADMIN),
]

PORTS = [
    Rule("create_port", MEMBER),
    Rule("get_port", f"{READER} or ({NET_OWNER_READER})"),
    Rule("update_port", MEMBER),
    Rule("delete_port", f"{MEMBER} or ({NET_OWNER_MEMBER})"),
    *_attrs(
        "create update",
        "port",
        ("device_owner",),
        f"not rule:network_device or {ADMIN_OR_SERVICE} or ({NET_OWNER_MEMBER})",
    ),
    *_attrs(
        "create update",
        "port",
        ("mac_address",),
        f"{ADMIN_OR_SERVICE} or ({NET_OWNER_MEMBER})",
    ),
    *_attrs(
        "create update",
        "port",
        ("fixed_ips",),
        f"{ADMIN_OR_SERVICE} or ({NET_OWNER_MEMBER}) or {SHARED}",
    ),
    *_attrs(
        "create update",
        "port",
        ("fixed_ips:ip_address", "port_security_enabled", "allowed_address_pairs"),
        f"{ADMIN_OR_SERVICE} or ({NET_OWNER_MEMBER})",
    ),
    *_attrs("create update", "port", ("binding:host_id", "binding:profile"), ADMIN_OR_SERVICE),
    *_attrs(
        "get",
        "port",
        ("binding:host_id", "binding:profile", "binding:vif_type", "binding:vif_details"),
        ADMIN_OR_SERVICE,
    ),
    *_attrs("create update", "port", ("binding:vnic_type",), MEMBER),
]

ROUTERS = [
    *_crud("router"),
    *_attrs("create update get", "router", ("distributed", "ha"), ADMIN),
    *_attrs(
        "create update",
        "router",
        ("external_gateway_info", "external_gateway_info:network_id"),
        PROJECT_MEMBER_OR_ADMIN,
    ),
    *_attrs(
        "create update",
        "router",
        ("external_gateway_info:enable_snat", "external_gateway_info:external_fixed_ips"),
        ADMIN,
    ),
    Rule("add_router_interface", PROJECT_MEMBER_OR_ADMIN),
    Rule("remove_router_interface", PROJECT_MEMBER_OR_ADMIN),
    Rule("add_extraroutes", PROJECT_MEMBER_OR_ADMIN),
    Rule("remove_extraroutes", PROJECT_MEMBER_OR_ADMIN),
]

GROUPS = [
    *_crud("security_group", f"{READER} or {SHARED}"),
    Rule("create_security_group_rule", MEMBER),
    Rule(
        "get_security_group_rule",
        f"{READER} or (role:reader and project_id:%(group:project_id)s)",
    ),
    Rule("delete_security_group_rule", MEMBER),
    Rule("update_security_group_rule", MEMBER),
]

OTHERS = [
    *_crud("rbac_policy", PROJECT_READER_OR_ADMIN, PROJECT_MEMBER_OR_ADMIN),
    *_attrs("create update", "rbac_policy", ("target_tenant",), NOT_EVERYBODY),
    *_crud("floatingip"),
    *_attrs("create", "floatingip", ("floating_ip_address",), ADMIN),
    *_crud("subnetpool", f"{READER} or {SHARED}"),
    *_attrs("create update", "subnetpool", ("shared", "is_default"), ADMIN),
    *_crud("address_scope", f"{READER} or {SHARED}"),
    *_attrs("create update", "address_scope", ("shared",), ADMIN),
    *_crud("metering_label", ADMIN, ADMIN),
    *_crud("metering_label_rule", ADMIN, ADMIN),
    Rule("get_agent", ADMIN),
    Rule("update_agent", ADMIN),
    Rule("delete_agent", ADMIN),
    Rule("get_dhcp-networks", ADMIN),
    Rule("create_dhcp-network", ADMIN),
    Rule("delete_dhcp-network", ADMIN),
    Rule("create_l3-router", ADMIN),
    Rule("delete_l3-router", ADMIN),
    Rule("get_dhcp-agents", ADMIN),
    Rule("get_l3-routers", ADMIN),
    Rule("get_l3-agents", ADMIN),
    Rule("get_quota", READER),
    Rule("update_quota", ADMIN),
    Rule("delete_quota", ADMIN),
    Rule("get_availability_zone", ANYONE),
    Rule("get_service_provider", ANYONE),
    Rule("get_network_ip_availability", ADMIN),
    Rule("get_auto_allocated_topology", PROJECT_READER_OR_ADMIN),
    Rule("delete_auto_allocated_topology", PROJECT_MEMBER_OR_ADMIN),
]

RULES: list[Rule] = [
    NETWORK_DEVICE,
    *NETWORKS,
    *SUBNETS,
    *PORTS,
    *ROUTERS,
    *GROUPS,
    *OTHERS,
]
BY_NAME: dict[str, Rule] = {rule.name: rule for rule in RULES}

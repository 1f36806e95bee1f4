"""/extensions: what this API can beyond its core."""

from typing import Any

from aerostat.kit.errors import NotFound
from aerostat.kit.http.route import Request, Routes
from aerostat.services.neutron.api.resources import Shown
from aerostat.services.neutron.runtime import NeutronService

routes: Routes[NeutronService] = Routes("extensions")

KNOWN: dict[str, str] = {
    "address-scope": "Address scope",
    "agent": "agent",
    "allowed-address-pairs": "Allowed Address Pairs",
    "auto-allocated-topology": "Auto Allocated Topology Services",
    "availability_zone": "Availability Zone",
    "binding": "Port Binding",
    "default-subnetpools": "Default Subnetpools",
    "dhcp_agent_scheduler": "DHCP Agent Scheduler",
    "dns-integration": "DNS Integration",
    "empty-string-filtering": "Empty String Filtering Extension",
    "ext-gw-mode": "Neutron L3 Configurable external gateway mode",
    "external-net": "Neutron external network",
    "extra_dhcp_opt": "Neutron Extra DHCP options",
    "extraroute": "Neutron Extra Route",
    "extraroute-atomic": "Atomically add/remove extra routes",
    "filter-validation": "Filter parameters validation",
    "fip-port-details": "Floating IP Port Details Extension",
    "ip-substring-filtering": "IP address substring filtering",
    "l3_agent_scheduler": "L3 Agent Scheduler",
    "metering": "Neutron Metering",
    "net-mtu": "Network MTU",
    "net-mtu-writable": "Network MTU (writable)",
    "network-ip-availability": "Network IP Availability",
    "network_availability_zone": "Network Availability Zone",
    "pagination": "Pagination support",
    "port-mac-address-regenerate": "Port MAC address regenerate",
    "port-security": "Port Security",
    "project-id": "project_id field enabled",
    "provider": "Provider Network",
    "quota-check-limit": "Quota engine limit check",
    "quota-check-limit-default": "Quota engine limit check by default",
    "quota_details": "Quota details management support",
    "quotas": "Quota management support",
    "rbac-policies": "RBAC Policies",
    "revision-if-match": "If-Match constraints based on revision_number",
    "router": "Neutron L3 Router",
    "router_availability_zone": "Router Availability Zone",
    "security-group": "security-group",
    "security-groups-normalized-cidr": "Normalized CIDR field for security group rules",
    "service-type": "Neutron Service Type Management",
    "sorting": "Sorting support",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers",
    "standard-attr-tag": "Tag support for resources with standard attribute",
    "standard-attr-timestamp": "Resource timestamps",
    "stateful-security-group": "Stateful security group",
    "subnet-service-types": "Subnet service types",
    "subnet_allocation": "Subnet Allocation",
    "tag-creation": "Tag creation extension",
    "uplink-status-propagation": "Uplink status propagation extension",
}


def view(alias: str) -> dict[str, Any]:
    """Return an extension as it is shown."""
    return {
        "alias": alias,
        "name": KNOWN[alias],
        "description": KNOWN[alias],
        "updated": "2026-01-01T00:00:00-00:00",
        "links": [],
    }


@routes.get("/extensions", policy=None)
async def index(_neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
    """List the extensions."""
    shown = Shown(req, "extension")
    return {"extensions": [shown.of(view(alias)) for alias in KNOWN]}


@routes.get("/extensions/{alias}", policy=None)
async def show(_neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
    """Show an extension."""
    alias = req.path["alias"]
    if alias not in KNOWN:
        raise NotFound(f"Extension with alias {alias} does not exist", code="ExtensionNotFound")
    return {"extension": view(alias)}

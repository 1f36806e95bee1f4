"""Rows as the API shows them; the parts of many rows are read with one query each."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select

from aerostat.kit.clock import iso
from aerostat.kit.db.among import among
from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.model.protocols import normalized_cidr

Views = list[dict[str, Any]]


def standard(row: Any) -> dict[str, Any]:
    """Return the attributes that every resource has."""
    return {
        "id": row.id,
        "name": row.name,
        "tenant_id": row.project_id,
        "project_id": row.project_id,
        "description": row.description,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "revision_number": row.revision_number,
    }


def ids(rows: Sequence[Any]) -> list[str]:
    return [row.id for row in rows]


def tags_of(tx: Tx, keys: Sequence[str]) -> dict[str, list[str]]:
    """Return the tags of each resource, sorted."""
    found: dict[str, list[str]] = defaultdict(list)
    c = t.tags.c
    for key, tag in tx.all(select(c.resource_id, c.tag).where(among(c.resource_id, keys))):
        found[key].append(tag)
    return {key: sorted(found[key]) for key in keys}


def addresses_of(tx: Tx, port_ids: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    """Return the fixed addresses of each port, in the order they were given."""
    c = t.addresses.c
    stmt = select(c.port_id, c.subnet_id, c.ip_address).where(among(c.port_id, port_ids))
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for port_id, subnet_id, address in tx.all(stmt.order_by(c.port_id, c.place)):
        found[port_id].append({"subnet_id": subnet_id, "ip_address": address})
    return found


def groups_of(tx: Tx, port_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the security groups of each port."""
    c = t.port_groups.c
    found: dict[str, list[str]] = defaultdict(list)
    for port_id, group_id in tx.all(
        select(c.port_id, c.group_id).where(among(c.port_id, port_ids))
    ):
        found[port_id].append(group_id)
    return found


def networks(tx: Tx, rows: Sequence[Any]) -> Views:
    tags, c = tags_of(tx, ids(rows)), t.subnets.c
    scopes, pool = {}, t.subnetpools.c
    subnets: dict[str, list[Any]] = defaultdict(list)
    stmt = (
        select(c.network_id, c.id, c.ip_version, pool.address_scope_id)
        .outerjoin_from(t.subnets, t.subnetpools, c.subnetpool_id == pool.id)
        .where(among(c.network_id, ids(rows)))
    )
    for row in tx.all(stmt.order_by(c.created_at)):
        subnets[row.network_id].append(row)
        if row.address_scope_id is not None:
            scopes[row.network_id, row.ip_version] = row.address_scope_id
    return [
        {
            **standard(row),
            "admin_state_up": row.admin_state_up,
            "status": "ACTIVE",
            "subnets": [s.id for s in subnets[row.id]],
            "shared": row.shared,
            "router:external": row.external,
            **({"is_default": row.is_default} if row.external else {}),
            "mtu": row.mtu,
            "port_security_enabled": row.port_security_enabled,
            "dns_domain": row.dns_domain,
            "provider:network_type": row.network_type,
            "provider:physical_network": row.physical_network,
            "provider:segmentation_id": row.segmentation_id,
            "availability_zone_hints": row.availability_zone_hints,
            "availability_zones": ["nova"] if subnets[row.id] else [],
            "ipv4_address_scope": scopes.get((row.id, 4)),
            "ipv6_address_scope": scopes.get((row.id, 6)),
            "l2_adjacency": True,
            "vlan_transparent": None,
            "qos_policy_id": None,
            "tags": tags[row.id],
        }
        for row in rows
    ]


def subnets(tx: Tx, rows: Sequence[Any]) -> Views:
    tags = tags_of(tx, ids(rows))
    nets = {row.network_id for row in rows}
    external = dict(
        (r.id, r.external)
        for r in tx.all(
            select(t.networks.c.id, t.networks.c.external).where(among(t.networks.c.id, list(nets)))
        )
    )
    return [
        {
            **standard(row),
            "network_id": row.network_id,
            "ip_version": row.ip_version,
            "cidr": row.cidr,
            "gateway_ip": row.gateway_ip,
            "enable_dhcp": row.enable_dhcp,
            "ipv6_ra_mode": row.ipv6_ra_mode,
            "ipv6_address_mode": row.ipv6_address_mode,
            "subnetpool_id": row.subnetpool_id,
            "allocation_pools": row.allocation_pools,
            "dns_nameservers": row.dns_nameservers,
            "host_routes": row.host_routes,
            "service_types": row.service_types,
            "dns_publish_fixed_ip": row.dns_publish_fixed_ip,
            "segment_id": None,
            "router:external": external.get(row.network_id, False),
            "tags": tags[row.id],
        }
        for row in rows
    ]


def ports(tx: Tx, rows: Sequence[Any]) -> Views:
    keys = ids(rows)
    tags, fixed, groups = tags_of(tx, keys), addresses_of(tx, keys), groups_of(tx, keys)
    return [_port(row, fixed.get(row.id, []), groups.get(row.id, []), tags[row.id]) for row in rows]


def _port(row: Any, fixed: list[dict[str, str]], groups: list[str], tags: list[str]) -> Any:
    bound = row.vif_type == "bridge"
    return {
        **standard(row),
        "network_id": row.network_id,
        "mac_address": row.mac_address,
        "admin_state_up": row.admin_state_up,
        "status": row.status,
        "device_id": row.device_id,
        "device_owner": row.device_owner,
        "fixed_ips": fixed,
        "security_groups": groups,
        "port_security_enabled": row.port_security_enabled,
        "allowed_address_pairs": row.allowed_address_pairs,
        "extra_dhcp_opts": row.extra_dhcp_opts,
        "binding:host_id": row.host,
        "binding:vif_type": row.vif_type,
        "binding:vif_details": {"port_filter": True, "connectivity": "l2"} if bound else {},
        "binding:vnic_type": row.vnic_type,
        "binding:profile": row.profile,
        "dns_name": row.dns_name,
        "dns_domain": row.dns_domain,
        "dns_assignment": [_assignment(row, f["ip_address"]) for f in fixed],
        "propagate_uplink_status": row.propagate_uplink_status,
        "qos_policy_id": None,
        "qos_network_policy_id": None,
        "resource_request": None,
        "ip_allocation": "immediate" if fixed else "none",
        "numa_affinity_policy": None,
        "tags": tags,
    }


def _assignment(row: Any, ip: str) -> dict[str, str]:
    name = row.dns_name or "host-" + ip.replace(".", "-").replace(":", "-")
    domain = (row.dns_domain or "openstacklocal.").removesuffix(".") + "."
    return {"ip_address": ip, "hostname": name, "fqdn": f"{name}.{domain}"}


def groups(tx: Tx, rows: Sequence[Any]) -> Views:
    tags, c = tags_of(tx, ids(rows)), t.rules.c
    found: dict[str, list[Any]] = defaultdict(list)
    stmt = select(t.rules).where(among(c.security_group_id, ids(rows))).order_by(c.created_at)
    for rule in tx.all(stmt):
        found[rule.security_group_id].append(rule)
    return [
        {
            **standard(row),
            "stateful": row.stateful,
            "shared": row.shared,
            "security_group_rules": rules(tx, found[row.id], tagged=False),
            "tags": tags[row.id],
        }
        for row in rows
    ]


def rules(tx: Tx, rows: Sequence[Any], *, tagged: bool = True) -> Views:
    tags = tags_of(tx, ids(rows)) if tagged else {}
    return [
        {
            **{k: v for k, v in standard(row).items() if k != "name"},
            "security_group_id": row.security_group_id,
            "direction": row.direction,
            "ethertype": row.ethertype,
            "protocol": row.protocol,
            "port_range_min": row.port_range_min,
            "port_range_max": row.port_range_max,
            "remote_ip_prefix": row.remote_ip_prefix,
            "normalized_cidr": normalized_cidr(row.remote_ip_prefix),
            "remote_group_id": row.remote_group_id,
            "remote_address_group_id": None,
            "belongs_to_default_sg": False,
            "tags": tags.get(row.id, []),
        }
        for row in rows
    ]


def routers(tx: Tx, rows: Sequence[Any]) -> Views:
    tags = tags_of(tx, ids(rows))
    gateways = [row.gw_port_id for row in rows if row.gw_port_id]
    fixed = addresses_of(tx, gateways)
    c = t.ports.c
    nets = dict(map(tuple, tx.all(select(c.id, c.network_id).where(among(c.id, gateways)))))
    return [
        {
            **standard(row),
            "admin_state_up": row.admin_state_up,
            "status": row.status,
            "external_gateway_info": None
            if row.gw_port_id is None
            else {
                "network_id": nets.get(row.gw_port_id),
                "enable_snat": row.enable_snat,
                "external_fixed_ips": fixed.get(row.gw_port_id, []),
            },
            "routes": row.routes,
            "distributed": False,
            "ha": False,
            "flavor_id": None,
            "availability_zone_hints": row.availability_zone_hints,
            "availability_zones": ["nova"] if row.host else [],
            "tags": tags[row.id],
        }
        for row in rows
    ]


def floatings(tx: Tx, rows: Sequence[Any]) -> Views:
    tags = tags_of(tx, ids(rows))
    details = _port_details(tx, [row.port_id for row in rows if row.port_id])
    return [
        {
            **{k: v for k, v in standard(row).items() if k != "name"},
            "floating_network_id": row.floating_network_id,
            "floating_ip_address": row.floating_ip_address,
            "port_id": row.port_id,
            "fixed_ip_address": row.fixed_ip_address,
            "router_id": row.router_id,
            "status": row.status,
            "port_details": details.get(row.port_id),
            "port_forwardings": [],
            "dns_name": row.dns_name,
            "dns_domain": row.dns_domain,
            "qos_policy_id": None,
            "tags": tags[row.id],
        }
        for row in rows
    ]


def _port_details(tx: Tx, port_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    names = ("name", "network_id", "mac_address", "admin_state_up", "status", "device_id")
    found = tx.all(select(t.ports).where(among(t.ports.c.id, list(port_ids))))
    return {
        row.id: {**{n: getattr(row, n) for n in names}, "device_owner": row.device_owner}
        for row in found
    }


def subnetpools(tx: Tx, rows: Sequence[Any]) -> Views:
    tags = tags_of(tx, ids(rows))
    return [
        {
            **standard(row),
            "ip_version": row.ip_version,
            "prefixes": row.prefixes,
            "default_prefixlen": str(row.default_prefixlen),
            "min_prefixlen": str(row.min_prefixlen),
            "max_prefixlen": str(row.max_prefixlen),
            "default_quota": row.default_quota,
            "shared": row.shared,
            "is_default": row.is_default,
            "address_scope_id": row.address_scope_id,
            "tags": tags[row.id],
        }
        for row in rows
    ]


def address_scopes(_tx: Tx, rows: Sequence[Any]) -> Views:
    return [
        {
            "id": row.id,
            "name": row.name,
            "tenant_id": row.project_id,
            "project_id": row.project_id,
            "ip_version": row.ip_version,
            "shared": row.shared,
        }
        for row in rows
    ]


def metering_labels(_tx: Tx, rows: Sequence[Any]) -> Views:
    return [
        {
            "id": row.id,
            "name": row.name,
            "description": row.description,
            "tenant_id": row.project_id,
            "project_id": row.project_id,
            "shared": row.shared,
        }
        for row in rows
    ]


def metering_rules(_tx: Tx, rows: Sequence[Any]) -> Views:
    return [
        {
            "id": row.id,
            "metering_label_id": row.metering_label_id,
            "direction": row.direction,
            "excluded": row.excluded,
            "remote_ip_prefix": row.remote_ip_prefix,
            "source_ip_prefix": row.source_ip_prefix,
            "destination_ip_prefix": row.destination_ip_prefix,
        }
        for row in rows
    ]


def rbacs(tx: Tx, rows: Sequence[Any]) -> Views:
    return [
        {
            "id": row.id,
            "tenant_id": row.project_id,
            "project_id": row.project_id,
            "object_type": "network",
            "object_id": row.object_id,
            "action": row.action,
            "target_tenant": row.target_project,
        }
        for row in rows
    ]

"""Subnets: a CIDR with pools, a gateway and what DHCP tells of it."""

import ipaddress
from typing import Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import select

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import collection
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.db.collections import NETWORKS
from aerostat.services.neutron.domain import addresses, dhcp, notices, quotas, rows, subnetpools
from aerostat.services.neutron.domain.access import authorize, network_of, owner_of, target
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.model.pools import checked_pools, default_gateway, default_pools
from aerostat.services.neutron.runtime import Call

AUTO_RELEASED = ("network:dhcp",)
LEAST_MTU = {4: 68, 6: 1280}
"""Bytes. Source: RFC 791, RFC 8200."""


def create(tx: Tx, call: Call, values: dict[str, Any], given: set[str]) -> str:
    """Make a subnet. Raises: NotFound, Forbidden, QuotaExceeded, BadRequest, Conflict."""
    network = collection.get(tx, NETWORKS, call.ctx, values["network_id"])
    owner = owner_of(call, values)
    aim = target(call, {**values, "project_id": owner}, network)
    authorize(call, "create_subnet", aim, given)
    quotas.check(tx, call, "subnet", owner)
    values.pop("segment_id", None)
    _settle_cidr(tx, call, values, (owner, network.id))
    net = ipaddress.ip_network(values["cidr"])
    _check_overlap(tx, network.id, net)
    check_mtu(network.mtu, net.version, network.id)
    if "gateway_ip" not in values:
        values["gateway_ip"] = default_gateway(net)
    _check_gateway(net, values["gateway_ip"])
    pools = values.pop("allocation_pools", None)
    gateway = values["gateway_ip"]
    values["allocation_pools"] = (
        default_pools(net, gateway) if pools is None else checked_pools(net, pools, gateway)
    )
    _check_modes(values, net)
    _check_details(call, values, net.version)
    key = rows.add(tx, call, t.subnets, {**values, "project_id": owner})
    rows.change(tx, call, t.networks, network.id, {})
    dhcp.settle(tx, call, network)
    notices.changed(tx, call, [network.id])
    return key


def check_mtu(mtu: int, version: int, network_id: str) -> None:
    """Raises: Conflict (packets of the IP version do not fit a network)."""
    if mtu < LEAST_MTU[version]:
        raise faults.conflict(
            "NetworkMTUSubnetConflict",
            f"The MTU {mtu} of network {network_id} is too small for IPv{version} subnets: "
            f"the minimum is {LEAST_MTU[version]}.",
        )


def _settle_cidr(tx: Tx, call: Call, values: dict[str, Any], place: tuple[str, str]) -> None:
    """Fill in the CIDR, for a project and a network. Raises: BadRequest, NotFound, Conflict."""
    use_default, length = values.pop("use_default_subnetpool", False), values.pop("prefixlen", None)
    version = int(values["ip_version"]) if values.get("ip_version") else None
    pool = values.get("subnetpool_id")
    if use_default and pool is None:
        pool = subnetpools.default(tx, version or 4)
    if pool is not None and pool != "prefix_delegation":
        asked = {"cidr": values.get("cidr"), "prefixlen": length, "ip_version": version}
        asked |= {"project_id": place[0], "network_id": place[1]}
        values["cidr"] = subnetpools.carve(tx, call, pool, asked)
        values["subnetpool_id"] = pool
    if values.get("cidr") is None:
        raise faults.bad("BadRequest", "a subnetpool must be specified in the absence of a cidr")
    net = ipaddress.ip_network(values["cidr"])
    if version is not None and version != net.version:
        raise faults.invalid(f"Cidr {net} does not match the ip_version '{version}'", "ip_version")
    if pool is None:
        subnetpools.check_kinship(tx, place[1], None, net.version)
    if net.prefixlen == 0:
        raise faults.invalid(f"{net} is not a valid CIDR for a subnet: 0 is not a prefix length")
    values["ip_version"] = net.version


def _check_overlap(tx: Tx, network_id: str, net: Any) -> None:
    for other in addresses.subnets_of(tx, network_id):
        theirs = ipaddress.ip_network(other.cidr)
        if theirs.version == net.version and theirs.overlaps(net):
            raise faults.invalid(
                f"Requested subnet with cidr: {net} for network: {network_id} overlaps with "
                "another subnet",
                "cidr",
            )


def _check_gateway(net: Any, gateway: str | None) -> None:
    if gateway is None:
        return
    ip = ipaddress.ip_address(gateway)
    if ip.version != net.version:
        raise faults.invalid(f"gateway_ip '{gateway}' does not match the ip_version")
    roomy = net.prefixlen < net.max_prefixlen - 1
    if roomy and net.version == 4 and ip in (net.network_address, net.broadcast_address):
        raise faults.invalid("Gateway is not valid on subnet", "gateway_ip")


def _check_modes(values: dict[str, Any], net: Any) -> None:
    ra, address = values.get("ipv6_ra_mode"), values.get("ipv6_address_mode")
    if not ra and not address:
        return
    if net.version == 4:
        raise faults.invalid("ipv6_ra_mode or ipv6_address_mode cannot be set when IP version is 4")
    if not values.get("enable_dhcp", True):
        raise faults.invalid(
            "ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False"
        )
    if ra and address and ra != address:
        raise faults.invalid(
            f"ipv6_ra_mode set to '{ra}' with ipv6_address_mode set to '{address}' is not valid. "
            "If both attributes are set, they must be the same value"
        )
    if (ra or address) in ("slaac", "dhcpv6-stateless") and net.prefixlen != 64:
        raise faults.invalid(f"Invalid CIDR {net} for IPv6 address mode: SLAAC needs a /64")


def _check_details(call: Call, values: dict[str, Any], version: int) -> None:
    nameservers, routes = values.get("dns_nameservers", []), values.get("host_routes", [])
    if len(nameservers) > call.config.max_dns_nameservers:
        raise faults.bad("DNSNameServersExhausted", "Quota exceeded for the subnet's name servers.")
    if len(routes) > call.config.max_subnet_host_routes:
        raise faults.bad("HostRoutesExhausted", "Quota exceeded for the subnet's host routes.")
    for text in [*nameservers, *(r["nexthop"] for r in routes)]:
        if ipaddress.ip_address(text).version != version and text not in nameservers:
            raise faults.invalid(f"{text} does not match the ip_version '{version}'")


def update(tx: Tx, call: Call, row: Any, values: dict[str, Any]) -> None:
    """Change a subnet. Raises: Forbidden, BadRequest, Conflict (the gateway is in use)."""
    network = network_of(tx, row.network_id)
    authorize(call, "update_subnet", target(call, row._asdict(), network), values)
    values.pop("segment_id", None)
    net = ipaddress.ip_network(row.cidr)
    gateway = values.get("gateway_ip", row.gateway_ip)
    if gateway != row.gateway_ip:
        _check_gateway(net, gateway)
        _check_gateway_free(tx, row)
    pools = values.get("allocation_pools", row.allocation_pools)
    if "allocation_pools" in values or gateway != row.gateway_ip:
        values["allocation_pools"] = checked_pools(net, pools, gateway)
    _check_details(call, values, net.version)
    rows.change(tx, call, t.subnets, row.id, values)
    rows.change(tx, call, t.networks, network.id, {})
    dhcp.settle(tx, call, network)
    notices.changed(tx, call, [row.network_id])


def _check_gateway_free(tx: Tx, row: Any) -> None:
    a, p = t.addresses.c, t.ports.c
    stmt = (
        select(p.id)
        .join_from(t.addresses, t.ports, a.port_id == p.id)
        .where(a.subnet_id == row.id, a.ip_address == row.gateway_ip)
        .where(p.device_owner == "network:router_interface")
    )
    port = tx.first(stmt)
    if port is not None:
        raise faults.conflict(
            "GatewayIpInUse",
            f"Current gateway ip {row.gateway_ip} already in use by port {port.id}. "
            "Unable to update.",
        )


def delete(tx: Tx, call: Call, row: Any) -> None:
    """Delete a subnet. Raises: Conflict (addresses of it are in use)."""
    network = network_of(tx, row.network_id)
    authorize(call, "delete_subnet", target(call, row._asdict(), network))
    a, p = t.addresses.c, t.ports.c
    stmt = (
        select(p.id, p.device_owner)
        .join_from(t.addresses, t.ports, a.port_id == p.id)
        .where(a.subnet_id == row.id)
    )
    for port in tx.all(stmt):
        released = port.device_owner in AUTO_RELEASED or (
            addresses.is_auto(row) and not port.device_owner.startswith("network:router")
        )
        if not released:
            raise faults.conflict(
                "SubnetInUse",
                f"Unable to complete operation on subnet {row.id}: One or more ports have an IP "
                "allocation from this subnet.",
            )
    drop(tx, row.id)
    rows.change(tx, call, t.networks, network.id, {})
    dhcp.settle(tx, call, network)
    notices.changed(tx, call, [row.network_id])


def drop(tx: Tx, key: str) -> None:
    tx.run(sql_delete(t.addresses).where(t.addresses.c.subnet_id == key))
    rows.remove(tx, t.subnets, key)

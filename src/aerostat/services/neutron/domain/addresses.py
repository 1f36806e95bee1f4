"""Fixed addresses: chosen, checked and allocated; one row per address, unique in its subnet."""

import ipaddress
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.model import faults

A = t.addresses.c
PROBES = 16
"""So many addresses after the last one given are tried before the whole subnet is read."""

Fixed = tuple[str, str]
"""(subnet id, address)."""


def eui64(cidr: str, mac: str) -> str:
    """Return the address that a MAC has in a /64. Source: RFC 4291, appendix A."""
    digits = [int(part, 16) for part in mac.split(":")]
    interface = bytes([digits[0] ^ 2, *digits[1:3], 0xFF, 0xFE, *digits[3:]])
    base = int(ipaddress.ip_network(cidr).network_address)
    return str(ipaddress.IPv6Address(base | int.from_bytes(interface, "big")))


def is_auto(subnet: Any) -> bool:
    """Tell whether guests make their addresses in this subnet themselves."""
    return subnet.ipv6_address_mode in ("slaac", "dhcpv6-stateless")


def taken(tx: Tx, subnet_id: str, address: str) -> bool:
    stmt = select(A.port_id).where(A.subnet_id == subnet_id, A.ip_address == address)
    return tx.first(stmt) is not None


def next_free(tx: Tx, subnet: Any) -> str | None:
    """Return an address of the pools that nobody has, None if there is none.

    It goes on from the last one given, so that an address just freed rests for long.
    """
    pools = [_bounds(pool) for pool in subnet.allocation_pools]
    if not pools:
        return None
    last = int(ipaddress.ip_address(subnet.cursor)) if subnet.cursor else None
    kind = ipaddress.IPv4Address if subnet.ip_version == 4 else ipaddress.IPv6Address
    number = last
    for _ in range(PROBES):
        number = _after(pools, number)
        if not taken(tx, subnet.id, str(kind(number))):
            return str(kind(number))
    rows = tx.all(select(A.ip_address).where(A.subnet_id == subnet.id))
    used = {int(ipaddress.ip_address(row[0])) for row in rows}
    start = number
    assert start is not None
    for first, end in [(start + 1, None), *((a, b) for a, b in pools)]:
        found = _gap(pools, used, first, end)
        if found is not None:
            return str(kind(found))
    return None


def _gap(pools: list[tuple[int, int]], used: set[int], first: int, end: int | None) -> int | None:
    for low, high in pools:
        number = max(low, first)
        stop = high if end is None else min(high, end)
        while number <= stop:
            if number not in used:
                return number
            number += 1
    return None


def _bounds(pool: dict[str, str]) -> tuple[int, int]:
    return int(ipaddress.ip_address(pool["start"])), int(ipaddress.ip_address(pool["end"]))


def _after(pools: list[tuple[int, int]], last: int | None) -> int:
    if last is not None:
        for low, high in pools:
            if low <= last + 1 <= high:
                return last + 1
        later = [low for low, _ in pools if low > last]
        if later:
            return min(later)
    return min(low for low, _ in pools)


def subnets_of(tx: Tx, network_id: str) -> Sequence[Any]:
    """Return the subnets of a network, oldest first."""
    c = t.subnets.c
    return tx.all(select(t.subnets).where(c.network_id == network_id).order_by(c.created_at, c.id))


def allocate(
    tx: Tx, port: dict[str, Any], wanted: list[dict[str, str]] | None, subnets: Sequence[Any]
) -> list[Fixed]:
    """Give a port its addresses: those `wanted`, or for None whatever the network offers.

    `port` needs id, network_id, mac_address and device_owner.
    Raises: BadRequest (not of this network), Conflict (in use, or nothing left).
    """
    chosen: list[Fixed] = []
    for one in _default(port, subnets) if wanted is None else wanted:
        chosen += _choose(tx, port, one, subnets, chosen)
    for place, (subnet_id, address) in enumerate(chosen):
        insert_one(tx, port, subnet_id, address, place)
    return chosen


def insert_one(tx: Tx, port: dict[str, Any], subnet_id: str, address: str, place: int) -> None:
    values = {"subnet_id": subnet_id, "ip_address": address, "port_id": port["id"]}
    tx.run(insert(t.addresses), {**values, "network_id": port["network_id"], "place": place})


def _default(port: dict[str, Any], subnets: Sequence[Any]) -> list[dict[str, str]]:
    """Return one request per IP version, and one for each subnet of automatic addresses."""
    usable = [s for s in subnets if _serves(s, port["device_owner"])]
    out: list[dict[str, str]] = []
    for version in (4, 6):
        mine = [s for s in usable if s.ip_version == version and not is_auto(s)]
        if mine:
            out.append({"any_of": ",".join(s.id for s in mine)})
    return out + [{"subnet_id": s.id} for s in usable if is_auto(s)]


def _serves(subnet: Any, owner: str) -> bool:
    kinds = subnet.service_types
    return not kinds or any(owner and owner.startswith(kind) for kind in kinds)


def _choose(
    tx: Tx,
    port: dict[str, Any],
    one: dict[str, str],
    subnets: Sequence[Any],
    chosen: list[Fixed],
) -> list[Fixed]:
    by_id = {s.id: s for s in subnets}
    if "any_of" in one:
        return [_from_any(tx, port, [by_id[i] for i in one["any_of"].split(",")])]
    address, subnet_id = one.get("ip_address"), one.get("subnet_id")
    if subnet_id is None and address is None:
        raise faults.invalid("IP allocation requires subnet_id or ip_address", "fixed_ips")
    if subnet_id is not None and subnet_id not in by_id:
        raise faults.invalid(
            f"Failed to create port on network {port['network_id']}, because fixed_ips included "
            f"invalid subnet {subnet_id}",
            "fixed_ips",
        )
    if address is None:
        assert subnet_id is not None
        return [_from_any(tx, port, [by_id[subnet_id]])]
    subnet = by_id[subnet_id] if subnet_id else _holding(address, subnets, port["network_id"])
    _check(tx, port, subnet, address, chosen)
    return [(subnet.id, address)]


def _holding(address: str, subnets: Sequence[Any], network_id: str) -> Any:
    for subnet in subnets:
        if ipaddress.ip_address(address) in ipaddress.ip_network(subnet.cidr):
            return subnet
    raise faults.bad(
        "InvalidIpForNetwork",
        f"IP address {address} is not a valid IP for any of the subnets on the specified network.",
    )


def _check(tx: Tx, port: dict[str, Any], subnet: Any, address: str, chosen: list[Fixed]) -> None:
    net, ip = ipaddress.ip_network(subnet.cidr), ipaddress.ip_address(address)
    edge = net.prefixlen < net.max_prefixlen - 1 and (
        ip == net.network_address or (net.version == 4 and ip == net.broadcast_address)
    )
    if ip not in net or edge:
        raise faults.bad(
            "InvalidIpForSubnet",
            f"IP address {address} is not a valid IP for the specified subnet.",
        )
    router = port["device_owner"].startswith("network:router")
    if is_auto(subnet) and not router and address != eui64(subnet.cidr, port["mac_address"]):
        raise faults.invalid(
            f"IPv6 address {address} can not be directly assigned to a port on subnet {subnet.id} "
            "since the subnet is configured for automatic addresses"
        )
    if (subnet.id, address) in chosen or taken(tx, subnet.id, address):
        raise in_use(port["network_id"], address)


def in_use(network_id: str, address: str) -> Exception:
    return faults.conflict(
        "IpAddressInUse",
        f"Unable to complete operation for network {network_id}. "
        f"The IP address {address} is in use.",
    )


def _from_any(tx: Tx, port: dict[str, Any], subnets: Sequence[Any]) -> Fixed:
    for subnet in subnets:
        if is_auto(subnet) and not port["device_owner"].startswith("network:router"):
            address: str | None = eui64(subnet.cidr, port["mac_address"])
            if taken(tx, subnet.id, str(address)):
                raise in_use(port["network_id"], str(address))
        else:
            address = next_free(tx, subnet)
            if address is not None:
                tx.run(update(t.subnets).where(t.subnets.c.id == subnet.id).values(cursor=address))
        if address is not None:
            return subnet.id, address
    raise faults.conflict(
        "IpAddressGenerationFailure",
        f"No more IP addresses available on network {port['network_id']}.",
    )


def release(tx: Tx, port_id: str) -> None:
    tx.run(delete(t.addresses).where(A.port_id == port_id))


def replace(
    tx: Tx, port: dict[str, Any], wanted: list[dict[str, str]], subnets: Sequence[Any]
) -> None:
    """Give a port other addresses; what it has and keeps is not up for grabs meanwhile."""
    have = [
        (row.subnet_id, row.ip_address)
        for row in tx.all(select(t.addresses).where(A.port_id == port["id"]).order_by(A.place))
    ]
    keep, ask = _kept(have, wanted)
    release(tx, port["id"])
    for place, (subnet_id, address) in enumerate(keep):
        insert_one(tx, port, subnet_id, address, place)
    chosen: list[Fixed] = []
    for one in ask:
        chosen += _choose(tx, port, one, subnets, chosen)
    for place, (subnet_id, address) in enumerate(chosen, len(keep)):
        insert_one(tx, port, subnet_id, address, place)


def _kept(
    have: list[Fixed], wanted: list[dict[str, str]]
) -> tuple[list[Fixed], list[dict[str, str]]]:
    left, keep, ask = list(have), [], []
    exact = sorted(wanted, key=lambda w: "ip_address" not in w)
    for one in exact:
        for fixed in left:
            if (one.get("ip_address") in (None, fixed[1])) and (
                one.get("subnet_id") in (None, fixed[0])
            ):
                left.remove(fixed)
                keep.append(fixed)
                break
        else:
            ask.append(one)
    return keep, ask

"""Allocation pools of a subnet: what they are by default, and whether given ones are sound."""

import ipaddress
from itertools import pairwise
from typing import Any

from aerostat.services.neutron.model import faults

Pool = dict[str, str]
Net = ipaddress.IPv4Network | ipaddress.IPv6Network


def default_gateway(net: Net) -> str:
    """Return the first usable address."""
    alone = net.prefixlen >= net.max_prefixlen - 1
    return str(net.network_address if alone else net.network_address + 1)


def _usable(net: Net) -> tuple[int, int]:
    first, last = int(net.network_address), int(net.broadcast_address)
    if net.prefixlen >= net.max_prefixlen - 1:
        return first, last
    return first + 1, last - 1 if net.version == 4 else last


def _text(net: Net, number: int) -> str:
    kind: Any = ipaddress.IPv4Address if net.version == 4 else ipaddress.IPv6Address
    return str(kind(number))


def default_pools(net: Net, gateway: str | None) -> list[Pool]:
    """Return every usable address but the gateway."""
    first, last = _usable(net)
    cut = int(ipaddress.ip_address(gateway)) if gateway else None
    parts = [(first, last)]
    if cut is not None and first <= cut <= last:
        parts = [(first, cut - 1), (cut + 1, last)]
    return [{"start": _text(net, a), "end": _text(net, b)} for a, b in parts if a <= b]


def checked_pools(net: Net, pools: list[Pool], gateway: str | None) -> list[Pool]:
    """Return the pools in order. Raises: BadRequest (bounds), Conflict (overlap, gateway)."""
    first, last = _usable(net)
    out: list[tuple[int, int]] = []
    for pool in pools:
        start, end = ipaddress.ip_address(pool["start"]), ipaddress.ip_address(pool["end"])
        text = f"{start}-{end}"
        if start.version != net.version or end.version != net.version or int(start) > int(end):
            raise faults.bad("InvalidAllocationPool", f"The allocation pool {text} is not valid.")
        if int(start) < first or int(end) > last:
            raise faults.bad(
                "OutOfBoundsAllocationPool",
                f"The allocation pool {text} spans beyond the subnet cidr {net}.",
            )
        out.append((int(start), int(end)))
    out.sort()
    for (_, end_), (start_, _) in pairwise(out):
        if start_ <= end_:
            raise faults.conflict(
                "OverlappingAllocationPools",
                f"Found overlapping allocation pools for {net}.",
            )
    cut = int(ipaddress.ip_address(gateway)) if gateway else None
    for a, b in out:
        if cut is not None and a <= cut <= b:
            raise faults.conflict(
                "GatewayConflictWithAllocationPools",
                f"Gateway ip {gateway} conflicts with allocation pool "
                f"{_text(net, a)}-{_text(net, b)}.",
            )
    return [{"start": _text(net, a), "end": _text(net, b)} for a, b in out]

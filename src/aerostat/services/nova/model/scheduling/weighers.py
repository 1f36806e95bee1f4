"""Weighers, under upstream's names: they order the hosts that passed the filters.

Each weight is scaled to 0..1 over the hosts at hand and multiplied, then summed.
Source: nova admin guide, "Weights".
"""

import contextlib
from collections.abc import Callable, Mapping

from aerostat.services.nova.model.scheduling.hosts import HostState, RequestSpec

Weigher = Callable[[HostState, RequestSpec], float]


def ram_weigher(host: HostState, _spec: RequestSpec) -> float:
    """More free memory is better: servers spread."""
    return host.free("MEMORY_MB")


def cpu_weigher(host: HostState, _spec: RequestSpec) -> float:
    """More free virtual CPUs are better."""
    return host.free("VCPU")


def disk_weigher(host: HostState, _spec: RequestSpec) -> float:
    """More free disk is better."""
    return host.free("DISK_GB")


def soft_affinity_weigher(host: HostState, spec: RequestSpec) -> float:
    """More members of a soft-affinity group are better."""
    return spec.group_hosts.count(host.host)


def soft_anti_affinity_weigher(host: HostState, spec: RequestSpec) -> float:
    """Fewer members of a soft-anti-affinity group are better."""
    return -spec.group_hosts.count(host.host)


WEIGHERS: dict[str, tuple[Weigher, str | None]] = {
    "ram_weight_multiplier": (ram_weigher, None),
    "cpu_weight_multiplier": (cpu_weigher, None),
    "disk_weight_multiplier": (disk_weigher, None),
    "soft_affinity_weight_multiplier": (soft_affinity_weigher, "soft-affinity"),
    "soft_anti_affinity_weight_multiplier": (soft_anti_affinity_weigher, "soft-anti-affinity"),
}
"""Behind the name of its multiplier (an option, and metadata of aggregates), each with the policy
of server groups that it is for; None: for every request."""


def order(
    hosts: list[HostState], spec: RequestSpec, multipliers: Mapping[str, float]
) -> list[HostState]:
    """Return `hosts`, the best first; a negative multiplier turns a weigher round."""
    if len(hosts) < 2:
        return hosts
    totals = dict.fromkeys((h.host for h in hosts), 0.0)
    for name, (weigh, policy) in WEIGHERS.items():
        if policy not in (None, spec.group_policy):
            continue
        raw = [weigh(host, spec) for host in hosts]
        low, high = min(raw), max(raw)
        if high > low:
            for host, weight in zip(hosts, raw, strict=True):
                scale = multiplier_of(host, name, multipliers[name]) / (high - low)
                totals[host.host] += scale * (weight - low)
    return sorted(hosts, key=lambda h: -totals[h.host])


def multiplier_of(host: HostState, name: str, default: float) -> float:
    """Return the least that the host's aggregates say, or else `default`."""
    if not host.aggregates:
        return default
    said = []
    for metadata in host.aggregates:
        with contextlib.suppress(KeyError, ValueError):
            said.append(float(metadata[name]))
    return min(said, default=default)

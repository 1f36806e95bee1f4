"""Weighers, under upstream's names: they order the hosts that passed the filters.

Each weight is scaled to 0..1 over the hosts at hand and multiplied, then summed.
Source: nova admin guide, "Weights".
"""

from collections.abc import Callable

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
    return spec.group_hosts.count(host.host) if spec.group_policy == "soft-affinity" else 0


def soft_anti_affinity_weigher(host: HostState, spec: RequestSpec) -> float:
    """Fewer members of a soft-anti-affinity group are better."""
    return -spec.group_hosts.count(host.host) if spec.group_policy == "soft-anti-affinity" else 0


WEIGHERS: dict[str, tuple[Weigher, float]] = {
    "RAMWeigher": (ram_weigher, 1.0),
    "CPUWeigher": (cpu_weigher, 1.0),
    "DiskWeigher": (disk_weigher, 1.0),
    "ServerGroupSoftAffinityWeigher": (soft_affinity_weigher, 1.0),
    "ServerGroupSoftAntiAffinityWeigher": (soft_anti_affinity_weigher, 1.0),
}
"""Each with its multiplier."""


def order(hosts: list[HostState], spec: RequestSpec) -> list[HostState]:
    """Return `hosts`, the best first."""
    if len(hosts) < 2:
        return hosts
    totals = dict.fromkeys((h.host for h in hosts), 0.0)
    for weigh, multiplier in WEIGHERS.values():
        raw = [weigh(host, spec) for host in hosts]
        low, high = min(raw), max(raw)
        if high > low:
            for host, weight in zip(hosts, raw, strict=True):
                totals[host.host] += multiplier * (weight - low) / (high - low)
    return sorted(hosts, key=lambda h: -totals[h.host])

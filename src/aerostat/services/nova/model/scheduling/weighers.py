"""Weighers, under upstream's names: they order the hosts that passed the filters.

Each weight is scaled to 0..1 over the hosts at hand and multiplied, then summed.
Source: nova admin guide, "Weights".
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from aerostat.services.nova.model.scheduling.hosts import HostState, RequestSpec

Hosts = Sequence[HostState]
Weigher = Callable[[Hosts, RequestSpec], list[float]]
"""Returns a number for each host, in their order."""


def ram_weigher(hosts: Hosts, _spec: RequestSpec) -> list[float]:
    """More free memory is better: servers spread."""
    return _free(hosts, "MEMORY_MB")


def cpu_weigher(hosts: Hosts, _spec: RequestSpec) -> list[float]:
    """More free virtual CPUs are better."""
    return _free(hosts, "VCPU")


def disk_weigher(hosts: Hosts, _spec: RequestSpec) -> list[float]:
    """More free disk is better."""
    return _free(hosts, "DISK_GB")


def _free(hosts: Hosts, resource_class: str) -> list[float]:
    return [host.room.get(resource_class, 0) for host in hosts]


def soft_affinity_weigher(hosts: Hosts, spec: RequestSpec) -> list[float]:
    """More members of a soft-affinity group are better."""
    members = Counter(spec.group_hosts)
    return [members[host.host] for host in hosts]


def soft_anti_affinity_weigher(hosts: Hosts, spec: RequestSpec) -> list[float]:
    """Fewer members of a soft-anti-affinity group are better."""
    return [-weight for weight in soft_affinity_weigher(hosts, spec)]


WEIGHERS: dict[str, tuple[Weigher, str | None]] = {
    "ram_weight_multiplier": (ram_weigher, None),
    "cpu_weight_multiplier": (cpu_weigher, None),
    "disk_weight_multiplier": (disk_weigher, None),
    "soft_affinity_weight_multiplier": (soft_affinity_weigher, "soft-affinity"),
    "soft_anti_affinity_weight_multiplier": (soft_anti_affinity_weigher, "soft-anti-affinity"),
}
"""Behind the name of its multiplier (an option, and metadata of aggregates), each with the policy
of server groups that it is for; None: for every request."""


def order(hosts: Hosts, spec: RequestSpec, multipliers: Mapping[str, float]) -> list[HostState]:
    """Return `hosts`, the best first; a negative multiplier turns a weigher round."""
    if len(hosts) < 2:
        return list(hosts)
    totals = [0.0] * len(hosts)
    alike = not any(host.aggregates for host in hosts)
    for name, (weigh, policy) in WEIGHERS.items():
        if policy not in (None, spec.group_policy):
            continue
        raw, default = weigh(hosts, spec), multipliers[name]
        low, spread = min(raw), max(raw) - min(raw)
        if not spread:
            continue
        if alike:
            scale = default / spread
            totals = [
                total + scale * (weight - low) for total, weight in zip(totals, raw, strict=True)
            ]
        else:
            told = [multiplier_of(host, name, default) for host in hosts]
            totals = [t + m * (w - low) / spread for t, m, w in zip(totals, told, raw, strict=True)]
    best = sorted(range(len(hosts)), key=totals.__getitem__, reverse=True)
    return [hosts[place] for place in best]


def multiplier_of(host: HostState, name: str, default: float) -> float:
    """Return the least that the host's aggregates say, or else `default`."""
    if not host.aggregates:
        return default
    said = []
    for metadata in host.aggregates:
        with contextlib.suppress(KeyError, ValueError):
            said.append(float(metadata[name]))
    return min(said, default=default)

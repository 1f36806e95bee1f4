"""Filters, under upstream's names: each says whether a host may take a request.

Source: nova admin guide, "Compute schedulers".
"""

from collections.abc import Callable

from aerostat.services.nova.model.scheduling.hosts import HostState, RequestSpec

Filter = Callable[[HostState, RequestSpec], bool]
Concerns = Callable[[RequestSpec], bool]


def always(_spec: RequestSpec) -> bool:
    return True


def compute_filter(host: HostState, _spec: RequestSpec) -> bool:
    """The host is enabled and answers."""
    return host.enabled and host.up


def availability_zone_filter(host: HostState, spec: RequestSpec) -> bool:
    """The host is in the zone that was asked for."""
    return host.zone == spec.zone


def image_properties_filter(host: HostState, spec: RequestSpec) -> bool:
    """The host has the architecture and hypervisor that the image wants."""
    wants = spec.image_properties
    architecture = wants.get("hw_architecture", host.architecture)
    kind = wants.get("img_hv_type", host.hypervisor_type).lower()
    return architecture == host.architecture and kind in (host.hypervisor_type.lower(), "kvm")


def requested_host_filter(host: HostState, spec: RequestSpec) -> bool:
    """The host is the one that an administrator named."""
    return host.host == spec.host


def ignored_host_filter(host: HostState, spec: RequestSpec) -> bool:
    """The host is not one that the server is moving away from."""
    return host.host not in spec.ignore_hosts


def server_group_anti_affinity_filter(host: HostState, spec: RequestSpec) -> bool:
    """No other member of an anti-affinity group is on the host."""
    return spec.group_hosts.count(host.host) < (spec.max_server_per_host or 1)


def server_group_affinity_filter(host: HostState, spec: RequestSpec) -> bool:
    """The host is where the other members of an affinity group are."""
    return host.host in spec.group_hosts


def same_host_filter(host: HostState, spec: RequestSpec) -> bool:
    """The host has the servers of the `same_host` hint."""
    return host.host in spec.same_hosts


def different_host_filter(host: HostState, spec: RequestSpec) -> bool:
    """The host has none of the servers of the `different_host` hint."""
    return host.host not in spec.different_hosts


def aggregate_instance_extra_specs_filter(host: HostState, spec: RequestSpec) -> bool:
    """The host's aggregates have what `aggregate_instance_extra_specs:KEY` asks for."""
    prefix = "aggregate_instance_extra_specs:"
    for key, wanted in spec.extra_specs.items():
        if key.startswith(prefix):
            values = [a.get(key.removeprefix(prefix)) for a in host.aggregates]
            if wanted not in values:
                return False
    return True


FILTERS: dict[str, tuple[Filter, Concerns]] = {
    "ComputeFilter": (compute_filter, always),
    "AvailabilityZoneFilter": (availability_zone_filter, lambda spec: spec.zone is not None),
    "ImagePropertiesFilter": (image_properties_filter, lambda spec: bool(spec.image_properties)),
    "RequestedHostFilter": (requested_host_filter, lambda spec: spec.host is not None),
    "IgnoredHostFilter": (ignored_host_filter, lambda spec: bool(spec.ignore_hosts)),
    "ServerGroupAntiAffinityFilter": (
        server_group_anti_affinity_filter,
        lambda spec: spec.group_policy == "anti-affinity",
    ),
    "ServerGroupAffinityFilter": (
        server_group_affinity_filter,
        lambda spec: spec.group_policy == "affinity" and bool(spec.group_hosts),
    ),
    "SameHostFilter": (same_host_filter, lambda spec: bool(spec.same_hosts)),
    "DifferentHostFilter": (different_host_filter, lambda spec: bool(spec.different_hosts)),
    "AggregateInstanceExtraSpecsFilter": (
        aggregate_instance_extra_specs_filter,
        lambda spec: bool(spec.extra_specs),
    ),
}
"""Each with what tells whether it has anything to say about a request."""


def apply(hosts: list[HostState], spec: RequestSpec) -> tuple[list[HostState], list[str]]:
    """Return the hosts that pass, and what each filter that removed any removed."""
    told: list[str] = []
    for name, (passes, concerns) in FILTERS.items():
        if not concerns(spec):
            continue
        left = [host for host in hosts if passes(host, spec)]
        if len(left) < len(hosts):
            told.append(f"{name} removed {len(hosts) - len(left)} of {len(hosts)} hosts")
        hosts = left
    return hosts, told

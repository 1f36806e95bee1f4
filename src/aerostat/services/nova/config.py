"""Nova's settings, with upstream's option names where the meaning is theirs."""

from msgspec import Struct


class NovaConfig(Struct, frozen=True):
    """Read once by assembly and handed down."""

    cpu_allocation_ratio: float = 4.0
    """Virtual CPUs per real one. Source: [DEFAULT] initial_cpu_allocation_ratio."""

    ram_allocation_ratio: float = 1.0
    """Guest memory per MiB of real memory."""

    disk_allocation_ratio: float = 1.0
    """Guest disk per GiB of real disk."""

    service_down_time_s: float = 60.0
    """Seconds without a heartbeat after which a host counts as down."""

    build_timeout_s: float = 600.0
    """Seconds a server may take from the request to ACTIVE; twice as long from the shelf, three
    times after its host died."""

    power_timeout_s: float = 300.0
    """Seconds a start, stop, reboot, pause, suspend, or plugging of a port may take."""

    delete_timeout_s: float = 3600.0
    """Seconds that a server's host may take to remove it, before the server is in ERROR."""

    leftovers_interval_s: float = 300.0
    """Seconds between two looks for what deleted servers left behind.

    Source: [DEFAULT] running_deleted_instance_poll_interval (1800 there).
    """

    shutdown_timeout_s: int = 60
    """Seconds a guest gets to shut down by itself before the plug is pulled."""

    max_limit: int = 1000
    """Rows of one page at the most. Source: [api] max_limit."""

    default_availability_zone: str = "nova"
    """The zone of hosts that no aggregate puts in another one."""

    host_candidates_max: int = 1000
    """Hosts asked of placement per scheduling. Source: [scheduler] max_placement_results."""

    ram_weight_multiplier: float = 1.0
    """How much free memory counts in choosing a host: servers spread; below 0 they pack.

    Source: [filter_scheduler], as the four that follow. Metadata of a host's aggregates with the
    same name goes before it, the least of several.
    """

    cpu_weight_multiplier: float = 1.0
    """How much free virtual CPUs count."""

    disk_weight_multiplier: float = 1.0
    """How much free disk counts."""

    soft_affinity_weight_multiplier: float = 1.0
    """How much the members of a soft-affinity group on a host count."""

    soft_anti_affinity_weight_multiplier: float = 1.0
    """How much the members of a soft-anti-affinity group on a host count against it."""

    instance_name_template: str = "instance-%08x"
    """The hypervisor's name of a guest, from its number."""

    dhcp_domain: str = "novalocal"
    """The domain that metadata puts behind host names."""

    metadata_proxy_shared_secret: str = ""
    """What metadata proxies prove themselves with on port 8775; empty: nobody may ask there.

    Source: [neutron] metadata_proxy_shared_secret.
    """

    novncproxy_base_url: str = "http://127.0.0.1:6080/vnc_auto.html"
    """Where browsers reach the console proxy."""

    console_token_ttl_s: float = 600.0
    """Seconds that a console URL is good for."""

    allow_resize_to_same_host: bool = False
    """Whether a resize may stay on its host. Source: [DEFAULT] allow_resize_to_same_host."""

    resize_confirm_window_s: float = 0.0
    """Seconds after which a resize is confirmed by itself; 0 waits for ever.

    Source: [DEFAULT] resize_confirm_window.
    """

    migration_timeout_s: float = 3600.0
    """Seconds that the disks of a server may take from host to host; a resize, a shelving or an
    image of a server takes twice as long at most."""

    live_migration_timeout_s: float = 3600.0
    """Seconds that a live migration may take. Source: live_migration_completion_timeout."""

    shelved_offload_time_s: float = 0.0
    """Seconds that a shelved server stays on its host; 0 frees it at once, -1 never.

    Source: [DEFAULT] shelved_offload_time.
    """

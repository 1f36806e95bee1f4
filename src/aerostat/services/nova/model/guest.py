"""What a guest is made of, as the host is told; pure types that travel on the bus."""

from enum import StrEnum

from msgspec import Struct

from aerostat.contracts.network import BoundPort

SILENT = "hypervisor_silent"
"""The code of the fault of a host whose hypervisor has not answered for longer than it may."""


class PowerState(StrEnum):
    """What the hypervisor says of a guest. Source: nova api-ref, OS-EXT-STS:power_state."""

    NOSTATE = "nostate"
    RUNNING = "running"
    PAUSED = "paused"
    SHUTDOWN = "shutdown"
    CRASHED = "crashed"
    SUSPENDED = "suspended"


class GuestImage(Struct, frozen=True):
    """Where the root disk comes from. `path` is under the image API and holds a ticket."""

    id: str
    disk_format: str
    size_bytes: int
    path: str
    hash_algo: str | None = None
    hash_value: str | None = None
    kernel: "GuestImage | None" = None
    ramdisk: "GuestImage | None" = None


class GuestSpec(Struct, frozen=True):
    """A guest to run. `config_drive` maps file paths to contents, None for no config drive."""

    server_id: str
    name: str
    instance_name: str
    project_id: str
    user_id: str
    flavor_name: str
    vcpus: int
    ram_mib: int
    root_gb: int
    ephemeral_gb: int = 0
    swap_mib: int = 0
    image: GuestImage | None = None
    ports: list[BoundPort] = []
    config_drive: dict[str, bytes] | None = None
    extra_specs: dict[str, str] = {}
    image_properties: dict[str, str] = {}


class GuestState(Struct, frozen=True):
    """A guest that a host has."""

    server_id: str
    power_state: PowerState


class HostFacts(Struct, frozen=True):
    """What a host can give: totals, and the traits its self-test found.

    `booted_at`: when the machine came up, in seconds since the epoch; 0 is unknown.
    """

    host: str
    hypervisor_hostname: str
    hypervisor_type: str
    hypervisor_version: int
    host_ip: str
    vcpus: int
    ram_mib: int
    disk_gb: int
    cpu_info: dict[str, object] = {}
    traits: list[str] = []
    reserved_ram_mib: int = 512
    booted_at: float = 0.0


class VncAddress(Struct, frozen=True):
    """Where the VNC server of a guest listens."""

    host: str
    port: int


class DiskUse(Struct, frozen=True):
    """What a disk has done since the guest started."""

    device: str
    read_bytes: int
    read_requests: int
    write_bytes: int
    write_requests: int
    errors_count: int


class Traffic(Struct, frozen=True):
    """What went one way through a network device since the guest started."""

    octets: int = 0
    packets: int = 0
    errors: int = 0
    drop: int = 0


class NicUse(Struct, frozen=True):
    """A network device; `rx` is what the guest got."""

    device: str
    mac_address: str
    rx: Traffic
    tx: Traffic


class Diagnostics(Struct, frozen=True):
    """What a guest uses right now. `cpu_ns` is the time of each virtual CPU."""

    state: PowerState
    hypervisor: str
    cpu_ns: list[int]
    memory_max_mib: int
    memory_used_mib: int
    disks: list[DiskUse]
    nics: list[NicUse]

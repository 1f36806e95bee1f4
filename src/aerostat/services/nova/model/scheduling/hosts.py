"""What filters and weighers see: the request, and the hosts that placement offered."""

from typing import Any

from msgspec import Struct


class HostState(Struct, frozen=True):
    """A host as the scheduler sees it.

    `room` is what is not used of each resource class, overcommitment included.
    """

    host: str
    provider_id: str
    enabled: bool
    up: bool
    zone: str
    room: dict[str, int]
    servers: int = 0
    architecture: str = "x86_64"
    hypervisor_type: str = "QEMU"
    aggregates: list[dict[str, Any]] = []


class RequestSpec(Struct, frozen=True):
    """What one server needs of a host. `group_hosts`: where members of its group are."""

    server_id: str
    zone: str | None = None
    host: str | None = None
    ignore_hosts: list[str] = []
    image_properties: dict[str, str] = {}
    extra_specs: dict[str, Any] = {}
    hints: dict[str, Any] = {}
    group_policy: str | None = None
    group_hosts: list[str] = []
    same_hosts: list[str] = []
    different_hosts: list[str] = []
    max_server_per_host: int | None = None

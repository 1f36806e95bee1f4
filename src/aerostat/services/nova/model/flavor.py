"""A flavor; pure."""

from typing import Any

from msgspec import Struct


class Flavor(Struct, frozen=True):
    """What a server is given. Sizes: MiB of memory and swap, GiB of disk."""

    id: int
    flavorid: str
    name: str
    vcpus: int
    ram_mib: int
    root_gb: int
    ephemeral_gb: int
    swap_mib: int
    rxtx_factor: float
    is_public: bool
    disabled: bool
    description: str | None
    extra_specs: dict[str, str]

    def resources(self) -> dict[str, int]:
        """Return what a server of this flavor claims of a host, by resource class."""
        return resources_of(
            self.vcpus,
            self.ram_mib,
            self.root_gb + self.ephemeral_gb + (self.swap_mib + 1023) // 1024,
            self.extra_specs,
        )


def resources_of(
    vcpus: int, ram_mib: int, disk_gb: int, extra_specs: dict[str, Any]
) -> dict[str, int]:
    """Return the claim by resource class; `resources:CLASS` extra specs override."""
    claim = {"VCPU": vcpus, "MEMORY_MB": ram_mib, "DISK_GB": disk_gb}
    for key, value in extra_specs.items():
        if key.startswith("resources:") and str(value).isdecimal():
            claim[key.removeprefix("resources:")] = int(value)
    return {name: amount for name, amount in claim.items() if amount > 0}


def traits_of(extra_specs: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the traits that `trait:NAME` extra specs require and forbid."""
    required: list[str] = []
    forbidden: list[str] = []
    for key, value in extra_specs.items():
        if key.startswith("trait:"):
            (required if value == "required" else forbidden).append(key.removeprefix("trait:"))
    return required, forbidden

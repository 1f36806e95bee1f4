"""What this host has: processors, memory, disk, QEMU's version, and traits."""

import os
import platform
import re
from pathlib import Path

from aerostat.services.nova.drivers.base import NodeIdentity
from aerostat.services.nova.drivers.libvirt.domain_xml import HostChoice
from aerostat.services.nova.drivers.process import run
from aerostat.services.nova.drivers.uptime import booted_at
from aerostat.services.nova.model.guest import HostFacts

ABILITIES = (
    "COMPUTE_NODE",
    "COMPUTE_IMAGE_TYPE_AMI",
    "COMPUTE_IMAGE_TYPE_ISO",
    "COMPUTE_IMAGE_TYPE_QCOW2",
    "COMPUTE_IMAGE_TYPE_RAW",
    "COMPUTE_IMAGE_TYPE_VDI",
    "COMPUTE_IMAGE_TYPE_VHD",
    "COMPUTE_IMAGE_TYPE_VHDX",
    "COMPUTE_IMAGE_TYPE_VMDK",
    "COMPUTE_GRAPHICS_MODEL_VGA",
    "COMPUTE_NET_VIF_MODEL_VIRTIO",
    "COMPUTE_STORAGE_BUS_VIRTIO",
    "COMPUTE_STORAGE_BUS_SCSI",
)
NEHALEM = ("cx16", "mmx", "pni", "popcnt", "sse", "sse2", "sse4_1", "sse4_2", "ssse3")
# /proc/cpuinfo's flags as os-traits names them
FLAG_TRAITS = {
    "aes": "AESNI",
    "avx": "AVX",
    "avx2": "AVX2",
    "avx512f": "AVX512F",
    "bmi1": "BMI",
    "bmi2": "BMI2",
    "f16c": "F16C",
    "fma": "FMA3",
    "mmx": "MMX",
    "pni": "SSE3",
    "sse": "SSE",
    "sse2": "SSE2",
    "sse4_1": "SSE41",
    "sse4_2": "SSE42",
    "ssse3": "SSSE3",
}


async def host_facts(identity: NodeIdentity, state: Path, choice: HostChoice) -> HostFacts:
    """Return the totals of this host, as placement and the hypervisor API show them."""
    cpus = os.cpu_count() or 1
    flags = host_flags() if choice.virt_type == "kvm" else list(NEHALEM)
    stat = os.statvfs(state)
    model = "host-passthrough" if choice.virt_type == "kvm" else choice.tcg_cpu_model
    return HostFacts(
        host=identity.host,
        hypervisor_hostname=identity.hypervisor_hostname,
        hypervisor_type="QEMU",
        hypervisor_version=await qemu_version(choice.emulator),
        host_ip=identity.host_ip,
        vcpus=cpus,
        ram_mib=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        disk_gb=stat.f_blocks * stat.f_frsize >> 30,
        cpu_info={
            "arch": platform.machine(),
            "model": model,
            "vendor": "unknown",
            "topology": {"cells": 1, "sockets": 1, "cores": cpus, "threads": 1},
            "features": flags,
        },
        traits=[*ABILITIES, *cpu_traits(flags)],
        booted_at=booted_at(),
    )


async def qemu_version(emulator: str) -> int:
    """Return QEMU's version as libvirt numbers it: 7.2.22 is 7002022."""
    out = (await run(emulator, "--version")).decode()
    found = re.search(r"version (\d+)\.(\d+)\.(\d+)", out)
    major, minor, micro = (int(part) for part in found.groups()) if found else (0, 0, 0)
    return major * 1_000_000 + minor * 1_000 + micro


def host_flags() -> list[str]:
    """Return the processor's feature flags."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return sorted(line.partition(":")[2].split())
    return []


def cpu_traits(flags: list[str]) -> list[str]:
    """Return the traits of those flags that os-traits has a name for."""
    return sorted(f"HW_CPU_X86_{FLAG_TRAITS[flag]}" for flag in flags if flag in FLAG_TRAITS)

"""What a guest uses, from libvirt's own statistics; blocking."""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import libvirt

from aerostat.services.nova.drivers.libvirt import domains
from aerostat.services.nova.model.guest import Diagnostics, DiskUse, NicUse, Traffic

WANTED = (
    libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_BLOCK
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
)
KIB_PER_MIB = 1024


def of(conn: Any, server_id: str) -> Diagnostics:
    """Return the diagnostics of a guest; one that does not run uses nothing."""
    dom = conn.lookupByUUIDString(server_id)
    ((_, stats),) = conn.domainListGetStats([dom], WANTED)
    macs = _macs(dom.XMLDesc())
    return Diagnostics(
        state=domains.power_state(conn, server_id),
        hypervisor=str(conn.getType()).lower(),
        cpu_ns=[stats.get(f"vcpu.{n}.time", 0) for n in range(stats.get("vcpu.current", 0))],
        memory_max_mib=stats.get("balloon.maximum", 0) // KIB_PER_MIB,
        memory_used_mib=stats.get("balloon.rss", 0) // KIB_PER_MIB,
        disks=[_disk(stats, f"block.{n}.") for n in range(stats.get("block.count", 0))],
        nics=[_nic(stats, f"net.{n}.", macs) for n in range(stats.get("net.count", 0))],
    )


def _macs(xml: str) -> dict[str, str]:
    found = {}
    for nic in ElementTree.fromstring(xml).iterfind("devices/interface"):
        mac, target = nic.find("mac"), nic.find("target")
        if mac is not None and target is not None:
            found[target.get("dev", "")] = mac.get("address", "")
    return found


def _disk(stats: Mapping[str, Any], at: str) -> DiskUse:
    return DiskUse(
        device=stats[f"{at}name"],
        read_bytes=stats.get(f"{at}rd.bytes", 0),
        read_requests=stats.get(f"{at}rd.reqs", 0),
        write_bytes=stats.get(f"{at}wr.bytes", 0),
        write_requests=stats.get(f"{at}wr.reqs", 0),
        errors_count=stats.get(f"{at}errors", 0),
    )


def _nic(stats: Mapping[str, Any], at: str, macs: Mapping[str, str]) -> NicUse:
    name = str(stats[f"{at}name"])
    rx, tx = (
        Traffic(*(stats.get(f"{at}{way}.{what}", 0) for what in ("bytes", "pkts", "errs", "drop")))
        for way in ("rx", "tx")
    )
    return NicUse(name, macs.get(name, ""), rx, tx)

"""Live migration as libvirt does it; plain, blocking jobs over a connection."""

import time
from typing import Any
from xml.etree import ElementTree

import libvirt

from aerostat.kit.errors import Conflict
from aerostat.services.nova.model.migration import MigrationStats
from aerostat.services.nova.model.moving import LiveTarget

POLL_S = 0.05
SENSITIVE = libvirt.VIR_DOMAIN_XML_SECURE
FLAGS = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_AUTO_CONVERGE
)


def migrate(
    conn: Any, server_id: str, state_dir: str, target: LiveTarget, copy_disks: bool
) -> MigrationStats:
    """Carry a running guest to the target and return what it took; blocks for all that.

    A guest that has gone already is left so; one that is on its way is waited for.
    Raises: Conflict (given up, failed, or not running; it is still here).
    """
    dom = conn.lookupByUUIDString(server_id)
    while under_way(dom):
        time.sleep(POLL_S)
    if has_left(dom):
        return completed(dom)
    if not dom.isActive():
        raise Conflict("The guest is not running.", code="guest_not_running")
    flags, parameters = FLAGS, _parameters(dom, state_dir, target)
    if copy_disks:
        flags |= libvirt.VIR_MIGRATE_NON_SHARED_INC
        parameters[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = _own_disks(dom)
    else:
        # The hosts have seen each other's files: libvirt knows network filesystems only by name.
        flags |= libvirt.VIR_MIGRATE_UNSAFE
    if target.tls:
        flags |= libvirt.VIR_MIGRATE_TLS
    try:
        dom.migrateToURI3(target.uri, parameters, flags)
    except libvirt.libvirtError as why:
        if has_left(dom):
            return completed(dom)
        aborted = why.get_error_code() == libvirt.VIR_ERR_OPERATION_ABORTED
        code = "migration_aborted" if aborted else "migration_failed"
        raise Conflict("The live migration did not succeed.", code=code, detail=str(why)) from why
    return completed(dom)


def _parameters(dom: Any, state_dir: str, target: LiveTarget) -> dict[str, Any]:
    live = dom.XMLDesc(SENSITIVE | libvirt.VIR_DOMAIN_XML_MIGRATABLE)
    kept = dom.XMLDesc(SENSITIVE | libvirt.VIR_DOMAIN_XML_INACTIVE)
    return {
        libvirt.VIR_MIGRATE_PARAM_URI: target.data_uri,
        libvirt.VIR_MIGRATE_PARAM_DEST_XML: at_target(live, state_dir, target),
        libvirt.VIR_MIGRATE_PARAM_PERSIST_XML: at_target(kept, state_dir, target),
    }


def at_target(xml: str, state_dir: str, target: LiveTarget) -> str:
    """Return a domain as it shall be at the target: its directories, bridges and screen."""
    domain = ElementTree.fromstring(xml.replace(state_dir, target.state_dir))
    bridges = {port.mac: port.bridge for port in target.ports}
    for nic in domain.iterfind("devices/interface"):
        mac, source = nic.find("mac"), nic.find("source")
        if mac is not None and source is not None and mac.get("address") in bridges:
            source.set("bridge", bridges[mac.get("address", "")])
    for graphics in domain.iterfind("devices/graphics"):
        graphics.set("listen", target.vnc_listen)
        for listen in graphics.iterfind("listen"):
            listen.set("address", target.vnc_listen)
    return ElementTree.tostring(domain, encoding="unicode")


def _own_disks(dom: Any) -> list[str]:
    """Return the targets of the disks that the guest writes."""
    devices = ElementTree.fromstring(dom.XMLDesc()).iterfind("devices/disk[@device='disk']")
    targets = [disk.find("target") for disk in devices if disk.find("readonly") is None]
    return [target.get("dev", "") for target in targets if target is not None]


def under_way(dom: Any) -> bool:
    """Tell whether a job of the domain is running."""
    try:
        return bool(dom.isActive() and dom.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE)
    except libvirt.libvirtError as why:
        if why.get_error_code() == libvirt.VIR_ERR_OPERATION_INVALID:
            return False  # it went down in between
        raise


def has_left(dom: Any) -> bool:
    """Tell whether the domain is off here because it runs elsewhere."""
    state, reason = dom.state()
    off = state == libvirt.VIR_DOMAIN_SHUTOFF
    return bool(off and reason == libvirt.VIR_DOMAIN_SHUTOFF_MIGRATED)


def completed(dom: Any) -> MigrationStats:
    """Return what the last migration took; zeros if libvirtd was started anew since."""
    try:
        return _stats(dom.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED))
    except libvirt.libvirtError:
        return MigrationStats()


def running(conn: Any, server_id: str) -> MigrationStats:
    """Return how far the running migration is. Raises: Conflict (there is none)."""
    dom = conn.lookupByUUIDString(server_id)
    if not under_way(dom):
        raise Conflict("No migration of the guest is running.", code="no_migration")
    return _stats(dom.jobStats())


def _stats(told: dict[str, Any]) -> MigrationStats:
    def number(name: str) -> int:
        return int(told.get(name, 0))

    return MigrationStats(
        memory_total_bytes=number(libvirt.VIR_DOMAIN_JOB_MEMORY_TOTAL),
        memory_processed_bytes=number(libvirt.VIR_DOMAIN_JOB_MEMORY_PROCESSED),
        memory_remaining_bytes=number(libvirt.VIR_DOMAIN_JOB_MEMORY_REMAINING),
        disk_total_bytes=number(libvirt.VIR_DOMAIN_JOB_DISK_TOTAL),
        disk_processed_bytes=number(libvirt.VIR_DOMAIN_JOB_DISK_PROCESSED),
        disk_remaining_bytes=number(libvirt.VIR_DOMAIN_JOB_DISK_REMAINING),
        elapsed_ms=number(libvirt.VIR_DOMAIN_JOB_TIME_ELAPSED),
        downtime_ms=told.get(libvirt.VIR_DOMAIN_JOB_DOWNTIME),
    )


def abort(conn: Any, server_id: str) -> bool:
    """Give up a migration if one runs; tell whether the guest is still here."""
    dom = conn.lookupByUUIDString(server_id)
    while under_way(dom):
        try:
            dom.abortJob()
        except libvirt.libvirtError as why:
            if why.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:
                raise
        time.sleep(POLL_S)
    return not has_left(dom)


def force(conn: Any, server_id: str) -> None:
    """Let the guest stand still until its migration has ended. Raises: Conflict (none runs)."""
    dom = conn.lookupByUUIDString(server_id)
    if not under_way(dom):
        raise Conflict("No migration of the guest is running.", code="no_migration")
    dom.suspend()


def description(conn: Any, server_id: str) -> str:
    """Return the domain as it is defined for its next start."""
    return str(conn.lookupByUUIDString(server_id).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))

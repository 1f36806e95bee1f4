"""Jobs on domains for snapshots, rescue and interfaces; plain, blocking, idempotent."""

import time
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, tostring

import libvirt

from aerostat.kit.errors import Unavailable
from aerostat.services.nova.drivers.libvirt.domains import pull_plug

POLL_S = 0.05
DETACH_TRIES = 40
DETACH_WAIT_S = 0.5
COPY = (
    libvirt.VIR_DOMAIN_BLOCK_COPY_SHALLOW
    | libvirt.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT
    | libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB
)


def copy_disk(conn: Any, server_id: str, disk: str, into: str) -> None:
    """Let `into`, an overlay over the same base, hold what a running guest's disk holds now."""
    dom = conn.lookupByUUIDString(server_id)
    target = _target_of(dom, disk)
    try:
        dom.blockJobAbort(target, 0)  # what a killed process left
    except libvirt.libvirtError:
        pass
    element = Element("disk", type="file")
    ElementTree.SubElement(element, "source", file=into)
    ElementTree.SubElement(element, "driver", type="qcow2")
    dom.blockCopy(target, tostring(element, encoding="unicode"), {}, COPY)
    while not _ready(dom.blockJobInfo(target, 0)):
        time.sleep(POLL_S)
    dom.blockJobAbort(target, 0)


def _ready(info: dict[str, int]) -> bool:
    if not info:
        raise Unavailable("The copy of the disk ended by itself.")
    return info["cur"] == info["end"] and info["end"] > 0


def _target_of(dom: Any, path: str) -> str:
    for disk in ElementTree.fromstring(dom.XMLDesc()).iterfind("devices/disk"):
        source, target = disk.find("source"), disk.find("target")
        if source is not None and target is not None and source.get("file") == path:
            return target.get("dev", "")
    raise Unavailable("The guest does not have that disk.")


def replace(conn: Any, server_id: str, xml: str) -> None:
    """Let the guest run as another domain than before, under the same id."""
    old = conn.lookupByUUIDString(server_id)
    wanted = ElementTree.fromstring(xml)
    name = wanted.find("name")
    if name is not None:
        name.text = old.name()
    pull_plug(conn, server_id)
    conn.defineXML(tostring(wanted, encoding="unicode")).create()


def description(conn: Any, server_id: str) -> str:
    """Return the domain as it is defined for its next start."""
    return str(conn.lookupByUUIDString(server_id).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))


def attach(conn: Any, server_id: str, mac: str, xml: str) -> None:
    """Let the guest have a NIC, now if it runs, and at its next start."""
    dom = conn.lookupByUUIDString(server_id)
    if dom.isActive() and _nic(dom, mac, 0) is None:
        dom.attachDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    if _nic(dom, mac, libvirt.VIR_DOMAIN_XML_INACTIVE) is None:
        dom.attachDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def detach(conn: Any, server_id: str, mac: str) -> None:
    """Let the guest have no such NIC; it has to agree while it runs, so it is asked again."""
    dom = conn.lookupByUUIDString(server_id)
    inactive = libvirt.VIR_DOMAIN_XML_INACTIVE
    if (found := _nic(dom, mac, inactive)) is not None:
        dom.detachDeviceFlags(found, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    for _ in range(DETACH_TRIES):
        if not dom.isActive() or (found := _nic(dom, mac, 0)) is None:
            return
        try:
            dom.detachDeviceFlags(found, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        except libvirt.libvirtError as why:
            if why.get_error_code() != libvirt.VIR_ERR_OPERATION_FAILED:
                raise  # else: it is being asked already
        time.sleep(DETACH_WAIT_S)
    raise Unavailable("The guest does not let go of its interface.")


def _nic(dom: Any, mac: str, flags: int) -> str | None:
    for element in ElementTree.fromstring(dom.XMLDesc(flags)).iterfind("devices/interface"):
        address = element.find("mac")
        if address is not None and address.get("address") == mac:
            return tostring(element, encoding="unicode")
    return None

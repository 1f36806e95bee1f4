"""Small jobs on libvirt domains; each is plain, blocking, idempotent, and takes the connection."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import libvirt

from aerostat.kit.errors import Conflict
from aerostat.services.nova.drivers.libvirt.domain_xml import OWN_NS
from aerostat.services.nova.model.guest import GuestState, PowerState

STATES = {
    libvirt.VIR_DOMAIN_RUNNING: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.RUNNING,  # about to: the event will tell
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_CRASHED: PowerState.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.SUSPENDED,
}
UNDEFINE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


def power_state(conn: Any, server_id: str) -> PowerState:
    """Return the state of a guest."""
    return _state(conn.lookupByUUIDString(server_id))


def is_defined(conn: Any, server_id: str) -> bool:
    """Tell whether libvirt knows the guest."""
    return _lookup(conn, server_id) is not None


def free_name(conn: Any, name: str, server_id: str) -> str:
    """Return a guest's name for libvirt: another cloud on this host may have given it away."""
    try:
        holder = conn.lookupByName(name).UUIDString()
    except libvirt.libvirtError as why:
        if why.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return name
    return name if holder == server_id else f"{name}-{server_id[:8]}"


def define(conn: Any, xml: str) -> None:
    """Let the domain exist."""
    conn.defineXML(xml)


def define_and_start(conn: Any, xml: str) -> None:
    """Let the domain exist and run."""
    dom = conn.defineXML(xml)
    if not dom.isActive():
        dom.create()


def start(conn: Any, server_id: str) -> None:
    """Let the guest run, from its managed save if it has one."""
    dom = conn.lookupByUUIDString(server_id)
    if not dom.isActive():
        dom.create()


def press_power_button(conn: Any, server_id: str) -> None:
    """Ask the guest to shut down by itself."""
    dom = conn.lookupByUUIDString(server_id)
    if dom.isActive():
        dom.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)


def kill(conn: Any, server_id: str) -> None:
    """Let the guest not run. A QEMU that hangs is killed, and the calls that wait for it end."""
    dom = _lookup(conn, server_id)
    if dom is not None:
        _off(dom)


def pull_plug(conn: Any, server_id: str) -> None:
    """Let the guest not run, and have no saved memory either."""
    dom = conn.lookupByUUIDString(server_id)
    _off(dom)
    if dom.hasManagedSaveImage():
        dom.managedSaveRemove()


def pause(conn: Any, server_id: str) -> None:
    dom = conn.lookupByUUIDString(server_id)
    if _state(dom) is not PowerState.PAUSED:
        dom.suspend()


def unpause(conn: Any, server_id: str) -> None:
    dom = conn.lookupByUUIDString(server_id)
    if _state(dom) is not PowerState.RUNNING:
        dom.resume()


def suspend(conn: Any, server_id: str) -> None:
    """Save the guest's memory to disk and stop it."""
    dom = conn.lookupByUUIDString(server_id)
    if _state(dom) is not PowerState.SUSPENDED:
        dom.managedSave(0)


def resume(conn: Any, server_id: str) -> None:
    """Go on from the saved memory."""
    dom = conn.lookupByUUIDString(server_id)
    if dom.isActive():
        return
    if not dom.hasManagedSaveImage():
        raise Conflict("The guest is not suspended.", code="guest_state")
    dom.create()


def remove(conn: Any, server_id: str) -> None:
    """Let libvirt know nothing of the guest."""
    dom = _lookup(conn, server_id)
    if dom is None:
        return
    _off(dom)
    try:
        dom.undefineFlags(UNDEFINE)
    except libvirt.libvirtError as why:
        if why.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise


def vnc_port(conn: Any, server_id: str) -> int:
    """Return the TCP port of a running guest's VNC server. Raises: Conflict."""
    dom = conn.lookupByUUIDString(server_id)
    graphics = ElementTree.fromstring(dom.XMLDesc()).find("devices/graphics[@type='vnc']")
    port = int(graphics.get("port", "-1")) if graphics is not None else -1
    if port <= 0:
        raise Conflict("The guest is not running.", code="guest_not_running")
    return port


def ours(conn: Any, state: Path) -> list[GuestState]:
    """Return the guests that this state directory owns."""
    return [
        GuestState(server_id=dom.UUIDString(), power_state=_state(dom))
        for dom in conn.listAllDomains()
        if _owner(dom) == str(state)
    ]


def _lookup(conn: Any, server_id: str) -> Any | None:
    try:
        return conn.lookupByUUIDString(server_id)
    except libvirt.libvirtError as why:
        if why.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def _state(dom: Any) -> PowerState:
    state = STATES.get(dom.state()[0], PowerState.NOSTATE)
    if state is PowerState.SHUTDOWN and dom.hasManagedSaveImage():
        return PowerState.SUSPENDED
    return state


def _off(dom: Any) -> None:
    try:
        if dom.isActive():
            dom.destroyFlags(libvirt.VIR_DOMAIN_DESTROY_DEFAULT)
    except libvirt.libvirtError as why:
        if why.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:
            raise  # it went down by itself in between


def _owner(dom: Any) -> str:
    try:
        text = dom.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, OWN_NS)
    except libvirt.libvirtError:
        return ""
    return ElementTree.fromstring(text).get("state", "")

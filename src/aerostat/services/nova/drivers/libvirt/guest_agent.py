"""What is asked of the agent inside a guest; plain, blocking, takes the connection.

A guest has a way to its agent if its image says hw_qemu_guest_agent=yes.
"""

from typing import Any
from xml.etree import ElementTree

import libvirt

from aerostat.kit.errors import Conflict, Unsupported
from aerostat.services.nova.drivers.libvirt.domain_xml import AGENT_CHANNEL


def set_password(conn: Any, server_id: str, user: str, password: str) -> None:
    """Give a user of the guest a password.

    Raises: Conflict (no way to an agent), Unsupported (no answer).
    """
    dom = conn.lookupByUUIDString(server_id)
    targets = ElementTree.fromstring(dom.XMLDesc()).iterfind("devices/channel/target")
    if not any(target.get("name") == AGENT_CHANNEL for target in targets):
        raise Conflict("QEMU guest agent is not enabled", code="no_guest_agent")
    try:
        dom.setUserPassword(user, password, 0)
    except libvirt.libvirtError as why:
        if why.get_error_code() != libvirt.VIR_ERR_AGENT_UNRESPONSIVE:
            raise
        raise Unsupported("Unable to set password on instance") from why

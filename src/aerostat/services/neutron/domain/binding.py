"""Binds ports to hosts: whether the host's agent can wire the network, and by which bridge."""

from typing import Any

from sqlalchemy import select, update

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.model.wanted import bridge_name
from aerostat.services.neutron.runtime import Call

BRIDGE_AGENT = "Linux bridge agent"
SERVED_AT_ONCE = ("network:dhcp", "network:router_interface", "network:router_gateway")


def configurations(tx: Tx, host: str) -> dict[str, Any] | None:
    """Return what the L2 agent of a host said of itself, None if there is no such agent."""
    c = t.agents.c
    row = tx.first(select(c.configurations).where(c.host == host, c.agent_type == BRIDGE_AGENT))
    return None if row is None else dict(row[0])


def bridge_of(network: Any, configuration: dict[str, Any]) -> str | None:
    """Return the bridge that a network has on a host, None if the host cannot have it."""
    if network.network_type != "flat":
        return bridge_name(network.id)
    mapped = configuration.get("bridge_mappings", {}).get(network.physical_network)
    if mapped:
        return str(mapped)
    known = network.physical_network in configuration.get("interface_mappings", {})
    return bridge_name(network.id) if known else None


def bind(tx: Tx, call: Call, port_id: str, network: Any, host: str) -> bool:
    """Bind a port; tell whether the host can have its network."""
    found = configurations(tx, host)
    good = found is not None and bridge_of(network, found) is not None
    stmt = update(t.ports).where(t.ports.c.id == port_id)
    tx.run(stmt.values(host=host, vif_type="bridge" if good else "binding_failed", status="DOWN"))
    tx.run(stmt.where(t.ports.c.device_owner.in_(SERVED_AT_ONCE)).values(status="ACTIVE"))
    return good


def unbind(tx: Tx, port_id: str) -> None:
    stmt = update(t.ports).where(t.ports.c.id == port_id)
    tx.run(stmt.values(host="", vif_type="unbound", status="DOWN"))

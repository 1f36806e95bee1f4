"""The DHCP server of a network: one port, on one host, with an address in each subnet it serves."""

import uuid
from typing import Any

from sqlalchemy import select, update

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.domain import addresses, living, rows
from aerostat.services.neutron.runtime import Call

OWNER = "network:dhcp"
P = t.ports.c


def device_id(host: str, network_id: str) -> str:
    """Return what upstream's agent calls the server of a network on a host."""
    return f"dhcp{uuid.uuid5(uuid.NAMESPACE_DNS, host)}-{network_id}"


def port_of(tx: Tx, network_id: str) -> Any:
    """Return the DHCP port of a network, None if nobody serves it."""
    return tx.first(select(t.ports).where(P.network_id == network_id, P.device_owner == OWNER))


def _has_room(tx: Tx, subnet: Any) -> bool:
    return addresses.is_auto(subnet) or addresses.next_free(tx, subnet) is not None


def serve(tx: Tx, call: Call, network: Any, host: str = "") -> None:
    """See to it that somebody serves a network that has ports: `host` if it can, or another."""
    if network.dhcp_host and port_of(tx, network.id) is not None:
        return
    near = host if host in living.hosts(tx, call, "DHCP agent") else ""
    host = network.dhcp_host or near or living.least_loaded(tx, call, "DHCP agent")
    if host:
        assign(tx, network.id, host)
        settle(tx, call, network, host)


def assign(tx: Tx, network_id: str, host: str) -> None:
    """Let a network be served on a host, "" for nowhere."""
    c = t.networks.c
    tx.run(update(t.networks).where(c.id == network_id).values(dhcp_host=host))


def settle(tx: Tx, call: Call, network: Any, host: str = "") -> None:
    """Bring the DHCP port of a network to what its subnets ask for.

    Without a host (given, or assigned) only a server that is there already is changed.
    """
    host = host or network.dhcp_host
    served = [s for s in addresses.subnets_of(tx, network.id) if s.enable_dhcp]
    port = port_of(tx, network.id)
    if port is None and served and host:
        port = _add(tx, call, network, host)
    if port is None:
        return
    held = {
        row.subnet_id: row.ip_address
        for row in tx.all(select(t.addresses).where(t.addresses.c.port_id == port.id))
    }
    wanted = {s.id for s in served if s.id in held or _has_room(tx, s)}
    if not wanted:
        addresses.release(tx, port.id)
        rows.remove(tx, t.ports, port.id)
    elif wanted != set(held):
        keep = [{"subnet_id": s, "ip_address": ip} for s, ip in held.items() if s in wanted]
        more = [{"subnet_id": s} for s in sorted(wanted - set(held))]
        addresses.replace(tx, port._asdict(), keep + more, served)


def _add(tx: Tx, call: Call, network: Any, host: str) -> Any:
    key = rows.add(
        tx,
        call,
        t.ports,
        {
            "project_id": network.project_id,
            "network_id": network.id,
            "mac_address": _mac(call),
            "device_id": device_id(host, network.id),
            "device_owner": OWNER,
            "host": host,
            "vif_type": "bridge",
            "status": "ACTIVE",
            "port_security_enabled": False,
            "profile": {},
            "allowed_address_pairs": [],
            "extra_dhcp_opts": [],
        },
    )
    return tx.first(select(t.ports).where(P.id == key))


def _mac(call: Call) -> str:
    digits = call.neutron.new_id()[:6]
    return ":".join((call.config.base_mac, digits[:2], digits[2:4], digits[4:6]))


def move(tx: Tx, network_id: str, host: str) -> None:
    """Let the server of a network be on another host."""
    assign(tx, network_id, host)
    stmt = update(t.ports).where(P.network_id == network_id, P.device_owner == OWNER)
    tx.run(stmt.values(host=host, device_id=device_id(host, network_id)))

"""What is left on dead hosts goes to living ones: DHCP servers of networks, and routers.

Source: neutron configuration reference, allow_automatic_dhcp_failover,
allow_automatic_l3agent_failover.
"""

from typing import Any

from sqlalchemy import select

from aerostat.kit.db.among import among
from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.domain import dhcp, living, notices, scheduling
from aerostat.services.neutron.runtime import Call

N, R = t.networks.c, t.routers.c


def stranded(tx: Tx, call: Call) -> tuple[list[Any], list[Any]]:
    """Return the networks and the routers whose host has no living agent for them."""
    networks: list[Any] = []
    routers: list[Any] = []
    if call.config.allow_automatic_dhcp_failover:
        hosts = living.hosts(tx, call, "DHCP agent")
        stmt = select(t.networks).where(N.dhcp_host != "").order_by(N.id)
        networks = [] if not hosts else list(tx.all(stmt.where(~among(N.dhcp_host, hosts))))
    if call.config.allow_automatic_l3agent_failover:
        hosts = living.hosts(tx, call, "L3 agent")
        stmt = select(t.routers).where(R.host != "").order_by(R.id)
        routers = [] if not hosts else list(tx.all(stmt.where(~among(R.host, hosts))))
    return networks, routers


def reschedule(tx: Tx, call: Call) -> list[str]:
    """Move what is stranded; return the ids of it."""
    networks, routers = stranded(tx, call)
    for network in networks:
        host = living.least_loaded(tx, call, "DHCP agent")
        dhcp.move(tx, network.id, host)
        notices.changed(tx, call, [network.id], [network.dhcp_host, host])
    for router in routers:
        scheduling.place(tx, call, router, living.least_loaded(tx, call, "L3 agent"))
    return [row.id for row in (*networks, *routers)]

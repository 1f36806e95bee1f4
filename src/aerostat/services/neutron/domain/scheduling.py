"""Which agent serves which network and router."""

from typing import Any

from sqlalchemy import select

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import collection
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.db.collections import NETWORKS, ROUTERS
from aerostat.services.neutron.domain import agents
from aerostat.services.neutron.runtime import Call

P, C = t.ports.c, t.agents.c
Views = list[dict[str, Any]]


def networks_of(tx: Tx, call: Call, agent_id: str) -> Views:
    """Return the networks whose DHCP server is on the agent's host. Raises: NotFound."""
    agent = agents.get(tx, agent_id)
    served = select(P.network_id).where(P.device_owner == "network:dhcp", P.host == agent.host)
    return NETWORKS.view(tx, tx.all(select(t.networks).where(t.networks.c.id.in_(served))))


def routers_of(tx: Tx, call: Call, agent_id: str) -> Views:
    """Return the routers on the agent's host. Raises: NotFound."""
    agent = agents.get(tx, agent_id)
    return ROUTERS.view(tx, tx.all(select(t.routers).where(t.routers.c.host == agent.host)))


def dhcp_agents(tx: Tx, call: Call, network_id: str) -> Views:
    """Return the agents that serve a network. Raises: NotFound."""
    collection.get(tx, NETWORKS, call.ctx, network_id)
    hosts = select(P.host).where(P.device_owner == "network:dhcp", P.network_id == network_id)
    stmt = select(t.agents).where(C.agent_type == "DHCP agent", C.host.in_(hosts))
    return [agents.view(call, row) for row in tx.all(stmt)]


def l3_agents(tx: Tx, call: Call, router_id: str) -> Views:
    """Return the agent that has a router. Raises: NotFound."""
    router = collection.get(tx, ROUTERS, call.ctx, router_id)
    stmt = select(t.agents).where(C.agent_type == "L3 agent", C.host == router.host)
    return [{**agents.view(call, row), "ha_state": None} for row in tx.all(stmt)]

"""Which agent serves which network and router."""

from typing import Any

from sqlalchemy import select, update

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import collection
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.db.collections import NETWORKS, ROUTERS
from aerostat.services.neutron.domain import agents, binding, dhcp, notices, ports, rows
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.runtime import Call

P, C = t.ports.c, t.agents.c
Views = list[dict[str, Any]]


def networks_of(tx: Tx, call: Call, agent_id: str) -> Views:
    """Return the networks whose DHCP server is on the agent's host. Raises: NotFound."""
    agent = agents.get(tx, agent_id)
    stmt = select(t.networks).where(t.networks.c.dhcp_host == agent.host)
    return NETWORKS.view(tx, tx.all(stmt))


def routers_of(tx: Tx, call: Call, agent_id: str) -> Views:
    """Return the routers on the agent's host. Raises: NotFound."""
    agent = agents.get(tx, agent_id)
    return ROUTERS.view(tx, tx.all(select(t.routers).where(t.routers.c.host == agent.host)))


def dhcp_agents(tx: Tx, call: Call, network_id: str) -> Views:
    """Return the agents that serve a network. Raises: NotFound."""
    network = collection.get(tx, NETWORKS, call.ctx, network_id)
    stmt = select(t.agents).where(C.agent_type == "DHCP agent", C.host == network.dhcp_host)
    return [agents.view(call, row) for row in tx.all(stmt)]


def l3_agents(tx: Tx, call: Call, router_id: str) -> Views:
    """Return the agent that has a router. Raises: NotFound."""
    router = collection.get(tx, ROUTERS, call.ctx, router_id)
    stmt = select(t.agents).where(C.agent_type == "L3 agent", C.host == router.host)
    return [{**agents.view(call, row), "ha_state": None} for row in tx.all(stmt)]


def add_network(tx: Tx, call: Call, agent_id: str, network_id: str) -> None:
    """Let the agent serve a network. Raises: NotFound, Conflict (it does)."""
    agent = agents.get(tx, agent_id)
    network = collection.get(tx, NETWORKS, call.ctx, network_id)
    if network.dhcp_host == agent.host:
        raise faults.conflict(
            "NetworkHostedByDHCPAgent",
            f"The network {network_id} has been already hosted by the DHCP Agent {agent_id}.",
        )
    dhcp.move(tx, network_id, agent.host)
    dhcp.settle(tx, call, network, agent.host)
    notices.changed(tx, call, [network_id], [network.dhcp_host, agent.host])


def remove_network(tx: Tx, call: Call, agent_id: str, network_id: str) -> None:
    """Let the agent serve a network no more. Raises: NotFound, Conflict (it does not)."""
    agent, network = agents.get(tx, agent_id), collection.get(tx, NETWORKS, call.ctx, network_id)
    if network.dhcp_host != agent.host:
        raise faults.conflict(
            "NetworkNotHostedByDhcpAgent",
            f"The network {network_id} is not hosted by the DHCP agent {agent_id}.",
        )
    dhcp.assign(tx, network_id, "")
    port = dhcp.port_of(tx, network_id)
    if port is not None:
        ports.drop(tx, port.id)
    notices.changed(tx, call, [network_id], [agent.host])


def add_router(tx: Tx, call: Call, agent_id: str, router_id: str) -> None:
    """Give a router to the agent. Raises: NotFound, Conflict (another has it)."""
    agent, router = agents.get(tx, agent_id), collection.get(tx, ROUTERS, call.ctx, router_id)
    if router.host == agent.host:
        return
    if router.host:
        raise faults.conflict(
            "RouterHostedByL3Agent",
            f"The router {router_id} has been already hosted by the L3 Agent {agent_id}.",
        )
    place(tx, call, router, agent.host)


def remove_router(tx: Tx, call: Call, agent_id: str, router_id: str) -> None:
    """Take a router from the agent. Raises: NotFound, Conflict (it has it not)."""
    agent, router = agents.get(tx, agent_id), collection.get(tx, ROUTERS, call.ctx, router_id)
    if router.host != agent.host:
        raise faults.conflict(
            "RouterNotHostedByL3Agent",
            f"The router {router_id} is not hosted by L3 agent {agent_id}.",
        )
    place(tx, call, router, "")


def place(tx: Tx, call: Call, router: Any, host: str) -> None:
    """Put a router on a host, "" for nowhere."""
    tx.run(update(t.routers).where(t.routers.c.id == router.id).values(host=host))
    networks = []
    stmt = select(P.id, P.network_id).where(
        P.device_id == router.id, P.device_owner.like("network:router%")
    )
    for port in tx.all(stmt):
        networks.append(port.network_id)
        if host:
            network = rows.by_id(tx, t.networks, port.network_id)
            binding.bind(tx, call, port.id, network, host)
        else:
            binding.unbind(tx, port.id)
    notices.changed(tx, call, networks, [router.host, host])

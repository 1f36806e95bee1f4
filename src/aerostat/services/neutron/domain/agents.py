"""Agents: who reported, when, and what of theirs is up."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import and_, insert, select, update

from aerostat.kit.clock import iso
from aerostat.kit.db.among import among
from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.agent.endpoint import AgentReport
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.domain import binding, notices, rows
from aerostat.services.neutron.domain.access import network_of
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.runtime import Call

C, P, R = t.agents.c, t.ports.c, t.routers.c
TOPICS = {
    "DHCP agent": "dhcp_agent",
    "L3 agent": "l3_agent",
    "Linux bridge agent": "N/A",
    "Metadata agent": "N/A",
}
ZONED = ("DHCP agent", "L3 agent")
OUTSIDE = "network:%"


class Reported(Struct, frozen=True):
    """A host's report: its agents, and its ports that are up (None: they do not know)."""

    host: str
    agents: list[AgentReport]
    ports_up: list[str] | None


def report(tx: Tx, call: Call, said: Reported) -> list[tuple[str, str]]:
    """Record a report; return (server id, port id) of the ports that came up by it."""
    for agent in said.agents:
        _upsert(tx, call, said.host, agent)
    if any(agent.agent_type == "L3 agent" for agent in said.agents):
        _adopt_routers(tx, call, said.host)
    return (
        [] if said.ports_up is None else _settle_statuses(tx, call, said.host, set(said.ports_up))
    )


def _upsert(tx: Tx, call: Call, host: str, agent: AgentReport) -> None:
    alive = {"heartbeat": call.now, "configurations": agent.configurations}
    stmt = update(t.agents).where(C.host == host, C.agent_type == agent.agent_type)
    if tx.run(stmt.values(**alive)):
        return
    values = {
        "id": call.neutron.new_id(),
        "host": host,
        "agent_type": agent.agent_type,
        "binary": agent.binary,
        "topic": TOPICS.get(agent.agent_type, "N/A"),
        "availability_zone": "nova" if agent.agent_type in ZONED else None,
        "admin_state_up": True,
        "created_at": call.now,
        "started_at": call.now,
    }
    tx.run(insert(t.agents), {**values, **alive})


def apart(tx: Tx, host: str) -> list[str]:
    """Return the binaries of the host's agents that have to be told of changes by themselves."""
    found = tx.all(select(C.binary, C.configurations).where(C.host == host).order_by(C.binary))
    return [row.binary for row in found if row.configurations.get("apart")]


def _settle_statuses(tx: Tx, call: Call, host: str, up: set[str]) -> list[tuple[str, str]]:
    mine = and_(P.host == host, P.device_owner.not_like(OUTSIDE), P.vif_type == "bridge")
    found = tx.all(select(P.id, P.status, P.device_id).where(mine))
    came = [row for row in found if row.id in up and row.status != "ACTIVE"]
    went = [row.id for row in found if row.id not in up and row.status == "ACTIVE"]
    for ids, status in (([row.id for row in came], "ACTIVE"), (went, "DOWN")):
        if ids:
            tx.run(
                update(t.ports)
                .where(among(P.id, ids))
                .values(status=status, revision_number=P.revision_number + 1)
            )
    return [(row.device_id, row.id) for row in came if row.device_id]


def _adopt_routers(tx: Tx, call: Call, host: str) -> None:
    """Give routers that were made before any agent lived to this host."""
    for router in tx.all(select(t.routers).where(R.host == "")):
        tx.run(update(t.routers).where(R.id == router.id).values(host=host))
        for port in tx.all(select(t.ports).where(P.device_id == router.id)):
            if port.device_owner.startswith("network:router"):
                binding.bind(tx, call, port.id, network_of(tx, port.network_id), host)
        notices.changed(tx, call, hosts=[host])


def view(call: Call, row: Any) -> dict[str, Any]:
    """Return an agent as it is shown."""
    return {
        "id": row.id,
        "agent_type": row.agent_type,
        "binary": row.binary,
        "topic": row.topic,
        "host": row.host,
        "admin_state_up": row.admin_state_up,
        "alive": row.heartbeat >= call.now - call.config.agent_down_time_s,
        "availability_zone": row.availability_zone,
        "configurations": row.configurations,
        "created_at": _stamp(row.created_at),
        "started_at": _stamp(row.started_at),
        "heartbeat_timestamp": _stamp(row.heartbeat),
        "description": row.description,
        "resources_synced": None,
        "resource_versions": {},
    }


def _stamp(seconds: float) -> str:
    return str(iso(seconds, zone="")).replace("T", " ")


def index(tx: Tx, call: Call, filters: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Return the agents whose attributes have one of the values asked for."""
    stmt = select(t.agents).order_by(C.host, C.agent_type)
    shown: Sequence[dict[str, Any]] = [view(call, row) for row in tx.all(stmt)]
    return [
        one
        for one in shown
        if all(
            str(one.get(name)).lower() in [v.lower() for v in values]
            for name, values in filters.items()
        )
    ]


def get(tx: Tx, key: str) -> Any:
    """Raises: NotFound."""
    row = rows.by_id(tx, t.agents, key)
    if row is None:
        raise faults.not_found("agent", key)
    return row


def change(tx: Tx, call: Call, key: str, values: dict[str, Any]) -> dict[str, Any]:
    get(tx, key)
    tx.run(update(t.agents).where(C.id == key).values(**values))
    return view(call, get(tx, key))


def remove(tx: Tx, key: str) -> None:
    get(tx, key)
    tx.run(t.agents.delete().where(C.id == key))

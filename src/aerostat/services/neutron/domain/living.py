"""Which host takes on more: the living one that has the least."""

from sqlalchemy import func, select

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.runtime import Call

C, R = t.agents.c, t.routers.c


def least_loaded(tx: Tx, call: Call, kind: str) -> str:
    """Return the living host of a kind of agent ("DHCP agent", "L3 agent"), "" if there is none."""
    stmt = select(C.host).where(
        C.agent_type == kind,
        C.admin_state_up.is_(True),
        C.heartbeat >= call.now - call.config.agent_down_time_s,
    )
    hosts = [str(row[0]) for row in tx.all(stmt)]
    if len(hosts) < 2:
        return hosts[0] if hosts else ""
    load = _load(tx, kind)
    return min(hosts, key=lambda host: (load.get(host, 0), host))


def _load(tx: Tx, kind: str) -> dict[str, int]:
    if kind == "L3 agent":
        stmt = select(R.host, func.count()).group_by(R.host)
    else:
        host = t.networks.c.dhcp_host
        stmt = select(host, func.count()).group_by(host)
    return {host: count for host, count in tx.all(stmt)}

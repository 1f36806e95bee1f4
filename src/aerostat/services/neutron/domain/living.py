"""Which host takes on more: the living one that has the least."""

from sqlalchemy import func, select

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.runtime import Call

C, R = t.agents.c, t.routers.c


def hosts(tx: Tx, call: Call, kind: str) -> list[str]:
    """Return the hosts with a living, enabled agent of a kind ("DHCP agent", "L3 agent")."""
    stmt = select(C.host).where(
        C.agent_type == kind,
        C.admin_state_up.is_(True),
        C.heartbeat >= call.now - call.config.agent_down_time_s,
    )
    return [str(row[0]) for row in tx.all(stmt.order_by(C.host))]


def least_loaded(tx: Tx, call: Call, kind: str) -> str:
    """Return the living host that has the least, "" if there is none."""
    found = hosts(tx, call, kind)
    if len(found) < 2:
        return found[0] if found else ""
    load = _load(tx, kind)
    return min(found, key=lambda host: (load.get(host, 0), host))


def _load(tx: Tx, kind: str) -> dict[str, int]:
    if kind == "L3 agent":
        stmt = select(R.host, func.count()).group_by(R.host)
    else:
        host = t.networks.c.dhcp_host
        stmt = select(host, func.count()).group_by(host)
    return {host: count for host, count in tx.all(stmt)}

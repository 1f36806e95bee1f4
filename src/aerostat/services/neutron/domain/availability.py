"""How many addresses networks have and how many of them are used."""

import ipaddress
from collections import defaultdict
from typing import Any

from sqlalchemy import func, select

from aerostat.kit.db.among import among
from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import tables as t


def availability(tx: Tx, filters: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Return totals and uses by network. Source: api-ref, network-ip-availability."""
    n = t.networks.c
    columns = {"network_id": n.id, "network_name": n.name, "project_id": n.project_id}
    columns["tenant_id"] = n.project_id
    stmt = select(t.networks).order_by(n.created_at)
    for name, values in filters.items():
        if name in columns:
            stmt = stmt.where(columns[name].in_(values))
    networks = tx.all(stmt)
    ids = [row.id for row in networks]
    subnets: dict[str, list[Any]] = defaultdict(list)
    for row in tx.all(select(t.subnets).where(among(t.subnets.c.network_id, ids))):
        subnets[row.network_id].append(row)
    a = t.addresses.c
    counted = select(a.subnet_id, func.count()).where(among(a.network_id, ids))
    used = dict(map(tuple, tx.all(counted.group_by(a.subnet_id))))
    version = int(filters.get("ip_version", ["0"])[-1] or 0)
    return [
        _network(row, [s for s in subnets[row.id] if version in (0, s.ip_version)], used)
        for row in networks
        if not version or subnets[row.id]
    ]


def _network(row: Any, subnets: list[Any], used: dict[str, int]) -> dict[str, Any]:
    parts = [
        {
            "subnet_id": s.id,
            "subnet_name": s.name,
            "cidr": s.cidr,
            "ip_version": s.ip_version,
            "total_ips": _total(s),
            "used_ips": used.get(s.id, 0),
        }
        for s in subnets
    ]
    return {
        "network_id": row.id,
        "network_name": row.name,
        "tenant_id": row.project_id,
        "project_id": row.project_id,
        "total_ips": sum(p["total_ips"] for p in parts),
        "used_ips": sum(p["used_ips"] for p in parts),
        "subnet_ip_availability": parts,
    }


def _total(subnet: Any) -> int:
    ip = ipaddress.ip_address
    return sum(int(ip(p["end"])) - int(ip(p["start"])) + 1 for p in subnet.allocation_pools)

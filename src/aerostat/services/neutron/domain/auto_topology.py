"""A project's automatic network: subnets of the default pools, a router to the default way out.

Made once for each project, by the first who asks, in one transaction.
Source: networking api-ref, "Auto allocated topologies".
"""

from typing import Any

from sqlalchemy import insert, select

from aerostat.kit.context import system_context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict, Forbidden
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.domain import networks, routers, rows, subnets
from aerostat.services.neutron.domain.access import authorize
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.runtime import Call

T, P = t.auto_topologies.c, t.subnetpools.c


def project_of(call: Call, asked: str, action: str) -> str:
    """Return the project that is meant; clients write None for their own. Raises: Forbidden."""
    project = call.ctx.project_id if asked == "None" else asked
    if project != call.ctx.project_id and not call.ctx.is_admin:
        raise Forbidden("Not authorized.", code="NotAuthorized")
    authorize(call, action, {"project_id": project, "tenant_id": project})
    return project


def check(tx: Tx, project: str) -> None:
    """Raises: Conflict (there is no topology, and what it would be made of is not there)."""
    if _row(tx, project) is None:
        _way_out(tx)
        _pools(tx)


def ensure(tx: Tx, call: Call, project: str) -> str:
    """Return the id of the project's network, made if there is none yet.

    Raises: Conflict (no default external network, no default pool, no room), QuotaExceeded.
    """
    found = _row(tx, project)
    return str(found.network_id) if found is not None else _make(tx, _cloud(call), project)


def remove(tx: Tx, call: Call, project: str) -> None:
    """Delete the topology; none is fine. Raises: Conflict (something uses it)."""
    found, cloud = _row(tx, project), _cloud(call)
    if found is None:
        return
    router = rows.by_id(tx, t.routers, found.router_id)
    if router is not None:
        for port in routers.interfaces(tx, router.id):
            routers.remove_interface(tx, cloud, router, {"port_id": port.id})
        routers.delete(tx, cloud, router)
    networks.delete(tx, cloud, rows.by_id(tx, t.networks, found.network_id))


def _row(tx: Tx, project: str) -> Any:
    return tx.first(select(t.auto_topologies).where(T.project_id == project))


def _cloud(call: Call) -> Call:
    """Return the operation as the cloud's own: members may do none of it on the default things."""
    return Call(system_context(call.ctx.request_id), call.neutron, call.now)


def _failure(reason: str) -> Conflict:
    return faults.conflict("AutoAllocationFailure", f"Deployment error: {reason}.")


def _way_out(tx: Tx) -> str:
    found = networks.default_external(tx)
    if found is None:
        raise _failure("No default router:external network")
    return found


def _pools(tx: Tx) -> list[Any]:
    stmt = select(P.id, P.ip_version).where(P.is_default.is_(True)).order_by(P.ip_version, P.id)
    found = tx.all(stmt)
    if not found:
        raise _failure("No default subnetpools defined")
    return list(found)


def _make(tx: Tx, call: Call, project: str) -> str:
    way_out, pools = _way_out(tx), _pools(tx)
    named = {"name": "auto_allocated_network", "project_id": project}
    network_id = networks.create(tx, call, {**named, "availability_zone_hints": []}, set())
    try:
        made = [_subnet(tx, call, project, network_id, pool) for pool in pools]
    except (faults.BadRequest, Conflict) as why:
        raise _failure("Unable to provide tenant private network") from why
    router = {"name": "auto_allocated_router", "project_id": project}
    router["external_gateway_info"] = {"network_id": way_out}  # type: ignore[assignment]
    try:
        router_id = routers.create(tx, call, {**router, "availability_zone_hints": []}, set())
        for subnet_id in made:
            row = rows.by_id(tx, t.routers, router_id)
            routers.add_interface(tx, call, row, {"subnet_id": subnet_id})
    except faults.BadRequest as why:
        raise _failure("Unable to provide external connectivity") from why
    values = {"project_id": project, "network_id": network_id, "router_id": router_id}
    tx.run(insert(t.auto_topologies), values)
    return network_id


def _subnet(tx: Tx, call: Call, project: str, network_id: str, pool: Any) -> str:
    values = {
        "name": f"auto_allocated_subnet_v{pool.ip_version}",
        "project_id": project,
        "network_id": network_id,
        "ip_version": pool.ip_version,
        "subnetpool_id": pool.id,
        "dns_nameservers": [],
        "host_routes": [],
        "service_types": [],
    }
    return subnets.create(tx, call, values, set())

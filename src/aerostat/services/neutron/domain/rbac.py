"""RBAC policies: with which projects, or with everybody (`*`), a network is shared or external.

The columns `shared` and `external` of a network say what holds for everybody; `restricted` says
that it is external, but only for those whom policies name. Here they are kept in step.
Source: networking api-ref, "RBAC policies".
"""

from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select
from sqlalchemy import update as sql_update

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict, NotFound
from aerostat.services.neutron.db import collection
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.db.collections import EVERYBODY, EXTERNAL, NETWORKS, SHARED
from aerostat.services.neutron.domain import quotas, rows
from aerostat.services.neutron.domain.access import authorize, network_of, owner_of, target
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.runtime import Call

R, P = t.network_rbacs.c, t.ports.c
FOR_ALL: dict[str, dict[str, bool]] = {
    SHARED: {"shared": True},
    EXTERNAL: {"external": True, "restricted": False},
}
FOR_SOME: dict[str, dict[str, bool]] = {SHARED: {"shared": False}, EXTERNAL: {"restricted": True}}
SERVED = ("network:dhcp", "network:floatingip")


def create(tx: Tx, call: Call, values: dict[str, Any], given: set[str]) -> str:
    """Make a policy. Raises: Forbidden, BadRequest, Conflict (there is one), QuotaExceeded."""
    kind, action = str(values["object_type"]).strip().lower(), values["action"]
    if kind != "network":
        raise faults.bad(
            "InvalidInput", f"'{values['object_type']}' is not a valid RBAC object type"
        )
    if action not in FOR_ALL:
        raise faults.invalid(
            f"Invalid action '{action}' for object type 'network'. "
            f"Valid actions: {', '.join(sorted(FOR_ALL))}",
            "action",
        )
    owner = owner_of(call, values)
    authorize(call, "create_rbac_policy", target(call, {**values, "project_id": owner}), given)
    network = _own_network(tx, call, values["object_id"])
    quotas.check(tx, call, "rbac_policy", owner)
    wanted = values["target_tenant"]
    _check_new(tx, network.id, action, wanted)
    if action == EXTERNAL and wanted != EVERYBODY and not network.external:
        rows.change(tx, call, t.networks, network.id, {"external": True, "restricted": True})
    if wanted == EVERYBODY:
        rows.change(tx, call, t.networks, network.id, FOR_ALL[action])
    return _add(tx, call, network, owner, (action, wanted))


def _own_network(tx: Tx, call: Call, key: str) -> Any:
    try:
        network = collection.get(tx, NETWORKS, call.ctx, key)
    except NotFound as why:
        raise faults.bad("InvalidInput", why.message) from why
    if not call.ctx.is_admin and network.project_id != call.ctx.project_id:
        raise faults.invalid("Only admins can manipulate policies on networks they do not own")
    return network


def _where(network_id: str, action: str, *conditions: ColumnElement[bool]) -> Any:
    return (R.object_id == network_id, R.action == action, *conditions)


def _allows(tx: Tx, network_id: str, action: str, wanted: str) -> bool:
    """Tell whether a policy names just this project, or everybody."""
    same = _where(network_id, action, R.target_project == wanted)
    return tx.first(select(R.id).where(*same)) is not None


def _check_new(tx: Tx, network_id: str, action: str, wanted: str) -> None:
    if _allows(tx, network_id, action, wanted):
        raise faults.conflict(
            "DuplicateRbacPolicy", "An RBAC policy already exists with those values."
        )


def _add(tx: Tx, call: Call, network: Any, owner: str, what: tuple[str, str]) -> str:
    key = call.neutron.new_id()
    values = {"id": key, "project_id": owner, "object_id": network.id}
    tx.run(insert(t.network_rbacs), {**values, "action": what[0], "target_project": what[1]})
    return key


def update(tx: Tx, call: Call, row: Any, values: dict[str, Any]) -> None:
    """Name another project. Raises: Forbidden, BadRequest, Conflict (the old one needs it)."""
    aim = target(call, {**row._asdict(), "target_tenant": row.target_project, **values})
    authorize(call, "update_rbac_policy", aim, values)
    new = values.get("target_tenant", row.target_project)
    if new == row.target_project:
        return
    network = _own_network(tx, call, row.object_id)
    _check_new(tx, network.id, row.action, new)
    _check_unneeded(tx, row, new)
    tx.run(sql_update(t.network_rbacs).where(R.id == row.id).values(target_project=new))
    change = FOR_ALL if new == EVERYBODY else FOR_SOME if row.target_project == EVERYBODY else {}
    if row.action in change:
        rows.change(tx, call, t.networks, network.id, change[row.action])


def remove(tx: Tx, call: Call, row: Any) -> None:
    """Delete a policy; without any, a network is not external. Raises: Forbidden, Conflict."""
    authorize(call, "delete_rbac_policy", target(call, row._asdict()))
    _check_unneeded(tx, row)
    tx.run(delete(t.network_rbacs).where(R.id == row.id))
    left = tx.first(select(R.id).where(*_where(row.object_id, row.action)).limit(1))
    if row.action == EXTERNAL and left is None:
        inward = {"external": False, "restricted": False}
        rows.change(tx, call, t.networks, row.object_id, inward)
    elif row.target_project == EVERYBODY:
        rows.change(tx, call, t.networks, row.object_id, FOR_SOME[row.action])


def open_to_all(tx: Tx, call: Call, network: Any, action: str) -> None:
    """Let there be a policy for everybody, as the attribute of a network says."""
    if not _allows(tx, network.id, action, EVERYBODY):
        _add(tx, call, network, network.project_id, (action, EVERYBODY))


def unshare(tx: Tx, network: Any) -> None:
    """Let there be no policy that shares a network with everybody. Raises: Conflict."""
    check_strangers(tx, network, EVERYBODY)
    tx.run(
        delete(t.network_rbacs).where(*_where(network.id, SHARED, R.target_project == EVERYBODY))
    )


def internalise(tx: Tx, network: Any) -> None:
    """Let there be no policy that makes a network external."""
    tx.run(delete(t.network_rbacs).where(*_where(network.id, EXTERNAL)))


def check_strangers(tx: Tx, network: Any, wanted: str) -> None:
    """Raises: Conflict (ports are on the network by grace of sharing it with `wanted`)."""
    stmt = select(func.count()).where(
        P.network_id == network.id, P.project_id != "", P.device_owner.not_in(SERVED)
    )
    if wanted == EVERYBODY:
        named = select(R.target_project).where(*_where(network.id, SHARED))
        stmt = stmt.where(P.project_id != network.project_id, P.project_id.not_in(named))
    elif wanted == network.project_id or _allows(tx, network.id, SHARED, EVERYBODY):
        return
    else:
        stmt = stmt.where(P.project_id == wanted)
    if tx.scalar(stmt):
        raise faults.conflict(
            "InvalidSharedSetting",
            f"Unable to reconfigure sharing settings for network {network.id}. "
            "Multiple tenants are using it.",
        )


def _check_unneeded(tx: Tx, row: Any, new: str = "") -> None:
    network = network_of(tx, row.object_id)
    try:
        if row.action == SHARED:
            check_strangers(tx, network, row.target_project)
        else:
            _check_routers(tx, network, row.target_project, new)
    except Conflict as why:
        raise faults.conflict(
            "RbacPolicyInUse",
            f"RBAC policy on object {row.object_id} cannot be removed because other objects "
            f"depend on it.\nDetails: {why.message}",
        ) from why


def _check_routers(tx: Tx, network: Any, wanted: str, new: str) -> None:
    c = t.routers.c
    gateways = select(P.id).where(
        P.network_id == network.id, P.device_owner == "network:router_gateway"
    )
    stmt = select(func.count()).where(c.gw_port_id.in_(gateways))
    if wanted != EVERYBODY:
        if _allows(tx, network.id, EXTERNAL, EVERYBODY):
            return
        stmt = stmt.where(c.project_id == wanted)
    elif network.is_default:
        raise Conflict("Default external networks must be shared to everyone.")
    else:
        named = select(R.target_project).where(
            *_where(network.id, EXTERNAL, R.target_project != EVERYBODY)
        )
        stmt = stmt.where(c.project_id.not_in(named), c.project_id != new)
    if tx.scalar(stmt):
        raise Conflict(
            "There are routers attached to this network that depend on this policy for access."
        )

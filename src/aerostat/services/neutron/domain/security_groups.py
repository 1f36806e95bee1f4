"""Security groups and their rules; each project has a default group from its first use on."""

import ipaddress
from typing import Any

from sqlalchemy import insert, or_, select

from aerostat.kit.db.among import among
from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import collection
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.db.collections import GROUPS
from aerostat.services.neutron.domain import notices, quotas, rows
from aerostat.services.neutron.domain.access import authorize, owner_of, target
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.model.protocols import (
    check_ports,
    normalized_cidr,
    proper_protocol,
    same_protocol,
)
from aerostat.services.neutron.runtime import Call

G, R = t.groups.c, t.rules.c
ALIKE = (
    "direction",
    "ethertype",
    "port_range_min",
    "port_range_max",
    "remote_group_id",
)


def default_of(tx: Tx, call: Call, project_id: str) -> str:
    """Return the id of a project's default group; it is made if there is none yet."""
    if not project_id:
        return ""
    found = tx.scalar(select(G.id).where(G.default_of == project_id))
    if found is not None:
        return str(found)
    values = {
        "name": "default",
        "description": "Default security group",
        "project_id": project_id,
        "default_of": project_id,
        "stateful": True,
        "shared": False,
    }
    key = rows.add(tx, call, t.groups, values)
    _add_egress(tx, call, key, project_id)
    for ethertype in ("IPv4", "IPv6"):
        _add_rule(tx, call, (key, project_id), ("ingress", ethertype, key))
    return key


def has_default(tx: Tx, project_id: str) -> bool:
    return tx.scalar(select(G.id).where(G.default_of == project_id)) is not None


def _add_egress(tx: Tx, call: Call, group_id: str, project_id: str) -> None:
    for ethertype in ("IPv4", "IPv6"):
        _add_rule(tx, call, (group_id, project_id), ("egress", ethertype, None))


def _add_rule(
    tx: Tx, call: Call, owner: tuple[str, str], what: tuple[str, str, str | None]
) -> None:
    """Add a rule to `owner` (group, project): `what` is direction, ethertype, remote group."""
    values = {
        "id": call.neutron.new_id(),
        "name": "",
        "description": "",
        "revision_number": 0,
        "created_at": call.now,
        "updated_at": call.now,
    }
    values |= dict(zip(("security_group_id", "project_id"), owner, strict=True))
    values |= dict(zip(("direction", "ethertype", "remote_group_id"), what, strict=True))
    tx.run(insert(t.rules), values)


def create(tx: Tx, call: Call, values: dict[str, Any], given: set[str]) -> str:
    """Make a group with the rules that let everything out. Raises: Conflict, QuotaExceeded."""
    owner = owner_of(call, values)
    authorize(call, "create_security_group", target(call, {**values, "project_id": owner}), given)
    default_of(tx, call, owner)
    if values["name"] == "default":
        raise faults.conflict(
            "SecurityGroupDefaultAlreadyExists", "Default security group already exists."
        )
    quotas.check(tx, call, "security_group", owner)
    quotas.check(tx, call, "security_group_rule", owner, 2)
    key = rows.add(tx, call, t.groups, {**values, "project_id": owner})
    _add_egress(tx, call, key, owner)
    return key


def update(tx: Tx, call: Call, row: Any, values: dict[str, Any]) -> None:
    """Raises: Forbidden, Conflict (the default group keeps its name)."""
    authorize(call, "update_security_group", target(call, row._asdict()), values)
    if row.default_of and "name" in values and values["name"] != row.name:
        raise faults.conflict(
            "SecurityGroupCannotUpdateDefault", "Updating default security group not allowed."
        )
    if not row.default_of and values.get("name") == "default":
        raise faults.conflict(
            "SecurityGroupDefaultAlreadyExists", "Default security group already exists."
        )
    if values.get("stateful", row.stateful) != row.stateful:
        _check_unused(tx, row)
    rows.change(tx, call, t.groups, row.id, values)


def _check_unused(tx: Tx, row: Any) -> None:
    in_use = select(t.port_groups.c.port_id).where(t.port_groups.c.group_id == row.id).limit(1)
    if tx.first(in_use) is not None:
        raise faults.conflict("SecurityGroupInUse", f"Security Group {row.id} in use.")


def delete(tx: Tx, call: Call, row: Any) -> None:
    """Raises: Conflict (ports use it, or it is the default group)."""
    authorize(call, "delete_security_group", target(call, row._asdict()))
    _check_unused(tx, row)
    if row.default_of and not call.ctx.is_admin:
        raise faults.conflict(
            "SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default group."
        )
    hosts = notices.group_hosts(tx, [row.id])
    tx.run(t.rules.delete().where(or_(R.remote_group_id == row.id, R.security_group_id == row.id)))
    rows.remove(tx, t.groups, row.id)
    notices.changed(tx, call, hosts=hosts)


def create_rule(tx: Tx, call: Call, values: dict[str, Any], given: set[str]) -> str:
    """Raises: NotFound (a group), BadRequest, Conflict (there is one like it), QuotaExceeded."""
    group = collection.get(tx, GROUPS, call.ctx, values["security_group_id"])
    values.setdefault("project_id", group.project_id)
    owner = owner_of(call, values)
    authorize(
        call, "create_security_group_rule", target(call, {**values, "project_id": owner}), given
    )
    authorize(call, "update_security_group", target(call, group._asdict()))
    values.pop("remote_address_group_id", None)
    _settle_rule(tx, call, values)
    quotas.check(tx, call, "security_group_rule", owner)
    _check_unlike_others(tx, values)
    key = rows.add(tx, call, t.rules, {**values, "project_id": owner})
    rows.change(tx, call, t.groups, group.id, {})
    notices.changed(tx, call, hosts=notices.group_hosts(tx, [group.id]))
    return key


def _settle_rule(tx: Tx, call: Call, values: dict[str, Any]) -> None:
    ethertype = {"ipv4": "IPv4", "ipv6": "IPv6"}[(values["ethertype"] or "IPv4").lower()]
    values["ethertype"] = ethertype
    values["protocol"] = proper_protocol(values["protocol"], ethertype)
    check_ports(values["protocol"], values["port_range_min"], values["port_range_max"])
    prefix, remote = values["remote_ip_prefix"], values["remote_group_id"]
    if prefix and remote:
        raise faults.bad(
            "SecurityGroupMultipleRemoteEntities",
            "Only remote_ip_prefix or remote_group_id may be provided.",
        )
    if prefix:
        version = ipaddress.ip_interface(prefix).version
        if version != (4 if ethertype == "IPv4" else 6):
            raise faults.bad(
                "SecurityGroupRuleParameterConflict",
                f"Conflicting value ethertype {ethertype} for CIDR {prefix}",
            )
    if remote:
        collection.get(tx, GROUPS, call.ctx, remote)


def _check_unlike_others(tx: Tx, values: dict[str, Any]) -> None:
    names = [n for n in ALIKE if n in values]
    cidr = normalized_cidr(values["remote_ip_prefix"])
    for row in tx.all(select(t.rules).where(R.security_group_id == values["security_group_id"])):
        alike = all(getattr(row, n) == values[n] for n in names)
        alike = alike and normalized_cidr(row.remote_ip_prefix) == cidr
        if alike and same_protocol(row.protocol, values["protocol"]):
            raise faults.conflict(
                "SecurityGroupRuleExists",
                f"Security group rule already exists. Rule id is {row.id}.",
            )


def update_rule(tx: Tx, call: Call, row: Any, values: dict[str, Any]) -> None:
    authorize(call, "update_security_group_rule", target(call, row._asdict()), values)
    rows.change(tx, call, t.rules, row.id, values)


def delete_rule(tx: Tx, call: Call, row: Any) -> None:
    authorize(call, "delete_security_group_rule", target(call, row._asdict()))
    hosts = notices.group_hosts(tx, [row.security_group_id])
    rows.remove(tx, t.rules, row.id)
    rows.change(tx, call, t.groups, row.security_group_id, {})
    notices.changed(tx, call, hosts=hosts)


def check_alike(tx: Tx, ids: list[str]) -> None:
    """Raises: Conflict (some of a port's groups are stateful, and some are not)."""
    if len(ids) > 1 and len({r[0] for r in tx.all(select(G.stateful).where(among(G.id, ids)))}) > 1:
        raise faults.conflict(
            "SecurityGroupConflict",
            "Error Cannot apply both stateful and stateless security groups on the same port "
            "while attempting the operation.",
        )


def check_groups(tx: Tx, call: Call, ids: list[str]) -> None:
    """Raises: NotFound (a group that the caller does not see)."""
    if not ids:
        return
    stmt = select(G.id, G.project_id, G.shared).where(among(G.id, ids))
    trusted = call.ctx.is_admin or "service" in call.ctx.roles
    seen = {
        row.id
        for row in tx.all(stmt)
        if trusted or row.shared or row.project_id == call.ctx.project_id
    }
    for group_id in ids:
        if group_id not in seen:
            raise faults.not_found("security_group", group_id)

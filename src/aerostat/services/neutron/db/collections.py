"""Every noun with its eyes: who sees it, and by what it can be filtered."""

from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, select, true

from aerostat.kit.context import Context
from aerostat.kit.errors import BadRequest
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.db import views
from aerostat.services.neutron.db.collection import Collection, Where, own

N, S, P, A = t.networks.c, t.subnets.c, t.ports.c, t.addresses.c


EVERYBODY = "*"
SHARED, EXTERNAL = "access_as_shared", "access_as_external"
"""What RBAC policies of networks allow."""


def shared_with(project_id: str) -> Where:
    """Return which networks are shared with a project, by name or with everybody."""
    r = t.network_rbacs.c
    named = select(r.object_id).where(r.target_project == project_id, r.action == SHARED)
    return or_(N.shared.is_(True), N.id.in_(named))


def _networks(ctx: Context) -> Where:
    r = t.network_rbacs.c
    named = select(r.object_id).where(r.target_project == ctx.project_id)
    public = and_(N.external.is_(True), N.restricted.is_(False))
    return or_(N.project_id == ctx.project_id, N.shared.is_(True), public, N.id.in_(named))


def _on_network(column: ColumnElement[Any], *conditions: Where) -> Where:
    return column.in_(select(N.id).where(or_(*conditions)))


def _subnets(ctx: Context) -> Where:
    mine = _on_network(S.network_id, N.project_id == ctx.project_id, shared_with(ctx.project_id))
    return or_(S.project_id == ctx.project_id, mine)


def _ports(ctx: Context) -> Where:
    mine = _on_network(P.network_id, N.project_id == ctx.project_id)
    return or_(P.project_id == ctx.project_id, mine)


def _rules(ctx: Context) -> Where:
    groups = select(t.groups.c.id).where(t.groups.c.project_id == ctx.project_id)
    return or_(t.rules.c.project_id == ctx.project_id, t.rules.c.security_group_id.in_(groups))


def _shared(table: Any) -> Any:
    return lambda ctx: or_(table.c.project_id == ctx.project_id, table.c.shared.is_(True))


def _fixed_ips(values: list[str]) -> Where:
    columns = {"ip_address": A.ip_address, "subnet_id": A.subnet_id}
    wanted: dict[str, list[str]] = {}
    for value in values:
        for part in value.split(","):
            key, _, text = part.partition("=")
            if key == "ip_address_substr" or key in columns:
                wanted.setdefault(key, []).append(text)
            else:
                raise BadRequest(f"['{value}'] is invalid for fixed_ips", field="fixed_ips")
    parts: list[Where] = [columns[k].in_(v) for k, v in wanted.items() if k in columns]
    parts += [
        A.ip_address.contains(v, autoescape=True) for v in wanted.get("ip_address_substr", [])
    ]
    return P.id.in_(select(A.port_id).where(and_(*parts)))


def _constant(value: str) -> Any:
    return lambda values: true() if value in values else false()


NETWORKS = Collection(
    "network",
    t.networks,
    views.networks,
    _networks,
    theirs=lambda ctx: {"shared": shared_with(ctx.project_id)},
    columns={
        "router:external": N.external,
        "provider:network_type": N.network_type,
        "provider:physical_network": N.physical_network,
        "provider:segmentation_id": N.segmentation_id,
    },
    special={
        "status": _constant("ACTIVE"),
        "subnets": lambda v: N.id.in_(select(S.network_id).where(S.id.in_(v))),
    },
)
RBACS = Collection(
    "rbac_policy",
    t.network_rbacs,
    views.rbacs,
    own(t.network_rbacs),
    columns={"target_tenant": t.network_rbacs.c.target_project},
    special={"object_type": _constant("network")},
)
SUBNETS = Collection(
    "subnet",
    t.subnets,
    views.subnets,
    _subnets,
    special={
        "router:external": lambda v: S.network_id.in_(
            select(N.id).where(N.external.is_(v[-1].lower() in ("true", "1")))
        ),
        "shared": lambda v: S.network_id.in_(
            select(N.id).where(N.shared.is_(v[-1].lower() in ("true", "1")))
        ),
    },
)
PORTS = Collection(
    "port",
    t.ports,
    views.ports,
    _ports,
    columns={
        "binding:host_id": P.host,
        "binding:vif_type": P.vif_type,
        "binding:vnic_type": P.vnic_type,
    },
    special={
        "fixed_ips": _fixed_ips,
        "security_groups": lambda v: P.id.in_(
            select(t.port_groups.c.port_id).where(t.port_groups.c.group_id.in_(v))
        ),
    },
)
GROUPS = Collection("security_group", t.groups, views.groups, _shared(t.groups))
RULES = Collection("security_group_rule", t.rules, views.rules, _rules)
ROUTERS = Collection("router", t.routers, views.routers, own(t.routers))
FLOATINGS = Collection("floatingip", t.floatings, views.floatings, own(t.floatings))
SUBNETPOOLS = Collection("subnetpool", t.subnetpools, views.subnetpools, _shared(t.subnetpools))
ADDRESS_SCOPES = Collection(
    "address_scope", t.address_scopes, views.address_scopes, _shared(t.address_scopes)
)
METERING_LABELS = Collection(
    "metering_label", t.metering_labels, views.metering_labels, _shared(t.metering_labels)
)
METERING_RULES = Collection(
    "metering_label_rule", t.metering_rules, views.metering_rules, own(t.metering_rules)
)

TAGGED = {
    "networks": NETWORKS,
    "subnets": SUBNETS,
    "ports": PORTS,
    "security-groups": GROUPS,
    "security_groups": GROUPS,
    "security-group-rules": RULES,
    "security_group_rules": RULES,
    "routers": ROUTERS,
    "floatingips": FLOATINGS,
    "subnetpools": SUBNETPOOLS,
}

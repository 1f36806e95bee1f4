"""Which functions make, change and delete a noun; the API's generic handlers run these."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import collections as c
from aerostat.services.neutron.db.collection import Collection
from aerostat.services.neutron.domain import (
    floatingips,
    metering,
    networks,
    ports,
    rbac,
    routers,
    security_groups,
    subnetpools,
    subnets,
)
from aerostat.services.neutron.runtime import Call

Create = Callable[[Tx, Call, dict[str, Any], set[str]], str]
Update = Callable[[Tx, Call, Any, dict[str, Any]], None]
Delete = Callable[[Tx, Call, Any], None]


@dataclass(frozen=True)
class Noun:
    """A noun's rows and verbs."""

    rows: Collection
    create: Create
    update: Update
    delete: Delete


NETWORKS = Noun(c.NETWORKS, networks.create, networks.update, networks.delete)
RBACS = Noun(c.RBACS, rbac.create, rbac.update, rbac.remove)
SUBNETS = Noun(c.SUBNETS, subnets.create, subnets.update, subnets.delete)
PORTS = Noun(c.PORTS, ports.create, ports.update, ports.delete)
GROUPS = Noun(c.GROUPS, security_groups.create, security_groups.update, security_groups.delete)
RULES = Noun(
    c.RULES,
    security_groups.create_rule,
    security_groups.update_rule,
    security_groups.delete_rule,
)
ROUTERS = Noun(c.ROUTERS, routers.create, routers.update, routers.delete)
FLOATINGS = Noun(c.FLOATINGS, floatingips.create, floatingips.update, floatingips.delete)
SUBNETPOOLS = Noun(c.SUBNETPOOLS, subnetpools.create, subnetpools.update, subnetpools.delete)
ADDRESS_SCOPES = Noun(
    c.ADDRESS_SCOPES,
    subnetpools.create_scope,
    subnetpools.update_scope,
    subnetpools.delete_scope,
)
METERING_LABELS = Noun(
    c.METERING_LABELS, metering.create_label, metering.unchangeable, metering.delete_label
)
METERING_RULES = Noun(
    c.METERING_RULES, metering.create_rule, metering.unchangeable, metering.delete_rule
)

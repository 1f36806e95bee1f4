"""Metering labels and their rules: which traffic of routers is counted."""

from typing import Any

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import collection
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.db.collections import METERING_LABELS
from aerostat.services.neutron.domain import rows
from aerostat.services.neutron.domain.access import authorize, owner_of, target
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.runtime import Call

PREFIXES = ("remote_ip_prefix", "source_ip_prefix", "destination_ip_prefix")


def create_label(tx: Tx, call: Call, values: dict[str, Any], given: set[str]) -> str:
    owner = owner_of(call, values)
    aim = target(call, {**values, "project_id": owner})
    authorize(call, "create_metering_label", aim, given)
    return rows.add(tx, call, t.metering_labels, {**values, "project_id": owner})


def create_rule(tx: Tx, call: Call, values: dict[str, Any], given: set[str]) -> str:
    """Raises: NotFound (the label), BadRequest (no prefix at all)."""
    owner = owner_of(call, values)
    aim = target(call, {**values, "project_id": owner})
    authorize(call, "create_metering_label_rule", aim, given)
    collection.get(tx, METERING_LABELS, call.ctx, values["metering_label_id"])
    if not any(values.get(name) for name in PREFIXES):
        raise faults.invalid("a rule needs a source, destination or remote prefix", PREFIXES[0])
    return rows.add(tx, call, t.metering_rules, {**values, "project_id": owner})


def unchangeable(tx: Tx, call: Call, row: Any, values: dict[str, Any]) -> None:
    raise faults.bad("HTTPBadRequest", "Metering labels and rules cannot be changed.")


def delete_label(tx: Tx, call: Call, row: Any) -> None:
    authorize(call, "delete_metering_label", target(call, row._asdict()))
    c = t.metering_rules.c
    tx.run(t.metering_rules.delete().where(c.metering_label_id == row.id))
    rows.remove(tx, t.metering_labels, row.id)


def delete_rule(tx: Tx, call: Call, row: Any) -> None:
    authorize(call, "delete_metering_label_rule", target(call, row._asdict()))
    rows.remove(tx, t.metering_rules, row.id)

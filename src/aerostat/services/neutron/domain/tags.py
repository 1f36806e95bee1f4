"""Tags of any resource. Source: api-ref, standard attributes tag."""

from typing import Any

from sqlalchemy import delete, insert, select

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.db.collection import Collection
from aerostat.services.neutron.domain import rows
from aerostat.services.neutron.domain.access import authorize, network_of, target
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.runtime import Call

C = t.tags.c
MOST = 60


def of(tx: Tx, key: str) -> list[str]:
    """Return a resource's tags, sorted."""
    return sorted(row[0] for row in tx.all(select(C.tag).where(C.resource_id == key)))


def put(tx: Tx, call: Call, coll: Collection, row: Any, wanted: list[str]) -> list[str]:
    """Make a resource's tags exactly these. Raises: Forbidden, BadRequest."""
    network = network_of(tx, row.network_id) if hasattr(row, "network_id") else None
    authorize(call, f"update_{coll.noun}", target(call, row._asdict(), network))
    for tag in wanted:
        if not tag or len(tag) > 255:
            raise faults.invalid(f"'{tag[:60]}' is not a valid tag", "tags")
    tx.run(delete(t.tags).where(C.resource_id == row.id))
    for tag in sorted(set(wanted)):
        tx.run(insert(t.tags), {"resource_id": row.id, "tag": tag})
    rows.change(tx, call, coll.table, row.id, {})
    return sorted(set(wanted))

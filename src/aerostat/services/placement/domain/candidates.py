"""Allocation candidates: the providers that can take a request, and what they have."""

from typing import Any

from aerostat.kit.db.engine import Tx
from aerostat.services.placement.db import names, providers
from aerostat.services.placement.model.provider import CandidateQuery

GROUP_WITHOUT_NAME = ""


def candidates(tx: Tx, query: CandidateQuery) -> dict[str, Any]:
    """Return the newest form of GET /allocation_candidates. Raises: BadRequest."""
    check(tx, query)
    found = providers.with_room(tx, query)
    ids = [p.id for p in found]
    inventories, used = providers.inventories(tx, ids), providers.used(tx, ids)
    traits = providers.traits(tx, ids)
    amounts = dict(query.amounts)
    requests, summaries = [], {}
    for p in found:
        requests.append(
            {
                "allocations": {p.uuid: {"resources": amounts}},
                "mappings": {GROUP_WITHOUT_NAME: [p.uuid]},
            }
        )
        using = used[p.id]
        summaries[p.uuid] = {
            "resources": {
                name: {"capacity": inventory.capacity, "used": using.get(name, 0)}
                for name, inventory in inventories[p.id].items()
            },
            "traits": traits[p.id],
            "parent_provider_uuid": p.parent_uuid,
            "root_provider_uuid": p.root_uuid,
        }
    return {"allocation_requests": requests, "provider_summaries": summaries}


def check(tx: Tx, query: CandidateQuery) -> None:
    """Raises: BadRequest (a resource class or trait nobody knows)."""
    names.check_classes(tx, list(query.amounts))
    names.check_traits(tx, [t for g in query.required for t in g] + query.forbidden)

"""One resource of any noun: found with the caller's eyes, shown as it is."""

from typing import Any

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import collection
from aerostat.services.neutron.db.collections import TAGGED
from aerostat.services.neutron.domain import tags
from aerostat.services.neutron.domain.nouns import Noun
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.runtime import Call


def found(tx: Tx, call: Call, noun: Noun, key: str) -> Any:
    """Return a row that the caller sees. Raises: NotFound."""
    return collection.get(tx, noun.rows, call.ctx, key)


def shown(tx: Tx, noun: Noun, key: str) -> dict[str, Any]:
    return collection.view(tx, noun.rows, key)


def tags_of(tx: Tx, call: Call, plural: str, key: str) -> list[str]:
    """Return the tags of a resource named by its URL. Raises: NotFound."""
    return tags.of(tx, collection.get(tx, _tagged(plural), call.ctx, key).id)


def set_tags(tx: Tx, call: Call, plural: str, key: str, wanted: list[str]) -> list[str]:
    """Make the tags exactly these. Raises: NotFound, Forbidden, BadRequest."""
    coll = _tagged(plural)
    return tags.put(tx, call, coll, collection.get(tx, coll, call.ctx, key), wanted)


def _tagged(plural: str) -> Any:
    if plural not in TAGGED:
        raise faults.NotFound(f"Parent resource {plural} could not be found")
    return TAGGED[plural]

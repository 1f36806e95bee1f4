"""The image service's rows behind the bus: for a glance-api that must not reach the database.

Source: glance's registry and its `data_api` (glance.db.registry.api); docs/rfd/0010.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from aerostat.contracts.image import Registry
from aerostat.kit.db.engine import Database
from aerostat.kit.errors import BadRequest
from aerostat.services.glance.transactions import READS, WRITES, Transaction, name_of

T = TypeVar("T")


class RegistryDatabase:
    """A Database whose transactions run in a glance-registry; it knows those it is told of."""

    shared = True

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def read(self, fn: Callable[..., T], *args: Any) -> T:
        """Return `fn(tx, *args)` on one snapshot. Raises: Unavailable, and what `fn` raises."""
        known = READS[name_of(fn)]
        raw = await self._registry.read(name=known.name, arguments=msgspec.msgpack.encode(args))
        result: T = known.result(raw)
        return result

    async def write(self, fn: Callable[..., T], *args: Any) -> T:
        """Return `fn(tx, *args)` once it is durable.

        Raises: Unavailable (whether it stands may be unknown), and what `fn` raises.
        """
        known = WRITES[name_of(fn)]
        raw = await self._registry.write(name=known.name, arguments=msgspec.msgpack.encode(args))
        result: T = known.result(raw)
        return result

    async def close(self) -> None:
        """Do nothing: the bus is another's."""


class RegistryProvider:
    """Serves contracts.image.Registry from a database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def read(self, *, name: str, arguments: bytes) -> bytes:
        """Run a transaction that reads. Raises: BadRequest, and what it raises."""
        known = _find(READS, name)
        return msgspec.msgpack.encode(await self._db.read(known.fn, *known.arguments(arguments)))

    async def write(self, *, name: str, arguments: bytes) -> bytes:
        """Run a transaction that writes. Raises: BadRequest, and what it raises."""
        known = _find(WRITES, name)
        return msgspec.msgpack.encode(await self._db.write(known.fn, *known.arguments(arguments)))


def _find(known: dict[str, Transaction], name: str) -> Transaction:
    if name not in known:
        raise BadRequest(f"There is no transaction {name[:80]}.", field="name")
    return known[name]

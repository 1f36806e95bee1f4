"""What every noun of this API has in common: finding, listing, and what is said in refusal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, NotFound
from aerostat.services.keystone.db import stores
from aerostat.services.keystone.db.store import Store
from aerostat.services.keystone.model.listing import Listing
from aerostat.services.keystone.runtime import Keystone

R = TypeVar("R", bound=Struct)


@dataclass(frozen=True)
class Noun(Generic[R]):
    """A kind of resource: its name in messages and where it is stored."""

    name: str
    store: Store[R]

    def must(self, tx: Tx, item_id: str) -> R:
        """Return the row with this id. Raises: NotFound."""
        found = self.store.get(tx, item_id)
        if found is None:
            raise self.missing(item_id)
        return found

    def missing(self, item_id: str) -> NotFound:
        """Return the fault that says it is not there."""
        return NotFound(f"Could not find {self.name}: {item_id}.", code=f"{self.name}_not_found")

    def unique(self, tx: Tx, item_id: str, detail: str, *where: ColumnElement[bool]) -> None:
        """Raises: Conflict, if another row than `item_id` meets `where`."""
        other = self.store.first(tx, *where, self.store.table.c.id != item_id)
        if other is not None:
            raise Conflict(
                f"Conflict occurred attempting to store {self.name} - Duplicate entry{detail}."
            )


projects = Noun("project", stores.projects)
domains = Noun("domain", stores.projects)
users = Noun("user", stores.users)
groups = Noun("group", stores.groups)
roles = Noun("role", stores.roles)
regions = Noun("region", stores.regions)
services = Noun("service", stores.services)
endpoints = Noun("endpoint", stores.endpoints)
endpoint_groups = Noun("endpoint group", stores.endpoint_groups)
policies = Noun("policy", stores.policies)
credentials = Noun("credential", stores.credentials)
application_credentials = Noun("application credential", stores.application_credentials)
access_rules = Noun("access rule", stores.access_rules)
trusts = Noun("trust", stores.trusts)
consumers = Noun("consumer", stores.consumers)
registered_limits = Noun("registered limit", stores.registered_limits)
limits = Noun("limit", stores.limits)
identity_providers = Noun("identity provider", stores.identity_providers)
mappings = Noun("mapping", stores.mappings)
service_providers = Noun("service provider", stores.service_providers)


async def find(keystone: Keystone, noun: Noun[R], item_id: str) -> R:
    """Return the row with this id. Raises: NotFound."""
    return await keystone.db.read(noun.must, item_id)


async def look(keystone: Keystone, noun: Noun[R], item_id: str) -> R | None:
    """Return the row with this id, or None."""
    return await keystone.db.read(noun.store.get, item_id)


async def listed(
    keystone: Keystone, noun: Noun[R], listing: Listing, *where: ColumnElement[bool]
) -> list[R]:
    """Return what `listing` asks for, one more than its limit if there is more."""
    return await keystone.db.read(noun.store.page, listing, *where)


async def among(keystone: Keystone, noun: Noun[R], ids: Sequence[str]) -> list[R]:
    """Return the rows with these ids, those that are there."""
    return await keystone.db.read(noun.store.among, ids)


async def insert(keystone: Keystone, noun: Noun[R], item: R) -> R:
    """Store `item`, which no token depends on."""
    await keystone.db.write(noun.store.insert, item)
    return item


async def edit(keystone: Keystone, noun: Noun[R], item_id: str, **changes: Any) -> R:
    """Change fields of a row. Raises: NotFound."""

    def write(tx: Tx) -> R:
        item = changed(noun.must(tx, item_id), changes)
        noun.store.update(tx, item)
        return item

    return await keystone.change(write)


async def remove(keystone: Keystone, noun: Noun[R], item_id: str) -> None:
    """Delete a row. Raises: NotFound."""

    def write(tx: Tx) -> None:
        noun.must(tx, item_id)
        noun.store.delete(tx, noun.store.table.c.id == item_id)

    await keystone.change(write)


def changed(item: R, changes: dict[str, Any]) -> R:
    """Return `item` with `changes`; those of `extra` are added, and None takes them away.

    Raises: BadRequest (another id).
    """
    if changes.get("extra", {}).get("id", item_id := getattr(item, "id", "")) != item_id:
        raise BadRequest("Cannot change ID", field="id")
    if "extra" in changes:
        merged = {**getattr(item, "extra", {}), **changes["extra"]}
        changes = {**changes, "extra": merged}
    return replace(item, **changes)

"""Rows of resource providers, their inventories, traits and aggregates."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, delete, func, insert, select, update

from aerostat.kit.db.among import among
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict, GenerationConflict, NotFound
from aerostat.services.placement.db import tables as t
from aerostat.services.placement.model.provider import CandidateQuery, Inventory, Provider

_parent = t.providers.alias("parent")
_root = t.providers.alias("root")
P, INV, ALLOC = t.providers.c, t.inventories.c, t.allocations.c


def _select() -> Select[Any]:
    """Look parent and root up by id: PostgreSQL joins whole tables to what it expects to be a row.

    It cannot know how many providers have room for something, and guesses one.
    """
    parent = select(_parent.c.uuid).where(_parent.c.id == P.parent_id).scalar_subquery()
    root = select(_root.c.uuid).where(_root.c.id == P.root_id).scalar_subquery()
    return select(P.id, P.uuid, P.name, P.generation, parent, root)


_SELECT = _select()


def _provider(row: Any) -> Provider:
    return Provider(*row)


def get(tx: Tx, uuid: str) -> Provider:
    """Raises: NotFound."""
    row = tx.first(_SELECT.where(P.uuid == uuid))
    if row is None:
        raise NotFound(f"No resource provider with uuid {uuid} found")
    return _provider(row)


def find(tx: Tx, name: str | None, uuid: str | None, query: CandidateQuery) -> list[Provider]:
    """Return the providers that match, by id."""
    stmt = _SELECT.where(*_matching(query))
    if name is not None:
        stmt = stmt.where(P.name == name)
    if uuid is not None:
        stmt = stmt.where(P.uuid == uuid)
    return [_provider(row) for row in tx.all(stmt.order_by(P.id))]


def with_room(tx: Tx, query: CandidateQuery) -> list[Provider]:
    """Return providers that can take `query.amounts`, `query.limit` at most."""
    stmt = _SELECT.where(*_matching(query)).order_by(P.id)
    return [_provider(row) for row in tx.all(stmt.limit(query.limit))]


def _matching(query: CandidateQuery) -> list[ColumnElement[bool]]:
    """Conditions on the provider; each amount is one probe of two primary keys."""
    out = [_has_room(name, amount) for name, amount in query.amounts.items()]
    has = t.provider_traits.c
    for group in query.required:
        out.append(P.id.in_(select(has.provider_id).where(has.trait.in_(group))))
    if query.forbidden:
        out.append(P.id.not_in(select(has.provider_id).where(has.trait.in_(query.forbidden))))
    member = t.provider_aggregates.c
    for group in query.member_of:
        out.append(P.id.in_(select(member.provider_id).where(member.aggregate_uuid.in_(group))))
    if query.not_member_of:
        inside = select(member.provider_id).where(member.aggregate_uuid.in_(query.not_member_of))
        out.append(P.id.not_in(inside))
    if query.in_tree is not None:
        tree = select(P.root_id).where(P.uuid == query.in_tree).correlate(None)
        out.append(P.root_id == tree.scalar_subquery())
    return out


def _has_room(name: str, amount: int) -> ColumnElement[bool]:
    """Ask for a value, not whether a row exists: PostgreSQL would make a join of the latter.

    So it walks along the providers, and ends when it has found enough.
    """
    used = (
        select(func.coalesce(func.sum(ALLOC.used), 0))
        .where(ALLOC.provider_id == INV.provider_id, ALLOC.resource_class == name)
        .correlate(t.inventories)
        .scalar_subquery()
    )
    room = (INV.total - INV.reserved) * INV.allocation_ratio
    fits = and_(
        amount >= INV.min_unit,
        amount <= INV.max_unit,
        amount % INV.step_size == 0,
        used + amount <= room,
    )
    answer = (
        select(case((fits, 1), else_=0))
        .where(INV.provider_id == P.id, INV.resource_class == name)
        .correlate(t.providers)
        .scalar_subquery()
    )
    return answer > 0


def add(tx: Tx, uuid: str, name: str, parent: Provider | None, now: float) -> Provider:
    """Insert a provider. Raises: Conflict (uuid or name taken)."""
    taken = tx.first(select(P.uuid, P.name).where((P.uuid == uuid) | (P.name == name)))
    if taken is not None:
        field = "uuid" if taken[0] == uuid else "name"
        fault = Conflict(
            f"Conflicting resource provider {field}: {name if field == 'name' else uuid}"
        )
        fault.code, fault.field = "placement.duplicate_name", field
        raise fault
    parent_id = None if parent is None else parent.id
    made = tx.connection.execute(
        insert(t.providers).values(
            uuid=uuid, name=name, generation=0, parent_id=parent_id, updated_at=now
        )
    )
    assert made.inserted_primary_key is not None
    id_ = made.inserted_primary_key[0]
    root = id_ if parent is None else select(P.root_id).where(P.id == parent.id).scalar_subquery()
    tx.run(update(t.providers).where(P.id == id_).values(root_id=root))
    return get(tx, uuid)


def rename(tx: Tx, provider: Provider, name: str, now: float) -> None:
    """Write the name. Raises: Conflict (taken)."""
    if tx.first(select(P.id).where(P.name == name, P.id != provider.id)) is not None:
        fault = Conflict(f"Conflicting resource provider name: {name}")
        fault.code = "placement.duplicate_name"
        raise fault
    tx.run(update(t.providers).where(P.id == provider.id).values(name=name, updated_at=now))


def subtree(tx: Tx, provider: Provider) -> list[int]:
    """Return the ids of a provider and of all below it."""
    found, level = [provider.id], [provider.id]
    while level:
        level = [row[0] for row in tx.all(select(P.id).where(among(P.parent_id, level)))]
        found += level
    return found


def move(tx: Tx, provider: Provider, parent: Provider | None, ids: Sequence[int]) -> None:
    """Hang a provider, with those below it (`ids` are them all), on a parent, or on none."""
    parent_id = None if parent is None else parent.id
    tx.run(update(t.providers).where(P.id == provider.id).values(parent_id=parent_id))
    root = provider.id
    if parent is not None:
        root = tx.scalar(select(P.root_id).where(P.id == parent.id))
    tx.run(update(t.providers).where(among(P.id, ids)).values(root_id=root))


def remove(tx: Tx, provider: Provider) -> None:
    """Raises: Conflict (it has allocations or children)."""
    if tx.first(select(ALLOC.used).where(ALLOC.provider_id == provider.id).limit(1)):
        fault = Conflict(f"Unable to delete resource provider {provider.uuid}: it is in use.")
        fault.code = "placement.resource_provider.inuse"
        raise fault
    if tx.first(select(P.id).where(P.parent_id == provider.id).limit(1)):
        fault = Conflict(
            f"Unable to delete parent resource provider {provider.uuid}: it has children."
        )
        fault.code = "placement.resource_provider.cannot_delete_parent"
        raise fault
    tx.run(delete(t.providers).where(P.id == provider.id))


def bump(tx: Tx, provider: Provider, expected: int | None, now: float) -> int:
    """Move the generation on, from `expected` if given. Raises: GenerationConflict."""
    if expected is not None and expected != provider.generation:
        raise GenerationConflict(
            f"resource provider generation conflict: {provider.uuid} is at "
            f"{provider.generation}, not {expected}. Please update the generation and try again."
        )
    changed = tx.run(
        update(t.providers)
        .where(P.id == provider.id, P.generation == provider.generation)
        .values(generation=provider.generation + 1, updated_at=now)
    )
    if changed != 1:
        raise GenerationConflict(f"resource provider {provider.uuid} was changed meanwhile")
    return provider.generation + 1


def inventories(tx: Tx, ids: Sequence[int]) -> dict[int, dict[str, Inventory]]:
    """Return the inventories of many providers by class."""
    out: dict[int, dict[str, Inventory]] = {id_: {} for id_ in ids}
    for row in tx.all(select(t.inventories).where(among(INV.provider_id, ids))):
        out[row[0]][row[1]] = Inventory(*row[2:])
    return out


def used(tx: Tx, ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Return what is used of many providers by class."""
    out: dict[int, dict[str, int]] = {id_: {} for id_ in ids}
    stmt = (
        select(ALLOC.provider_id, ALLOC.resource_class, func.sum(ALLOC.used))
        .where(among(ALLOC.provider_id, ids))
        .group_by(ALLOC.provider_id, ALLOC.resource_class)
    )
    for id_, name, amount in tx.all(stmt):
        out[id_][name] = int(amount)
    return out


def write_inventories(tx: Tx, provider: Provider, wanted: Mapping[str, Inventory]) -> None:
    """Make the inventories exactly `wanted`. Raises: Conflict (one to go is in use)."""
    using = used(tx, [provider.id])[provider.id]
    if gone := [name for name in using if name not in wanted]:
        fault = Conflict(f"Inventory for {', '.join(gone)} on {provider.uuid} in use.")
        fault.code = "placement.inventory.inuse"
        raise fault
    tx.run(delete(t.inventories).where(INV.provider_id == provider.id))
    rows = [
        {
            "provider_id": provider.id,
            "resource_class": name,
            **{f: getattr(inv, f) for f in inv.__struct_fields__},
        }
        for name, inv in wanted.items()
    ]
    if rows:
        tx.run(insert(t.inventories), rows)


def traits(tx: Tx, ids: Sequence[int]) -> dict[int, list[str]]:
    """Return the traits of many providers."""
    return _pairs(tx, t.provider_traits.c.provider_id, t.provider_traits.c.trait, ids)


def aggregates(tx: Tx, ids: Sequence[int]) -> dict[int, list[str]]:
    """Return the aggregates of many providers."""
    columns = t.provider_aggregates.c
    return _pairs(tx, columns.provider_id, columns.aggregate_uuid, ids)


def _pairs(
    tx: Tx, key: ColumnElement[Any], value: ColumnElement[Any], ids: Sequence[int]
) -> dict[int, list[str]]:
    out: dict[int, list[str]] = {id_: [] for id_ in ids}
    for id_, found in tx.all(select(key, value).where(among(key, ids)).order_by(value)):
        out[id_].append(found)
    return out


def write_traits(tx: Tx, provider: Provider, wanted: Sequence[str]) -> None:
    """Make the traits exactly `wanted`."""
    columns = t.provider_traits.c
    tx.run(delete(t.provider_traits).where(columns.provider_id == provider.id))
    if wanted:
        rows = [{"provider_id": provider.id, "trait": name} for name in sorted(set(wanted))]
        tx.run(insert(t.provider_traits), rows)


def write_aggregates(tx: Tx, provider: Provider, wanted: Sequence[str]) -> None:
    """Make the aggregates exactly `wanted`."""
    columns = t.provider_aggregates.c
    tx.run(delete(t.provider_aggregates).where(columns.provider_id == provider.id))
    if wanted:
        rows = [{"provider_id": provider.id, "aggregate_uuid": u} for u in sorted(set(wanted))]
        tx.run(insert(t.provider_aggregates), rows)

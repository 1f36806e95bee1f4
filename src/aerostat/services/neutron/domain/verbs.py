"""One transaction for each request: find, check the revision, change, show."""

from typing import Any

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import GenerationConflict
from aerostat.services.neutron.db import collection
from aerostat.services.neutron.domain import security_groups
from aerostat.services.neutron.domain.nouns import GROUPS, Noun
from aerostat.services.neutron.model.listing import Listing
from aerostat.services.neutron.runtime import Call, NeutronService

View = dict[str, Any]
At = tuple[str, int | None]
"""A resource's id, and the revision that it must have (None: any)."""


async def index(neutron: NeutronService, call: Call, noun: Noun, ask: Listing) -> list[View]:
    """Return what the caller sees and asks for; a project's default group is made by looking."""

    def read(tx: Tx) -> list[View]:
        return collection.views(tx, noun.rows, call.ctx, ask)

    if noun is GROUPS:
        named = ask.filters.get("project_id") or ask.filters.get("tenant_id") or []
        whose = named[0] if named and call.ctx.is_admin else call.ctx.project_id
        await _ensure_default_group(neutron, call, whose)
    return await neutron.db.read(read)


async def _ensure_default_group(neutron: NeutronService, call: Call, project: str) -> None:
    if not project:
        return
    if not await neutron.db.read(security_groups.has_default, project):
        await neutron.db.write(security_groups.default_of, call, project)


async def show(neutron: NeutronService, call: Call, noun: Noun, key: str) -> View:
    """Raises: NotFound."""

    def read(tx: Tx) -> View:
        return noun.rows.view(tx, [collection.get(tx, noun.rows, call.ctx, key)])[0]

    return await neutron.db.read(read)


async def create(
    neutron: NeutronService, call: Call, noun: Noun, items: list[tuple[View, set[str]]]
) -> list[View]:
    """Make all or none. `items` are checked values, with the names that were really given."""

    def write(tx: Tx) -> list[View]:
        keys = [noun.create(tx, call, dict(values), given) for values, given in items]
        return [collection.view(tx, noun.rows, key) for key in keys]

    return await neutron.db.write(write)


async def update(neutron: NeutronService, call: Call, noun: Noun, at: At, values: View) -> View:
    """Change one. Raises: NotFound, GenerationConflict (not at the revision that must match)."""

    def write(tx: Tx) -> View:
        row = collection.get(tx, noun.rows, call.ctx, at[0])
        _check(row, at[1])
        noun.update(tx, call, row, dict(values))
        return collection.view(tx, noun.rows, at[0])

    return await neutron.db.write(write)


async def delete(neutron: NeutronService, call: Call, noun: Noun, at: At) -> None:
    """Raises: NotFound, GenerationConflict, Conflict (in use)."""

    def write(tx: Tx) -> None:
        row = collection.get(tx, noun.rows, call.ctx, at[0])
        _check(row, at[1])
        noun.delete(tx, call, row)

    await neutron.db.write(write)


def _check(row: Any, match: int | None) -> None:
    if match is None:
        return
    now = getattr(row, "revision_number", None)
    if now != match:
        raise GenerationConflict(
            f"Constrained to {match}, but current revision is {now}",
            code="RevisionNumberConstraintFailed",
        )

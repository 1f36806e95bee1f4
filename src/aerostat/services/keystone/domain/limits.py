"""Unified limits: registered defaults and what projects and domains have instead."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, false, or_, select

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, Forbidden, NotFound
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.domain import nouns
from aerostat.services.keystone.model.limits import UNLIMITED, Limit, RegisteredLimit, within
from aerostat.services.keystone.runtime import Keystone

L = tables.limits.c
D = tables.registered_limits.c
P = tables.projects.c


def _parts(tx: Tx, service_id: str, region_id: str) -> None:
    try:
        nouns.services.must(tx, service_id)
        if region_id:
            nouns.regions.must(tx, region_id)
    except NotFound as why:
        raise BadRequest(why.message) from why


def of_scope(project_id: str, domain_id: str) -> ColumnElement[bool]:
    """Return which limits concern a project, or a domain with its projects; none for neither."""
    if project_id:
        return L.project_id == project_id
    if not domain_id:
        return false()
    inside = select(P.id).where(P.domain_id == domain_id)
    return or_(L.domain_id == domain_id, L.project_id.in_(inside))


async def of_projects(keystone: Keystone, project_ids: Sequence[str]) -> list[Limit]:
    """Return the limits of these projects."""
    return await keystone.db.read(stores.limits.all, L.project_id.in_(project_ids))


async def register(
    keystone: Keystone, items: Sequence[RegisteredLimit]
) -> Sequence[RegisteredLimit]:
    """Store registered limits, all or none. Raises: Conflict, BadRequest."""

    def write(tx: Tx) -> None:
        for item in items:
            _parts(tx, item.service_id, item.region_id)
            _unique_default(tx, item)
            stores.registered_limits.insert(tx, item)

    await keystone.db.write(write)
    return items


def _unique_default(tx: Tx, item: RegisteredLimit) -> None:
    nouns.registered_limits.unique(
        tx,
        item.id,
        "",
        D.service_id == item.service_id,
        D.region_id == item.region_id,
        D.resource_name == item.resource_name,
    )


async def change_default(
    keystone: Keystone, limit_id: str, changes: dict[str, Any]
) -> RegisteredLimit:
    """Change a registered limit. Raises: NotFound, Forbidden (in use), Conflict."""

    def write(tx: Tx) -> RegisteredLimit:
        before = nouns.registered_limits.must(tx, limit_id)
        if changes.keys() & {"service_id", "region_id", "resource_name"}:
            _unused(tx, before)
        item = nouns.changed(before, changes)
        _parts(tx, item.service_id, item.region_id)
        _unique_default(tx, item)
        stores.registered_limits.update(tx, item)
        return item

    return await keystone.db.write(write)


async def unregister(keystone: Keystone, limit_id: str) -> None:
    """Delete a registered limit. Raises: NotFound, Forbidden (in use)."""

    def write(tx: Tx) -> None:
        _unused(tx, nouns.registered_limits.must(tx, limit_id))
        stores.registered_limits.delete(tx, D.id == limit_id)

    await keystone.db.write(write)


def _unused(tx: Tx, item: RegisteredLimit) -> None:
    users = stores.limits.first(
        tx,
        L.service_id == item.service_id,
        L.region_id == item.region_id,
        L.resource_name == item.resource_name,
    )
    if users is not None:
        raise Forbidden(
            f"Unable to update or delete registered limit {item.id} because there are project "
            "limits associated with it."
        )


async def create(keystone: Keystone, items: Sequence[Limit]) -> Sequence[Limit]:
    """Store limits, all or none.

    Raises: Conflict, BadRequest (nothing registered), Forbidden (against the model).
    """

    def write(tx: Tx) -> None:
        for item in items:
            _check(tx, item)
            stores.limits.insert(tx, item)
        for item in items:
            _fits(keystone, tx, item)

    await keystone.db.write(write)
    return items


async def change(keystone: Keystone, limit_id: str, changes: dict[str, Any]) -> Limit:
    """Change a limit. Raises: NotFound, Forbidden (against the model)."""

    def write(tx: Tx) -> Limit:
        item = nouns.changed(nouns.limits.must(tx, limit_id), changes)
        stores.limits.update(tx, item)
        _fits(keystone, tx, item)
        return item

    return await keystone.db.write(write)


def _fits(keystone: Keystone, tx: Tx, item: Limit) -> None:
    """Raises: Forbidden, if a project would have more than its domain. Source: strict_two_level."""
    if keystone.config.enforcement_model == "flat":
        return
    if item.project_id:
        project = nouns.projects.must(tx, item.project_id)
        ok = within(item.resource_limit, _of_domain(tx, item, project.parent_id))
    else:
        ids = [p.id for p in stores.projects.all(tx, P.parent_id == item.domain_id)]
        same = _same(item)
        below = [x for x in stores.limits.all(tx, *same) if x.project_id in ids]
        ok = all(within(x.resource_limit, item.resource_limit) for x in below)
    if not ok:
        level = "project_id" if item.project_id else "domain_id"
        raise Forbidden(
            f"Invalid resource limit: The resource limit ({level}: "
            f"{item.project_id or item.domain_id}, resource_name: {item.resource_name}, "
            f"resource_limit: {item.resource_limit}, service_id: {item.service_id}, "
            f"region_id: {item.region_id or None}) doesn't satisfy current hierarchy model."
        )


def _of_domain(tx: Tx, item: Limit, domain_id: str) -> int:
    own = stores.limits.first(tx, *_same(item), L.domain_id == domain_id)
    if own is not None:
        return own.resource_limit
    registered = stores.registered_limits.first(
        tx,
        D.service_id == item.service_id,
        D.region_id == item.region_id,
        D.resource_name == item.resource_name,
    )
    return registered.default_limit if registered else UNLIMITED


def of_project(tx: Tx, service_type: str, project_id: str) -> dict[str, int]:
    """Return what binds a project: its own limits, and the registered ones for the rest."""
    found: dict[str, int] = {}
    for service in stores.services.all(tx, tables.services.c.type == service_type):
        for default in stores.registered_limits.all(tx, D.service_id == service.id):
            found[default.resource_name] = default.default_limit
        own = (L.service_id == service.id, L.project_id == project_id)
        found.update({x.resource_name: x.resource_limit for x in stores.limits.all(tx, *own)})
    return found


def _same(item: Limit) -> tuple[ColumnElement[bool], ...]:
    return (
        L.service_id == item.service_id,
        L.region_id == item.region_id,
        L.resource_name == item.resource_name,
    )


def _check(tx: Tx, item: Limit) -> None:
    _parts(tx, item.service_id, item.region_id)
    try:
        (nouns.projects if item.project_id else nouns.domains).must(
            tx, item.project_id or item.domain_id
        )
    except NotFound as why:
        raise BadRequest(why.message) from why
    same = (D.service_id == item.service_id, D.resource_name == item.resource_name)
    if stores.registered_limits.first(tx, *same, D.region_id == item.region_id) is None:
        raise BadRequest("There is no registered limit for this limit.")
    other = stores.limits.first(
        tx,
        L.project_id == item.project_id,
        L.domain_id == item.domain_id,
        L.service_id == item.service_id,
        L.region_id == item.region_id,
        L.resource_name == item.resource_name,
    )
    if other is not None:
        raise Conflict("Conflict occurred attempting to store limit - Duplicate entry.")

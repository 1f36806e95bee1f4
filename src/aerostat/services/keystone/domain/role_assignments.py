"""The list of role assignments: as they were given, or as they take effect."""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from sqlalchemy import ColumnElement, select

from aerostat.kit.db.engine import Tx
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.db.assignments import (
    C,
    actor_is,
    ancestors,
    group_ids,
    role_graph,
)
from aerostat.services.keystone.db.federation import live_members
from aerostat.services.keystone.domain import identity
from aerostat.services.keystone.domain.projects import below
from aerostat.services.keystone.model.actors import Group, Project, User
from aerostat.services.keystone.model.roles import Assignment, Role, RoleGraph
from aerostat.services.keystone.runtime import Keystone


class Wanted(Struct, frozen=True):
    """Filters; empty ones match all. `targets` are the ids of projects or domains."""

    user_id: str = ""
    group_id: str = ""
    role_id: str = ""
    target_kind: str = ""
    targets: tuple[str, ...] = ()
    inherited: bool | None = None
    effective: bool = False
    names: bool = False


class Entry(Struct, frozen=True):
    """An assignment as shown, and the one it comes from (through a group, a role, a parent)."""

    shown: Assignment
    origin: Assignment
    prior_role_id: str = ""


class Names(Struct, frozen=True):
    """What the ids of a list mean."""

    users: dict[str, User]
    groups: dict[str, Group]
    projects: dict[str, Project]
    roles: dict[str, Role]


class Found(Struct, frozen=True):
    """The entries, with names if those were asked for."""

    entries: list[Entry]
    names: Names | None


async def listed(keystone: Keystone, wanted: Wanted) -> Found:
    """Return the assignments that match `wanted`. Raises: Unavailable (a directory)."""
    if wanted.effective:
        await _refresh(keystone, wanted)
    now, ttl = keystone.clock.now(), keystone.config.default_authorization_ttl

    def read(tx: Tx) -> Found:
        if wanted.effective:
            entries = _effective(tx, wanted, live_members(tx, ttl, now))
        else:
            entries = _given(tx, wanted)
        return Found(entries, _names(tx, entries) if wanted.names else None)

    return await keystone.db.read(read)


async def _refresh(keystone: Keystone, wanted: Wanted) -> None:
    """Bring who is in which group up to date, as far as it decides what `wanted` finds."""
    if wanted.user_id:
        await identity.user(keystone, wanted.user_id)
        return
    groups = await keystone.db.read(stores.assignments.all, C.actor_kind == "group")
    for group_id in sorted({a.actor_id for a in groups}):
        await identity.group(keystone, group_id, members=True)


async def subtree(keystone: Keystone, project_id: str) -> tuple[str, ...]:
    """Return the id of a project and those below it."""

    def read(tx: Tx) -> tuple[str, ...]:
        return (project_id, *(p.id for p in below(tx, project_id)))

    return await keystone.db.read(read)


def _given(tx: Tx, wanted: Wanted) -> list[Entry]:
    conds: list[ColumnElement[bool]] = []
    if wanted.user_id:
        conds += [C.actor_kind == "user", C.actor_id == wanted.user_id]
    if wanted.group_id:
        conds += [C.actor_kind == "group", C.actor_id == wanted.group_id]
    if wanted.role_id:
        conds.append(C.role_id == wanted.role_id)
    if wanted.target_kind:
        conds.append(C.target_kind == wanted.target_kind)
    if wanted.targets:
        conds.append(C.target_id.in_(wanted.targets))
    if wanted.inherited is not None:
        conds.append(C.inherited.is_(wanted.inherited))
    return [Entry(a, a) for a in stores.assignments.all(tx, *conds)]


def _effective(tx: Tx, wanted: Wanted, said: Mapping[str, Sequence[str]]) -> list[Entry]:
    """Return what takes effect; `said`: the users that identity providers put into groups."""
    graph = role_graph(tx)
    entries = [
        effective
        for origin in stores.assignments.all(tx, *_sources(tx, wanted, said))
        for placed in _placed(tx, origin)
        for held in _members(tx, placed, said)
        for effective in _implied(graph, held, origin)
    ]
    unique = {e.shown: e for e in reversed(entries)}
    return [e for e in reversed(unique.values()) if _matches(e.shown, wanted)]


def _sources(
    tx: Tx, wanted: Wanted, said: Mapping[str, Sequence[str]]
) -> list[ColumnElement[bool]]:
    conds: list[ColumnElement[bool]] = []
    if wanted.user_id:
        groups = [g for g, users in said.items() if wanted.user_id in users]
        conds.append(actor_is(wanted.user_id, [*group_ids(tx, wanted.user_id), *groups]))
    if wanted.targets:
        above = {
            p.id
            for target in stores.projects.among(tx, wanted.targets)
            for p in ancestors(tx, target)
        }
        conds.append(C.target_id.in_(above | set(wanted.targets)))
    return conds


def _matches(a: Assignment, wanted: Wanted) -> bool:
    return (
        (not wanted.user_id or a.actor_id == wanted.user_id)
        and (not wanted.role_id or a.role_id == wanted.role_id)
        and (not wanted.target_kind or a.target_kind == wanted.target_kind)
        and (not wanted.targets or a.target_id in wanted.targets)
    )


def _placed(tx: Tx, origin: Assignment) -> list[Assignment]:
    if not origin.inherited:
        return [origin]
    from msgspec.structs import replace

    return [
        replace(origin, target_kind="project", target_id=project.id, inherited=False)
        for project in below(tx, origin.target_id)
    ]


def _members(tx: Tx, a: Assignment, said: Mapping[str, Sequence[str]]) -> list[Assignment]:
    if a.actor_kind == "user":
        return [a]
    from msgspec.structs import replace

    m = tables.memberships.c
    rows = tx.all(select(m.user_id).where(m.group_id == a.actor_id))
    users = dict.fromkeys((*(row[0] for row in rows), *said.get(a.actor_id, ())))
    return [replace(a, actor_kind="user", actor_id=user_id) for user_id in users]


def _implied(graph: RoleGraph, a: Assignment, origin: Assignment) -> list[Entry]:
    from msgspec.structs import replace

    role = graph.roles.get(a.role_id)
    own = [] if role is None or role.domain_id else [Entry(a, origin)]
    return own + [
        Entry(replace(a, role_id=implied), origin, prior)
        for implied, prior in graph.paths(a.role_id).items()
        if implied in graph.roles and not graph.roles[implied].domain_id
    ]


def _names(tx: Tx, entries: list[Entry]) -> Names:
    shown = [e.shown for e in entries]
    users = stores.users.among(tx, [a.actor_id for a in shown if a.actor_kind == "user"])
    groups = stores.groups.among(tx, [a.actor_id for a in shown if a.actor_kind == "group"])
    targets = stores.projects.among(tx, [a.target_id for a in shown if a.target_kind != "system"])
    roles = stores.roles.among(tx, [a.role_id for a in shown])
    domain_ids = [u.domain_id for u in users] + [g.domain_id for g in groups]
    domain_ids += [p.domain_id for p in targets] + [r.domain_id for r in roles]
    domains = stores.projects.among(tx, domain_ids)
    return Names(
        {u.id: u for u in users},
        {g.id: g for g in groups},
        {p.id: p for p in (*targets, *domains)},
        {r.id: r for r in roles},
    )

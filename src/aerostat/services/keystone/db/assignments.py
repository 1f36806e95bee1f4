"""Who holds which role where: the look-ups behind every token."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, false, or_, select

from aerostat.kit.db.engine import Tx
from aerostat.services.keystone.db import stores
from aerostat.services.keystone.db.tables import assignments, memberships
from aerostat.services.keystone.model.actors import Project
from aerostat.services.keystone.model.roles import Assignment, RoleGraph, graph

C = assignments.c


def role_graph(tx: Tx) -> RoleGraph:
    """Return every role with what it implies."""
    return graph(stores.roles.all(tx), stores.implications.all(tx))


def ancestors(tx: Tx, project: Project) -> list[Project]:
    """Return the projects above `project`, its parent first and its domain last."""
    above: list[Project] = []
    while project.parent_id:
        parent = stores.projects.get(tx, project.parent_id)
        if parent is None:
            break
        above.append(parent)
        project = parent
    return above


def group_ids(tx: Tx, user_id: str) -> list[str]:
    """Return the groups of a user, without those that an identity provider says."""
    rows = tx.all(select(memberships.c.group_id).where(memberships.c.user_id == user_id))
    return [row[0] for row in rows]


def of_user(tx: Tx, user_id: str, more: Sequence[str] = ()) -> list[Assignment]:
    """Return every assignment of a user, its own and those of its groups and of `more` groups."""
    actors = actor_is(user_id, [*group_ids(tx, user_id), *more])
    return stores.assignments.all(tx, actors)


def actor_is(user_id: str, groups: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that the actor is this user or one of `groups`."""
    return or_(
        and_(C.actor_kind == "user", C.actor_id == user_id),
        and_(C.actor_kind == "group", C.actor_id.in_(groups)) if groups else false(),
    )


def role_ids_on_project(
    tx: Tx, user_id: str, project_id: str, more: Sequence[str] = ()
) -> frozenset[str]:
    """Return the roles of a user on a project: direct, by group, inherited from above.

    `more` groups count as the user's.
    """
    project = stores.projects.get(tx, project_id)
    if project is None:
        return frozenset()
    above = [p.id for p in ancestors(tx, project)]
    return frozenset(
        a.role_id
        for a in of_user(tx, user_id, more)
        if (a.target_kind == "project" and a.target_id == project_id and not a.inherited)
        or (a.inherited and a.target_id in above)
    )


def role_ids_on(
    tx: Tx, user_id: str, kind: str, target_id: str, more: Sequence[str] = ()
) -> frozenset[str]:
    """Return the roles of a user on a domain or on the system, direct or by group.

    `more` groups count as the user's.
    """
    return frozenset(
        a.role_id
        for a in of_user(tx, user_id, more)
        if a.target_kind == kind and a.target_id == target_id and not a.inherited
    )


def forget_actor(tx: Tx, kind: str, actor_id: str) -> None:
    """Delete every assignment of a user or group."""
    stores.assignments.delete(tx, C.actor_kind == kind, C.actor_id == actor_id)


def forget_target(tx: Tx, target_id: str) -> None:
    """Delete every assignment on a project or domain."""
    stores.assignments.delete(tx, C.target_id == target_id)

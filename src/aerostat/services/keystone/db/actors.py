"""Users, projects and domains as authentication looks for them."""

from msgspec import Struct
from sqlalchemy import func

from aerostat.kit.db.engine import Tx
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.model.actors import NO_DOMAIN, Project, User


class UserRecord(Struct, frozen=True):
    """A user with the domain."""

    user: User
    domain: Project


class ProjectRecord(Struct, frozen=True):
    """A project with its domain; a domain is its own."""

    project: Project
    domain: Project


def user_record(tx: Tx, user_id: str) -> UserRecord | None:
    """Return the user with this id."""
    user = stores.users.get(tx, user_id)
    domain = stores.projects.get(tx, user.domain_id) if user else None
    return UserRecord(user, domain) if user and domain else None


def user_named(tx: Tx, name: str, domain_id: str, domain_name: str) -> UserRecord | None:
    """Return the user with this name; in any case of letters, as upstream's databases compare."""
    domain = domain_of(tx, domain_id, domain_name)
    if domain is None:
        return None
    mine = tables.users.c.domain_id == domain.id
    user = stores.users.first(tx, mine, tables.users.c.name == name) or stores.users.first(
        tx, mine, func.lower(tables.users.c.name) == name.lower()
    )
    return UserRecord(user, domain) if user else None


def project_record(tx: Tx, project_id: str) -> ProjectRecord | None:
    """Return the project with this id."""
    project = stores.projects.get(tx, project_id)
    if project is None:
        return None
    domain = project if project.is_domain else stores.projects.get(tx, project.domain_id)
    return ProjectRecord(project, domain) if domain else None


def project_named(tx: Tx, name: str, domain_id: str, domain_name: str) -> ProjectRecord | None:
    """Return the project with this name in a domain."""
    domain = domain_of(tx, domain_id, domain_name)
    if domain is None:
        return None
    c = tables.projects.c
    project = stores.projects.first(tx, c.domain_id == domain.id, c.name == name)
    return ProjectRecord(project, domain) if project else None


def domain_of(tx: Tx, domain_id: str, domain_name: str) -> Project | None:
    """Return the domain with this id, or else this name."""
    c = tables.projects.c
    if domain_id:
        return stores.projects.first(tx, c.id == domain_id, c.is_domain.is_(True))
    return stores.projects.first(tx, c.domain_id == NO_DOMAIN, c.name == domain_name)

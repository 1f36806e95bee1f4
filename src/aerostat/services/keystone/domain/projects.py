"""Projects and domains: trees that rights and resources hang on."""

from typing import Any

from msgspec.structs import replace
from sqlalchemy import delete as sql_delete
from sqlalchemy import select
from sqlalchemy import update as sql_update

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Forbidden, NotFound
from aerostat.services.keystone.db import assignments, stores, tables
from aerostat.services.keystone.domain import federation, groups, nouns, options, revocation, users
from aerostat.services.keystone.model.actors import NO_DOMAIN, Project
from aerostat.services.keystone.model.revocations import DOMAIN, PROJECT
from aerostat.services.keystone.runtime import Keystone

C = tables.projects.c

PROJECT_TABLES = (
    tables.credentials,
    tables.application_credentials,
    tables.trusts,
    tables.access_tokens,
    tables.request_tokens,
    tables.limits,
    tables.project_endpoints,
    tables.project_endpoint_groups,
)


async def create(keystone: Keystone, project: Project) -> Project:
    """Store a new project or domain.

    Raises: Conflict, Forbidden (too deep), BadRequest (among others, its domain or parent).
    """

    check_tags(project.tags)
    project = replace(project, options=options.merged(options.RESOURCE, {}, project.options))

    def write(tx: Tx) -> Project:
        return insert(keystone, tx, project)

    return await keystone.change(write)


def insert(keystone: Keystone, tx: Tx, project: Project) -> Project:
    """Store a new project or domain. Raises: as `create`."""
    made = project if project.is_domain else _placed(keystone, tx, project)
    _unique(tx, made)
    stores.projects.insert(tx, made)
    return made


def _placed(keystone: Keystone, tx: Tx, project: Project) -> Project:
    parent = stores.projects.get(tx, project.parent_id or project.domain_id)
    if parent is None:
        noun = nouns.projects if project.parent_id else nouns.domains
        raise BadRequest(noun.missing(project.parent_id or project.domain_id).message)
    domain_id = parent.id if parent.is_domain else parent.domain_id
    if project.domain_id and project.domain_id != domain_id:
        raise BadRequest(
            "Cannot create project, since it specifies its domain_id "
            f"{project.domain_id}, but specifies a parent in a different domain ({domain_id}).",
            field="domain_id",
        )
    above = [parent, *assignments.ancestors(tx, parent)]
    if any(not p.enabled for p in above):
        raise BadRequest("Cannot create a project in a branch containing a disabled project.")
    two_levels = keystone.config.enforcement_model == "strict_two_level"
    if len(above) > (1 if two_levels else keystone.config.max_project_tree_depth):
        raise Forbidden(f"Max hierarchy depth reached for {parent.id} branch.")
    return replace(project, parent_id=parent.id, domain_id=domain_id)


def _unique(tx: Tx, project: Project) -> None:
    noun = nouns.domains if project.is_domain else nouns.projects
    same = (C.domain_id == project.domain_id, C.name == project.name)
    where = "" if project.is_domain else f" at domain ID {project.domain_id}"
    noun.unique(tx, project.id, f" found with name {project.name}{where}", *same)
    domain = None if project.is_domain else stores.projects.get(tx, project.domain_id)
    if domain is not None and domain.name == project.name:
        noun.unique(tx, project.id, " found with the name of its domain", C.id == domain.id)


async def update(keystone: Keystone, project_id: str, changes: dict[str, Any]) -> Project:
    """Change a project or domain. Raises: Conflict, NotFound, Forbidden, BadRequest."""

    check_tags(changes.get("tags", []))

    def write(tx: Tx) -> Project:
        before = nouns.projects.must(tx, project_id)
        wanted = _moved_nowhere(before, changes)
        options.check_update(_kind(before), before, wanted)
        if "options" in wanted:
            wanted["options"] = options.merged(options.RESOURCE, before.options, wanted["options"])
        project = nouns.changed(before, wanted)
        _unique(tx, project)
        if before.enabled != project.enabled:
            _switch(keystone, tx, project)
        stores.projects.update(tx, project)
        return project

    return await keystone.change(write)


def _kind(project: Project) -> str:
    return "domain" if project.is_domain else "project"


def _moved_nowhere(before: Project, changes: dict[str, Any]) -> dict[str, Any]:
    for name in ("domain_id", "parent_id", "is_domain"):
        if name in changes and changes[name] != getattr(before, name):
            said = {
                "domain_id": "Cannot change Domain ID.",
                "parent_id": "Update of `parent_id` is not allowed.",
            }
            kind = Forbidden if name == "parent_id" else BadRequest
            raise kind(said.get(name, "Update of `is_domain` is not allowed."))
    return {k: v for k, v in changes.items() if k not in ("domain_id", "parent_id", "is_domain")}


def _switch(keystone: Keystone, tx: Tx, project: Project) -> None:
    if project.enabled:
        if any(not p.enabled for p in assignments.ancestors(tx, project)):
            raise Forbidden(f"Cannot enable project {project.id} since it has disabled parents")
        return
    if not project.is_domain and any(p.enabled for p in below(tx, project.id)):
        raise Forbidden(
            f"Cannot disable project {project.id} since its subtree contains enabled projects."
        )
    revocation.record(keystone, tx, DOMAIN if project.is_domain else PROJECT, project.id)


def below(tx: Tx, project_id: str) -> list[Project]:
    """Return every project below this one."""
    found: list[Project] = []
    layer = [project_id]
    while layer:
        children = stores.projects.all(tx, C.parent_id.in_(layer))
        found += children
        layer = [child.id for child in children]
    return found


async def tree(keystone: Keystone, project: Project) -> tuple[list[Project], list[Project]]:
    """Return the projects above (parent first, the domain left out) and below `project`."""

    def read(tx: Tx) -> tuple[list[Project], list[Project]]:
        above = [p for p in assignments.ancestors(tx, project) if not p.is_domain]
        return above, below(tx, project.id)

    return await keystone.db.read(read)


async def delete(keystone: Keystone, project_id: str) -> None:
    """Delete a project that has none below. Raises: NotFound, Forbidden."""

    def write(tx: Tx) -> None:
        project = nouns.projects.must(tx, project_id)
        if project.is_domain:
            _delete_domain(keystone, tx, project)
            return
        options.check_delete("project", project)
        if tx.first(select(C.id).where(C.parent_id == project_id)):
            raise Forbidden(
                f"Cannot delete the project {project_id} since it is not a leaf in the hierarchy."
            )
        _purge(keystone, tx, project_id)

    await keystone.change(write)


def _purge(keystone: Keystone, tx: Tx, project_id: str) -> None:
    assignments.forget_target(tx, project_id)
    for table in PROJECT_TABLES:
        tx.run(sql_delete(table).where(table.c.project_id == project_id))
    u = tables.users
    stale = sql_update(u).where(u.c.default_project_id == project_id)
    tx.run(stale.values(default_project_id=""))
    stores.projects.delete(tx, C.id == project_id)
    revocation.record(keystone, tx, PROJECT, project_id)


async def delete_domain(keystone: Keystone, domain_id: str) -> None:
    """Delete a disabled domain with all its users, groups, projects and roles.

    Raises: NotFound, Forbidden (still enabled, or the default domain).
    """

    def write(tx: Tx) -> None:
        domain = nouns.domains.must(tx, domain_id)
        if not domain.is_domain:
            raise nouns.domains.missing(domain_id)
        _delete_domain(keystone, tx, domain)

    await keystone.change(write)


def _delete_domain(keystone: Keystone, tx: Tx, domain: Project) -> None:
    if domain.id == keystone.config.default_domain_id:
        raise Forbidden("Cannot delete the default domain.")
    options.check_delete("domain", domain)
    if domain.enabled:
        raise Forbidden("Cannot delete a domain that is enabled, please disable it first.")
    _purge_domain(keystone, tx, domain.id)


def _purge_domain(keystone: Keystone, tx: Tx, domain_id: str) -> None:
    m = tables.id_mappings.c
    for known in stores.id_mappings.all(tx, m.domain_id == domain_id):
        if known.entity_type == "user":
            users.purge(keystone, tx, known.public_id)
        else:
            groups.purge(tx, known.public_id)
    stores.id_mappings.delete(tx, m.domain_id == domain_id)
    for user in stores.users.all(tx, tables.users.c.domain_id == domain_id):
        users.purge(keystone, tx, user.id)
    for group in stores.groups.all(tx, tables.groups.c.domain_id == domain_id):
        groups.purge(tx, group.id)
    for project in reversed(below(tx, domain_id)):
        _purge(keystone, tx, project.id)
    for role in stores.roles.all(tx, tables.roles.c.domain_id == domain_id):
        i = tables.implications.c
        stores.implications.delete(
            tx, (i.prior_role_id == role.id) | (i.implied_role_id == role.id)
        )
        stores.assignments.delete(tx, tables.assignments.c.role_id == role.id)
        stores.roles.delete(tx, tables.roles.c.id == role.id)
    tx.run(sql_delete(tables.domain_options).where(tables.domain_options.c.domain_id == domain_id))
    tx.run(sql_delete(tables.limits).where(tables.limits.c.domain_id == domain_id))
    for idp in stores.identity_providers.all(tx, federation.IDP.domain_id == domain_id):
        federation.forget_provider(keystone, tx, idp.id)
    _purge(keystone, tx, domain_id)
    revocation.record(keystone, tx, DOMAIN, domain_id)


async def domain(keystone: Keystone, domain_id: str) -> Project:
    """Return a domain. Raises: NotFound."""
    found = await nouns.find(keystone, nouns.domains, domain_id)
    if not found.is_domain or found.domain_id != NO_DOMAIN:
        raise nouns.domains.missing(domain_id)
    return found


async def retag(
    keystone: Keystone, project_id: str, add: list[str], drop: list[str] | None
) -> Project:
    """Add tags to a project and take others away (None: all). Raises: NotFound, BadRequest."""

    def write(tx: Tx) -> Project:
        before = nouns.projects.must(tx, project_id)
        options.check_update("project", before, {"tags": add})
        kept = [] if drop is None else [t for t in before.tags if t not in drop]
        if set(kept) & set(add):
            raise BadRequest("Invalid input for field 'tags': it has non-unique elements.")
        if drop and not set(drop) <= set(before.tags):
            raise NotFound(f"Could not find tag: {drop[0]}.")
        project = replace(before, tags=[*kept, *add])
        check_tags(project.tags)
        stores.projects.update(tx, project)
        return project

    return await keystone.db.write(write)


def check_tags(tags: list[str]) -> None:
    """Raises: BadRequest (one is there twice, or there are too many)."""
    if len(set(tags)) != len(tags):
        raise BadRequest(
            "Invalid input for field 'tags': it has non-unique elements.", field="tags"
        )
    if len(tags) > TAGS_MAX:
        raise BadRequest(
            f"Invalid input for field 'tags': more than {TAGS_MAX} tags.", field="tags"
        )


TAGS_MAX = 80
"""Tags of a project. Source: upstream's project tags specification."""

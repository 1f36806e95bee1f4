"""/v3/projects"""

from typing import Any

from aerostat.kit.errors import BadRequest, NotFound
from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.limits import view as limit_view
from aerostat.services.keystone.api.users import own_domain
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import limits, nouns, projects, users
from aerostat.services.keystone.model.actors import NO_DOMAIN, Project
from aerostat.services.keystone.model.listing import Listing
from aerostat.services.keystone.policies import target
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.actors import ProjectCreate, ProjectUpdate, TagsPut
from aerostat.services.keystone.schemas.fields import given

routes: Routes[Keystone] = Routes("projects")

TAG_FILTERS = ("tags", "tags-any", "not-tags", "not-tags-any")
FIELDS = ("domain_id", "enabled", "name", "parent_id", "is_domain", "id")


def target_of(project: Project | None, project_id: str = "") -> Document:
    """Return the policy target of a project."""
    if project is None:
        return target(project__id=project_id)
    return target(project__id=project.id, project__domain_id=project.domain_id)


async def seen(keystone: Keystone, req: Request[Any], rule: Rule) -> Project:
    """Return the project of the path if `rule` lets the caller. Raises: Forbidden, NotFound."""
    project_id = req.path["project_id"]
    project = await nouns.look(keystone, nouns.projects, project_id)
    req.enforce(rule, target_of(project, project_id))
    if project is None:
        raise nouns.projects.missing(project_id)
    return project


@routes.get("/projects", policy=None)
async def index(keystone: Keystone, req: Request[None]) -> Document:
    """List projects; those that are domains only when asked for."""
    domain_id = req.query.get("domain_id") or req.ctx.domain_id
    req.enforce(policies.LIST_PROJECTS, target(target__domain_id=domain_id))
    wanted = views.listing(keystone, req, *FIELDS)
    where: list[Any] = [] if "is_domain" in req.query else [projects.C.is_domain.is_(False)]
    if req.ctx.domain_id:
        where.append(projects.C.domain_id == req.ctx.domain_id)
    if set(TAG_FILTERS) & set(req.query.names()):
        found = await nouns.listed(keystone, nouns.projects, Listing(wanted.filters), *where)
        found = [p for p in _tagged(req, found) if p.id > wanted.marker]
    else:
        found = await nouns.listed(keystone, nouns.projects, wanted, *where)
    return views.collection(req, "projects", found, views.project, wanted)


def _tagged(req: Request[Any], found: list[Project]) -> list[Project]:
    def names(key: str) -> set[str]:
        return set((req.query.get(key) or "").split(","))

    if "tags" in req.query:
        found = [p for p in found if names("tags") <= set(p.tags)]
    if "tags-any" in req.query:
        found = [p for p in found if names("tags-any") & set(p.tags)]
    if "not-tags" in req.query:
        found = [p for p in found if not names("not-tags") <= set(p.tags)]
    if "not-tags-any" in req.query:
        found = [p for p in found if not names("not-tags-any") & set(p.tags)]
    return found


@routes.post("/projects", policy=None, body=ProjectCreate)
async def create(keystone: Keystone, req: Request[ProjectCreate]) -> Document:
    """Create a project, or a domain where `is_domain` says so."""
    body = req.body.project
    domain_id = body.domain_id or ""
    if body.is_domain and (domain_id or body.parent_id):
        raise BadRequest("A project that is a domain has neither domain nor parent.")
    if not body.is_domain and not domain_id:
        parent = await nouns.look(keystone, nouns.projects, body.parent_id or "")
        above = parent.id if parent and parent.is_domain else parent.domain_id if parent else ""
        domain_id = above or own_domain(keystone, req)
    req.enforce(policies.CREATE_PROJECT, target(project__domain_id=domain_id))
    row = Project(
        id=keystone.ids(),
        name=body.name,
        domain_id=NO_DOMAIN if body.is_domain else domain_id,
        parent_id=body.parent_id or "",
        is_domain=body.is_domain,
        enabled=body.enabled,
        description=body.description or "",
        tags=body.tags,
        options=body.options,
        extra=body.extra,
    )
    return {"project": views.project(req, await projects.create(keystone, row))}


@routes.get("/projects/{project_id}", policy=None)
async def show(keystone: Keystone, req: Request[None]) -> Document:
    """Show a project, with those above and below it as asked for."""
    project = await seen(keystone, req, policies.GET_PROJECT)
    shown = views.project(req, project)
    asked = {"parents_as_list", "parents_as_ids", "subtree_as_list", "subtree_as_ids"}
    wanted = {name for name in asked if req.query.get(name, "0") != "0"}
    limited = req.query.get("include_limits", "0") != "0"
    for kind in ("parents", "subtree"):
        if {f"{kind}_as_list", f"{kind}_as_ids"} <= wanted:
            raise BadRequest(f"Cannot use {kind}_as_list and {kind}_as_ids at the same time.")
    if wanted:
        await _family(keystone, req, project, shown, wanted)
    if limited and wanted:
        await _add_limits(keystone, req, shown)
    return {"project": shown}


async def _add_limits(keystone: Keystone, req: Request[Any], shown: Document) -> None:
    """Show the limits of the projects that are listed above and below, too."""
    lists = [found for key in ("parents", "subtree") if isinstance(found := shown.get(key), list)]
    family = {one["project"]["id"]: one["project"] for found in lists for one in found}
    for project in family.values():
        project["limits"] = []
    for limit in await limits.of_projects(keystone, list(family)):
        family[limit.project_id]["limits"].append(limit_view(req, limit))


async def _family(
    keystone: Keystone, req: Request[Any], project: Project, shown: Document, wanted: set[str]
) -> None:
    above, below = await projects.tree(keystone, project)
    if "parents_as_list" in wanted or "subtree_as_list" in wanted:
        mine = {p.id for p in await users.projects(keystone, req.ctx.user_id, Listing())}
        everything = req.allows(policies.LIST_PROJECTS, {})
        for key, family in (("parents_as_list", above), ("subtree_as_list", below)):
            if key in wanted:
                visible = [p for p in family if everything or p.id in mine]
                shown[key.removesuffix("_as_list")] = [
                    {"project": views.project(req, p)} for p in visible
                ]
    if "parents_as_ids" in wanted:
        shown["parents"] = None
        for parent in reversed(above):
            shown["parents"] = {parent.id: shown["parents"]}
    if "subtree_as_ids" in wanted:
        shown["subtree"] = _ids(project.id, below)


def _ids(root: str, below: list[Project]) -> Document | None:
    children = [p.id for p in below if p.parent_id == root]
    return {child: _ids(child, below) for child in children} or None


@routes.patch("/projects/{project_id}", policy=None, body=ProjectUpdate)
async def update(keystone: Keystone, req: Request[ProjectUpdate]) -> Document:
    """Change a project."""
    project = await seen(keystone, req, policies.UPDATE_PROJECT)
    changes = given(req.body.project, least=0)
    return {"project": views.project(req, await projects.update(keystone, project.id, changes))}


@routes.delete("/projects/{project_id}", policy=None)
async def delete(keystone: Keystone, req: Request[None]) -> None:
    """Delete a project."""
    project = await seen(keystone, req, policies.DELETE_PROJECT)
    await projects.delete(keystone, project.id)


@routes.get("/projects/{project_id}/tags", policy=None)
async def tags(keystone: Keystone, req: Request[None]) -> Document:
    """List the tags of a project."""
    project = await seen(keystone, req, policies.LIST_PROJECT_TAGS)
    return _tags(req, project)


def _tags(req: Request[Any], project: Project) -> Document:
    links = {"next": None, "previous": None, "self": req.url}
    return {"tags": project.tags, "links": links}


@routes.put("/projects/{project_id}/tags", policy=None, body=TagsPut)
async def put_tags(keystone: Keystone, req: Request[TagsPut]) -> Document:
    """Replace the tags of a project."""
    project = await seen(keystone, req, policies.UPDATE_PROJECT_TAGS)
    return _tags(req, await projects.retag(keystone, project.id, req.body.tags, None))


@routes.delete("/projects/{project_id}/tags", policy=None)
async def delete_tags(keystone: Keystone, req: Request[None]) -> None:
    """Remove every tag of a project."""
    project = await seen(keystone, req, policies.DELETE_PROJECT_TAGS)
    await projects.retag(keystone, project.id, [], None)


@routes.get("/projects/{project_id}/tags/{tag}", policy=None, status=204)
async def has_tag(keystone: Keystone, req: Request[None]) -> None:
    """Tell whether a project has a tag."""
    project = await seen(keystone, req, policies.GET_PROJECT_TAG)
    if req.path["tag"] not in project.tags:
        raise NotFound(f"Could not find project tag: {req.path['tag']}.")


@routes.put("/projects/{project_id}/tags/{tag}", policy=None, status=201)
async def add_tag(keystone: Keystone, req: Request[None]) -> Reply:
    """Add a tag to a project."""
    project = await seen(keystone, req, policies.CREATE_PROJECT_TAG)
    tag = req.path["tag"]
    if len(tag) > 255 or "," in tag or "/" in tag:
        raise BadRequest("Invalid input for field 'name': not a valid tag.", field="name")
    await projects.retag(keystone, project.id, [tag], [])
    return Reply(status=201, headers={"Location": req.url})


@routes.delete("/projects/{project_id}/tags/{tag}", policy=None)
async def delete_tag(keystone: Keystone, req: Request[None]) -> None:
    """Remove a tag of a project."""
    project = await seen(keystone, req, policies.DELETE_PROJECT_TAG)
    await projects.retag(keystone, project.id, [], [req.path["tag"]])

"""/os-server-groups: servers kept together or apart."""

from typing import Annotated, Any

from msgspec import Meta

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Request, Routes
from aerostat.kit.http.schema import Body
from aerostat.services.nova import policies
from aerostat.services.nova.api.queries import limit_of
from aerostat.services.nova.domain import server_groups
from aerostat.services.nova.domain.server_groups import ServerGroup
from aerostat.services.nova.runtime import Nova

routes: Routes[Nova] = Routes("group")

POLICIES = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")


class Rules(Body):
    """Rules of an anti-affinity group."""

    max_server_per_host: Annotated[int, Meta(ge=1)] | str | None = None


class GroupBody(Body, kw_only=True):
    """One server group."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    policy: str
    rules: Rules | None = None


class GroupCreate(Body):
    """POST /os-server-groups."""

    server_group: GroupBody


def view(group: ServerGroup, members: list[str]) -> dict[str, Any]:
    """Return the newest form of a server group."""
    return {
        "id": group.uuid,
        "name": group.name,
        "policy": group.policy,
        "rules": group.rules,
        "members": members,
        "project_id": group.project_id,
        "user_id": group.user_id,
    }


@routes.get("/os-server-groups", policy=policies.GROUPS["index"])
async def index(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List server groups."""
    project: str | None = req.ctx.project_id
    if "all_projects" in req.query and req.allows(policies.GROUPS["index_all"]):
        project = None
    limit, offset = limit_of(req, nova.config.max_limit), req.query.number("offset", 0) or 0
    found = await server_groups.find(nova, project, limit, offset)
    return {"server_groups": [view(g, members) for g, members in found]}


@routes.post("/os-server-groups", policy=policies.GROUPS["create"], body=GroupCreate, status=200)
async def create(nova: Nova, req: Request[GroupCreate]) -> dict[str, Any]:
    """Create a server group."""
    body = req.body.server_group
    if body.policy not in POLICIES:
        raise BadRequest(
            f"Invalid input for field/attribute policy. Value: {body.policy}.", field="policy"
        )
    if not body.name.strip():
        raise BadRequest("Invalid input for field/attribute name.", field="name")
    rules = {}
    if body.rules is not None and body.rules.max_server_per_host is not None:
        if body.policy != "anti-affinity":
            raise BadRequest("Only anti-affinity policy supports rules.", field="rules")
        rules = {"max_server_per_host": int(body.rules.max_server_per_host)}
    made = await server_groups.create(nova, req.ctx, body.name, body.policy, rules)
    return {"server_group": view(made, [])}


@routes.get("/os-server-groups/{group_id}", policy=None)
async def show(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show a server group."""
    group, members = await server_groups.get(nova, req.ctx, req.path["group_id"])
    req.enforce(policies.GROUPS["show"], {"project_id": group.project_id})
    return {"server_group": view(group, members)}


@routes.delete("/os-server-groups/{group_id}", policy=None)
async def delete(nova: Nova, req: Request[None]) -> None:
    """Delete a server group; its servers stay."""
    group, _ = await server_groups.get(nova, req.ctx, req.path["group_id"])
    req.enforce(policies.GROUPS["delete"], {"project_id": group.project_id})
    await server_groups.delete(nova, group.uuid)

"""/v2/images/{image_id}/members: share an image; accept or reject what is shared."""

from typing import Any

from aerostat.kit.errors import BadRequest, NotFound
from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Request, Routes
from aerostat.kit.http.schema import Open
from aerostat.services.glance import policies
from aerostat.services.glance.api import views
from aerostat.services.glance.api.asking import enforce, permitted, viewer
from aerostat.services.glance.domain import images, members
from aerostat.services.glance.domain.images import Seen
from aerostat.services.glance.runtime import Glance

routes: Routes[Glance] = Routes("members")
URL = "/images/{image_id}/members"
ONE = URL + "/{member_id}"


class MemberCreate(Open):
    """The project to share with."""

    member: str


class MemberUpdate(Open):
    """What the project says to it."""

    status: str


async def _shared(glance: Glance, req: Request[Any], rule: Rule) -> Seen:
    found = await permitted(glance, req, rule)
    members.check_shared(found.image)
    return found


@routes.get(URL, policy=None)
async def index(glance: Glance, req: Request[None]) -> dict[str, Any]:
    """List the members; a member sees itself only."""
    found = await _shared(glance, req, policies.GET_MEMBERS)
    listed = await members.listed(glance, found.image, found.member)
    if not req.allows(policies.GET_MEMBER, found.target):
        listed = []
    return {"members": [views.member(m) for m in listed], "schema": "/v2/schemas/members"}


@routes.post(URL, policy=None, status=200, body=MemberCreate)
async def create(glance: Glance, req: Request[MemberCreate]) -> dict[str, Any]:
    """Share an image with a project."""
    if not 0 < len(req.body.member) <= 255:
        raise BadRequest("Member can't be empty", field="member")
    found = await _shared(glance, req, policies.ADD_MEMBER)
    return views.member(await members.add(glance, found.image.id, req.body.member))


@routes.get(ONE, policy=None)
async def show(glance: Glance, req: Request[None]) -> dict[str, Any]:
    """Show a member."""
    found = await permitted(glance, req, policies.GET)
    member = req.path["member_id"]
    if not req.allows(policies.GET_MEMBER, found.target):
        raise NotFound(f"No member of image {found.image.id} with ID {member} is seen.")
    if found.member and found.member != member:
        member = ""
    return views.member(await members.get(glance, found.image.id, member))


@routes.put(ONE, policy=None, body=MemberUpdate)
async def update(glance: Glance, req: Request[MemberUpdate]) -> dict[str, Any]:
    """Accept or reject an image."""
    found = await images.seen(glance, viewer(req.ctx), req.path["image_id"])
    members.check_shared(found.image)
    member = req.path["member_id"]
    enforce(req, policies.GET, found)
    enforce(req, policies.MODIFY_MEMBER, found, member_id=member)
    changed = await members.set_status(glance, found.image.id, member, req.body.status)
    return views.member(changed)


@routes.delete(ONE, policy=None)
async def delete(glance: Glance, req: Request[None]) -> None:
    """Share an image with a project no longer."""
    found = await _shared(glance, req, policies.DELETE_MEMBER)
    await members.remove(glance, found.image.id, req.path["member_id"])

"""What the handlers of images have in common: who looks, and what they may do."""

from typing import Any

from aerostat.kit.context import Context
from aerostat.kit.errors import Forbidden, TooLarge
from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Request
from aerostat.kit.http.schema import decode
from aerostat.services.glance import policies
from aerostat.services.glance.domain import images
from aerostat.services.glance.domain.images import Seen, unknown
from aerostat.services.glance.domain.imports import Asker
from aerostat.services.glance.model.listing import Viewer
from aerostat.services.glance.runtime import Glance

BODY_MAX = 1 << 20
"""Bytes of a JSON body of this API."""


def viewer(ctx: Context) -> Viewer:
    """Return who looks."""
    return Viewer(ctx.project_id, ctx.is_admin)


def asker(req: Request[Any]) -> Asker:
    """Return who asks."""
    ctx = req.ctx
    return Asker(ctx.request_id, ctx.user_id, ctx.project_id, ctx.token, ctx.roles)


async def permitted(glance: Glance, req: Request[Any], rule: Rule) -> Seen:
    """Return the image of the URL if the caller passes `rule` for it.

    Raises: NotFound (unknown or unseen), Forbidden (seen, but the rule says no).
    """
    found = await images.seen(glance, viewer(req.ctx), req.path["image_id"])
    enforce(req, rule, found)
    return found


def enforce(req: Request[Any], rule: Rule, found: Seen, **more: object) -> None:
    """Raises: Forbidden; NotFound, if the policy does not let the caller see the image either."""
    target = {**found.target, **more}
    if req.allows(rule, target):
        own = bool(req.ctx.project_id) and found.image.owner == req.ctx.project_id
        if rule in policies.CHANGES and not (own or req.ctx.is_admin):
            raise Forbidden("You do not own this image.")
        return
    if rule is policies.GET or not req.allows(policies.GET, found.target):
        raise unknown(found.image.id)
    req.enforce(rule, target)


async def document(req: Request[Any]) -> Any:
    """Return the JSON body of a request, whatever media type it says. Raises: BadRequest."""
    parts, size = [], 0
    async for chunk in req.chunks():
        size += len(chunk)
        if size > BODY_MAX:
            raise TooLarge("Request is too large.")
        parts.append(chunk)
    return decode(b"".join(parts))

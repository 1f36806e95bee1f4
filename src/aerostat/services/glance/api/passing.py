"""Passes a request on to the copy of glance-api that has staged the image's data."""

from typing import Any

import msgspec

from aerostat.kit.errors import Fault, NotFound
from aerostat.kit.http.route import Reply, Request
from aerostat.services.glance.domain import images, staging
from aerostat.services.glance.model.image import Image
from aerostat.services.glance.peers import Answer
from aerostat.services.glance.runtime import Glance


async def pass_on(glance: Glance, req: Request[Any], image: Image) -> Reply | None:
    """Return what the copy that has staged the data says; None if that is this one.

    Raises: Fault (gateway_timeout, bad_gateway).
    """
    host = staging.elsewhere(glance, image)
    if not host:
        return None
    body = b"" if req.body is None else msgspec.json.encode(req.body)
    return _reply(await _ask(glance, req, host, body))


async def pass_deletion_on(glance: Glance, req: Request[Any], image: Image) -> Reply | None:
    """Do the same for a deletion; None also if the other copy is away: then it is done here."""
    host = staging.elsewhere(glance, image)
    if not host:
        return None
    try:
        answer = await _ask(glance, req, host, b"")
    except Fault:
        return None
    if answer.status < 500:
        return _reply(answer)
    try:
        await images.one(glance, image.id)
    except NotFound:
        return Reply(status=204)
    return None


async def _ask(glance: Glance, req: Request[Any], host: str, body: bytes) -> Answer:
    url = host.rstrip("/") + req.url.removeprefix(req.base)
    return await glance.peers.ask(req.method, url, req.headers, body)


def _reply(answer: Answer) -> Reply:
    return Reply(status=answer.status, raw=answer.body or None, content_type=answer.content_type)

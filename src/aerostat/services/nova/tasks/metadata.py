"""nova-metadata on HTTP: metadata proxies of other network engines ask here for their guests.

Our own agents ask over the bus. A proxy says whose request it passes on by X-Instance-ID and
X-Tenant-ID and proves it with `metadata_proxy_shared_secret`.

Source: nova administrator's guide "Metadata service", neutron-metadata-agent.
"""

import hashlib
import hmac
from typing import Any

from aerostat.contracts.compute import MetadataReply
from aerostat.kit.errors import BadRequest, Fault, Forbidden
from aerostat.kit.log import Logger
from aerostat.services.nova.domain import metadata
from aerostat.services.nova.runtime import Nova

log = Logger("nova.metadata")
TEXT = "text/plain; charset=UTF-8"
STATUS = {"bad_request": 400, "forbidden": 403, "not_found": 404}


class MetadataApi:
    """An ASGI application for trusted proxies; needs `metadata_proxy_shared_secret`."""

    def __init__(self, nova: Nova) -> None:
        self._nova = nova

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] not in ("GET", "HEAD"):
            reply = MetadataReply(405, TEXT, b"Method Not Allowed")
        else:
            reply = await self._answer(scope)
        body = reply.body if scope["method"] != "HEAD" else b""
        headers = [
            (b"content-type", reply.content_type.encode()),
            (b"content-length", str(len(reply.body)).encode()),
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: dict[str, Any]) -> MetadataReply:
        try:
            server_id, project_id = asked_for(
                scope["headers"], self._nova.config.metadata_proxy_shared_secret
            )
            return await metadata.answer(self._nova, server_id, scope["path"], project_id)
        except Fault as why:
            log.warning("metadata.refused", path=scope["path"], reason=why.message)
            return MetadataReply(STATUS.get(why.code, 500), TEXT, why.message.encode())


def asked_for(headers: list[tuple[bytes, bytes]], secret: str) -> tuple[str, str]:
    """Return the server and project that a proxy names.

    Raises: BadRequest (a header is missing or there twice), Forbidden (the proof is wrong).
    """
    server_id = _only(headers, "X-Instance-ID")
    project_id = _only(headers, "X-Tenant-ID")
    proof = _only(headers, "X-Instance-ID-Signature")
    if not hmac.compare_digest(signature(server_id, secret).encode(), proof.encode()):
        raise Forbidden("Invalid proxy request signature.")
    return server_id, project_id


def signature(server_id: str, secret: str) -> str:
    """Return the proof for a server's id: HMAC-SHA256 in hexadecimal digits."""
    return hmac.new(secret.encode(), server_id.encode(), hashlib.sha256).hexdigest()


def _only(headers: list[tuple[bytes, bytes]], name: str) -> str:
    found = [value.decode("latin-1") for key, value in headers if key == name.lower().encode()]
    if not found:
        raise BadRequest(f"{name} header is missing from request.", field=name)
    if len(found) > 1 or "," in found[0]:
        raise BadRequest(f"Multiple {name} headers found within request.", field=name)
    return found[0]

"""Consoles: a token in a URL lets a browser reach the VNC server of one guest, for a while.

Tokens are stored hashed; the proxy checks them, and they end with the server.
"""

import hashlib
import secrets
from urllib.parse import urlencode

from sqlalchemy import delete, insert, select

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, NotFound
from aerostat.services.nova.agent.endpoint import compute_host
from aerostat.services.nova.db import servers
from aerostat.services.nova.db import tables as t
from aerostat.services.nova.model.guest import VncAddress
from aerostat.services.nova.model.server import Server, VmState
from aerostat.services.nova.runtime import Nova

C = t.console_tokens.c


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def open_vnc(nova: Nova, server: Server, kind: str) -> str:
    """Return a noVNC URL. Raises: BadRequest (another type), Conflict (not running)."""
    if kind != "novnc":
        raise BadRequest(f"Unavailable console type {kind}.", field="type")
    if server.host is None or server.vm_state == VmState.BUILDING:
        raise Conflict(f"Instance {server.uuid} is not ready")
    token = secrets.token_urlsafe(32)
    now = nova.clock.now()

    def write(tx: Tx) -> None:
        tx.run(delete(t.console_tokens).where(C.expires_at < now))
        values = {"token_hash": _hash(token), "server_uuid": server.uuid}
        expires_at = now + nova.config.console_token_ttl_s
        tx.run(insert(t.console_tokens).values(**values, expires_at=expires_at))

    await nova.db.write(write)
    query = {"path": f"?{urlencode({'token': token})}", "autoconnect": "true"}
    return f"{nova.config.novncproxy_base_url}?{urlencode(query)}"


async def connect(nova: Nova, token: str) -> VncAddress:
    """Return where the VNC server of the token's guest listens. Raises: NotFound."""

    def read(tx: Tx) -> Server:
        stmt = select(C.server_uuid).where(
            C.token_hash == _hash(token), C.expires_at >= nova.clock.now()
        )
        uuid = tx.scalar(stmt)
        if uuid is None:
            raise NotFound("The token is not known or has expired.")
        return servers.get(tx, uuid)

    server = await nova.db.read(read)
    if server.host is None:
        raise NotFound("The server is on no host.")
    host = compute_host.at(nova.bus, server.host, timeout_s=10)
    return await host.vnc(server_id=server.uuid)

"""What other services say of a server."""

from aerostat.kit.errors import Fault, NotFound
from aerostat.kit.log import Logger
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.domain import rescuing
from aerostat.services.nova.runtime import Nova

log = Logger("nova.external_events")
OK, NOT_FOUND, NO_HOST = 200, 404, 422


async def happened(nova: Nova, server_id: str, what: str, tag: str | None) -> int:
    """Let the server's host look after its network again; return what became of the event."""
    try:
        server = await nova.db.read(rows.get, server_id)
    except NotFound:
        return NOT_FOUND
    if server.host is None:
        return NO_HOST
    log.info("server.external_event", what=what, server_id=server_id, tag=tag)
    try:
        await rescuing.rewire(nova, server)
    except Fault as why:
        log.warning("server.not_rewired", server_id=server_id, reason=why.message)
    return OK

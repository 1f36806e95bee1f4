"""The password of a server's administrator, set in the guest while it runs.

It is passed on and kept nowhere: no row, no saga, no log has it.
"""

from aerostat.kit.context import Context
from aerostat.services.nova.agent.endpoint import compute_host
from aerostat.services.nova.domain import states
from aerostat.services.nova.model.server import Server, VmState
from aerostat.services.nova.runtime import Nova

TIMEOUT_S = 60.0


async def change(nova: Nova, ctx: Context, server: Server, password: str) -> None:
    """Return when the guest has the password.

    Raises: Conflict (locked, not running, no agent in the guest), Unsupported (it does not answer).
    """
    states.check(server, ctx, "changePassword", (VmState.ACTIVE,))
    where = states.host_of(server, "changePassword")
    host = compute_host.at(nova.bus, where, timeout_s=TIMEOUT_S)
    await host.set_admin_password(
        server_id=server.uuid, user=_administrator(server), password=password
    )


def _administrator(server: Server) -> str:
    """Return who the image says its administrator is. Source: glance, os_admin_user, os_type."""
    properties: dict[str, str] = (server.image or {}).get("properties", {})
    usual = "Administrator" if properties.get("os_type") == "windows" else "root"
    return properties.get("os_admin_user") or usual

"""Whether a server's state allows what is asked, said in upstream's words."""

from collections.abc import Collection

from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict
from aerostat.services.nova.db import leftovers
from aerostat.services.nova.domain.servers import check_unlocked
from aerostat.services.nova.model.server import Server, VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.moving import is_up

AT_REST: tuple[str | None, ...] = (None,)


def check(
    server: Server,
    ctx: Context,
    action: str,
    allowed: Collection[VmState],
    tasks: Collection[str | None] | None = AT_REST,
) -> None:
    """Return if `action` may be done to the server now; `tasks` None is any task state.

    Raises: Conflict (locked, in another state, being worked on).
    """
    check_unlocked(server, ctx)
    if server.vm_state not in allowed:
        raise Conflict(
            f"Cannot '{action}' instance {server.uuid} while it is in vm_state {server.vm_state}"
        )
    if tasks is not None and server.task_state not in tasks:
        raise Conflict(
            f"Cannot '{action}' instance {server.uuid} while it is in task_state "
            f"{server.task_state}"
        )


def check_alone(tx: Tx, nova: Nova, server: Server, action: str) -> None:
    """Return if no other host may yet start a guest of a server in ERROR, which was moved there.

    Such a host did not answer; it is cleaned when it does. One that is down is the operator's
    word that it runs nothing. Raises: Conflict.
    """
    if server.vm_state != VmState.ERROR:
        return
    for host in leftovers.of_server(tx, server.uuid):
        if host != server.host and is_up(tx, nova, host):
            raise Conflict(
                f"Cannot '{action}' instance {server.uuid}: another host has to be cleaned of it "
                "first, and does not answer."
            )


def host_of(server: Server, action: str) -> str:
    """Return where the server runs. Raises: Conflict (nowhere yet)."""
    if server.host is None:
        raise Conflict(f"Cannot '{action}' instance {server.uuid}: it is on no host")
    return server.host

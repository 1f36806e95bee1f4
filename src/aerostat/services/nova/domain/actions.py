"""Power actions: allowed states, one at a time, each a saga."""

from typing import Any

from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict
from aerostat.kit.saga.store import Record
from aerostat.services.nova.agent.endpoint import compute_host
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.db.tables import sagas
from aerostat.services.nova.domain import states
from aerostat.services.nova.domain.servers import check_unlocked, project_of
from aerostat.services.nova.model.guest import Diagnostics
from aerostat.services.nova.model.server import ACTIONS, Server
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas import evacuated_cleanup, server_power


async def act(nova: Nova, ctx: Context, uuid: str, name: str) -> None:
    """Start an action of ACTIONS.

    Raises: NotFound, Conflict (locked, wrong state, something else is being done).
    """

    def write(tx: Tx) -> None:
        server = rows.get(tx, uuid, project_of(ctx))
        check_unlocked(server, ctx)
        host = check_state(server, name)
        if name != "stop":
            states.check_alone(tx, nova, server, "reboot")
        rows.change(tx, uuid, nova.clock.now(), task_state=ACTIONS[name].task)
        params = server_power.Params(uuid, host, name)
        saga = server_power.SAGAS["reboot" if name == "reboot_hard" else name]
        nova.sagas.start(tx, saga, params, ctx, uuid)

    await nova.db.write(write)


def check_state(server: Server, name: str) -> str:
    """Return the host of a server that `name` may be done to. Raises: Conflict."""
    shown = "reboot" if name == "reboot_hard" else name
    if server.task_state is not None:
        raise Conflict(
            f"Cannot '{shown}' instance {server.uuid} while it is in task_state {server.task_state}"
        )
    if server.vm_state not in ACTIONS[name].allowed or server.host is None:
        raise Conflict(
            f"Cannot '{shown}' instance {server.uuid} while it is in vm_state {server.vm_state}"
        )
    return server.host


async def console_output(nova: Nova, server: Server, lines: int | None) -> str:
    """Return the end of the serial console. Raises: Conflict (not on a host yet)."""
    if server.host is None:
        raise Conflict(f"Instance {server.uuid} is not ready")
    host = compute_host.at(nova.bus, server.host, timeout_s=30)
    text = await host.console_output(server_id=server.uuid, lines=lines)
    # As upstream counts: the end of the last line begins another, empty one.
    return text if not lines else "\n".join(text.split("\n")[-lines:])


async def diagnostics(nova: Nova, server: Server) -> Diagnostics:
    """Return what the guest uses. Raises: Conflict (not on a host yet)."""
    if server.host is None:
        raise Conflict(f"Instance {server.uuid} is not ready")
    host = compute_host.at(nova.bus, server.host, timeout_s=30)
    return await host.diagnostics(server_id=server.uuid)


async def history(nova: Nova, uuid: str) -> list[Record]:
    """Return what was done to a server, newest first."""
    found = await nova.db.read(sagas.of_key, uuid)
    return [record for record in found if record.name != evacuated_cleanup.saga.name]


async def set_lock(nova: Nova, ctx: Context, uuid: str, locked: bool, reason: str | None) -> None:
    """Lock or unlock a server. Raises: NotFound."""

    def write(tx: Tx) -> Any:
        rows.get(tx, uuid, project_of(ctx))
        rows.change(tx, uuid, nova.clock.now(), locked=locked, locked_reason=reason)

    await nova.db.write(write)

"""Start, stop, reboot, pause, suspend and their opposites: one step each, on the host."""

from msgspec import Struct

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault
from aerostat.kit.saga.saga import Run, Saga
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.server import ACTIONS
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.failing import fail
from aerostat.services.nova.sagas.server_create import host_of


class Params(Struct, frozen=True):
    """The server and what to do to it: a name in ACTIONS. `vm_state`: where it was before."""

    server_id: str
    host: str
    action: str


def _declare(name: str) -> Saga[Params]:
    saga = Saga(name, Params)

    @saga.step
    async def act(nova: Nova, run: Run[Params]) -> None:
        """Do it; a guest that is there already is left as it is."""
        await _act(nova, run.p)

    @saga.succeeded
    def done(tx: Tx, run: Run[Params]) -> None:
        action = ACTIONS[run.p.action]
        rows.change(
            tx,
            run.p.server_id,
            run.now,
            vm_state=action.becomes,
            power_state=action.power,
            task_state=None,
        )

    @saga.failed
    def failed(tx: Tx, run: Run[Params], why: Fault) -> None:
        fail(tx, run, why)

    return saga


async def _act(nova: Nova, p: Params) -> None:
    host = host_of(nova, p.host, nova.config.power_timeout_s)
    if p.action == "stop":
        await host.stop(server_id=p.server_id, timeout_s=nova.config.shutdown_timeout_s)
    elif p.action in ("reboot", "reboot_hard"):
        await host.reboot(server_id=p.server_id, hard=p.action == "reboot_hard")
    else:
        await getattr(host, p.action)(server_id=p.server_id)


NAMES = ("start", "stop", "reboot", "pause", "unpause", "suspend", "resume")
"""The actions as os-instance-actions names them; a hard reboot is a reboot too."""

SAGAS = {name: _declare(name) for name in NAMES}

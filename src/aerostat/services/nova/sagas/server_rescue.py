"""Rescue: the guest boots another image, with its own disk beside; and back again."""

from msgspec import Struct, structs

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault
from aerostat.kit.saga.saga import Run, Saga
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.guest import PowerState
from aerostat.services.nova.model.server import TaskState, VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.failing import undo_there
from aerostat.services.nova.sagas.moving import fault_of, now_of
from aerostat.services.nova.sagas.server_create import guest_of, host_of, image_of, with_tickets


class Params(Struct, frozen=True):
    """The server, its host, and the image to boot; none for going back."""

    server_id: str
    host: str
    image_id: str = ""


rescue = Saga("rescue", Params)


@rescue.step
async def rescue_instance(nova: Nova, run: Run[Params]) -> None:
    """Boot the rescue image; doing so twice boots it twice."""
    server = await nova.db.read(rows.get, run.p.server_id)
    ports = await nova.network.ports(server_id=server.uuid)
    found = await image_of(nova, run.p.image_id, server.project_id, run.ctx.is_admin)
    spec = guest_of(nova, server, ports, await with_tickets(nova, found))
    host = host_of(nova, run.p.host, nova.config.build_timeout_s)
    await host.rescue(spec=structs.replace(spec, config_drive=None))


@rescue_instance.undo
async def back(nova: Nova, run: Run[Params]) -> None:
    """Boot the guest's own disk again."""
    work = host_of(nova, run.p.host, 120).unrescue(server_id=run.p.server_id)
    await undo_there(nova, run, run.p.host, work)


@rescue.succeeded
def rescued(tx: Tx, run: Run[Params]) -> None:
    """The server is in rescue."""
    _becomes(tx, run, VmState.RESCUED)


unrescue = Saga("unrescue", Params)


@unrescue.step
async def unrescue_instance(nova: Nova, run: Run[Params]) -> None:
    """Boot the guest's own disk again."""
    host = host_of(nova, run.p.host, nova.config.power_timeout_s)
    await host.unrescue(server_id=run.p.server_id)


@unrescue.succeeded
def well(tx: Tx, run: Run[Params]) -> None:
    """The server is ACTIVE again."""
    _becomes(tx, run, VmState.ACTIVE)


def _becomes(tx: Tx, run: Run[Params], state: VmState) -> None:
    rows.change(
        tx,
        run.p.server_id,
        now_of(run),
        vm_state=state,
        power_state=PowerState.RUNNING,
        task_state=None,
    )


@rescue.failed
@unrescue.failed
def failed(tx: Tx, run: Run[Params], why: Fault) -> None:
    """The server is in ERROR, unless it is being deleted."""
    server = rows.get(tx, run.p.server_id)
    if server.task_state != TaskState.DELETING:
        now = now_of(run) if run.log.events else server.updated_at
        fault = fault_of(now, why)
        rows.change(tx, server.uuid, now, vm_state=VmState.ERROR, task_state=None, fault=fault)

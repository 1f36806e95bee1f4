"""Shelve: a snapshot is kept, then the host is freed; and back from the shelf, on any host.

Source: compute api-guide, "Server Concepts", shelve and unshelve.
"""

from typing import Any

from msgspec import Struct

from aerostat.contracts.network import BoundPort
from aerostat.kit.clock import iso
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault, NotFound
from aerostat.kit.saga.saga import Run, Saga
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.flavor import Flavor
from aerostat.services.nova.model.guest import PowerState
from aerostat.services.nova.model.server import Server, TaskState, VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas import server_snapshot
from aerostat.services.nova.sagas.failing import undo_there
from aerostat.services.nova.sagas.moving import fault_of, now_of, zone_of
from aerostat.services.nova.sagas.scheduling import moving, select_host
from aerostat.services.nova.sagas.server_create import (
    Chosen,
    guest_of,
    host_of,
    image_of,
    with_tickets,
)
from aerostat.services.nova.sagas.server_resize import connect

IMAGE = "shelved_image_id"


class Shelve(Struct, frozen=True):
    """The server and its snapshot. `offload`: whether its host is freed at once."""

    server_id: str
    snapshot: server_snapshot.Params
    old_vm_state: str
    offload: bool


class Offload(Struct, frozen=True):
    """A shelved server and its host."""

    server_id: str
    host: str


class Unshelve(Struct, frozen=True):
    """A shelved server; `host` is where it still is, or None. `wanted`: zone and host asked for."""

    server_id: str
    host: str | None
    image_id: str
    wanted_zone: str | None = None
    wanted_host: str | None = None


shelve = Saga("shelve", Shelve)


@shelve.step
async def shelve_instance(nova: Nova, run: Run[Shelve]) -> None:
    """Stop the guest, and upload its disk."""
    shot, patience = run.p.snapshot, nova.config.shutdown_timeout_s
    host = host_of(nova, shot.host, patience + 60)
    await host.stop(server_id=run.p.server_id, timeout_s=patience)
    await server_snapshot.fill(nova, shot)


@shelve_instance.undo
async def stay(nova: Nova, run: Run[Shelve]) -> None:
    """Delete the image and start the guest if it ran; once it is on the shelf it stays there."""
    if (await nova.db.read(rows.get, run.p.server_id)).vm_state == VmState.SHELVED:
        return
    await nova.image.delete(image_id=run.p.snapshot.image_id)
    if run.p.old_vm_state == VmState.ACTIVE:
        host = run.p.snapshot.host
        work = host_of(nova, host, 120).start(server_id=run.p.server_id)
        await undo_there(nova, run, host, work)


@shelve_instance.record
def shelved(tx: Tx, run: Run[Shelve], _nothing: None) -> None:
    """The server is on the shelf from here on."""
    now, server = now_of(run), rows.get(tx, run.p.server_id)
    kept = {IMAGE: run.p.snapshot.image_id, "shelved_at": iso(now)}
    task = TaskState.SHELVING_OFFLOADING if run.p.offload else None
    rows.change(
        tx,
        server.uuid,
        now,
        vm_state=VmState.SHELVED,
        power_state=PowerState.SHUTDOWN,
        task_state=task,
        system_metadata={**(server.system_metadata or {}), **kept},
    )


@shelve.step
async def shelve_offload_instance(nova: Nova, run: Run[Shelve]) -> None:
    """Free the host, if that is wanted at once."""
    if run.p.offload:
        await _free(nova, run.p.server_id, run.p.snapshot.host)


async def _free(nova: Nova, server_id: str, host: str) -> None:
    await host_of(nova, host, 120).destroy(server_id=server_id)
    await nova.network.unbind_ports(server_id=server_id)
    await nova.placement.release(consumer_id=server_id)


@shelve.succeeded
def stored(tx: Tx, run: Run[Shelve]) -> None:
    """The server is on no host, if that was wanted."""
    if run.p.offload:
        _gone(tx, run)


def _gone(tx: Tx, run: Run[Any]) -> None:
    rows.change(
        tx,
        run.p.server_id,
        now_of(run),
        host=None,
        vm_state=VmState.SHELVED_OFFLOADED,
        power_state=PowerState.SHUTDOWN,
        task_state=None,
    )


@shelve.failed
def not_shelved(tx: Tx, run: Run[Shelve], why: Fault) -> None:
    """The server is what it was, or on the shelf, from where its host may be freed later."""
    shelved_ = rows.get(tx, run.p.server_id).vm_state == VmState.SHELVED
    _back(tx, run, why, VmState.SHELVED if shelved_ else run.p.old_vm_state)


def _back(tx: Tx, run: Run[Any], why: Fault, state: str) -> None:
    server = rows.get(tx, run.p.server_id)
    if server.task_state == TaskState.DELETING:
        return
    now = now_of(run) if run.log.events else server.updated_at
    fault = fault_of(now, why)
    rows.change(tx, server.uuid, now, vm_state=state, task_state=None, fault=fault)


offload = Saga("shelveOffload", Offload)


@offload.step
async def offload_instance(nova: Nova, run: Run[Offload]) -> None:
    """Free the host; a host that is free already stays so."""
    await _free(nova, run.p.server_id, run.p.host)


@offload.succeeded
def offloaded(tx: Tx, run: Run[Offload]) -> None:
    """The server is on no host."""
    _gone(tx, run)


@offload.failed
def not_offloaded(tx: Tx, run: Run[Offload], why: Fault) -> None:
    """The server is on the shelf, its host may be freed again."""
    _back(tx, run, why, VmState.SHELVED)


unshelve = Saga("unshelve", Unshelve)


async def _server(nova: Nova, run: Run[Unshelve]) -> Server:
    return await nova.db.read(rows.get, run.p.server_id)


@unshelve.step
async def scheduling(nova: Nova, run: Run[Unshelve]) -> Chosen:
    """Claim a host, unless the server is still on its old one."""
    if run.p.host is not None:
        return Chosen(run.p.host, await zone_of(nova, run.p.host))
    server = await _server(nova, run)
    wish = moving(server, flavor=Flavor(**server.flavor), host=run.p.wanted_host, ignore=[])
    if run.p.wanted_zone is not None:
        wish.requested["zone"] = run.p.wanted_zone
    host = await select_host(nova, wish)
    return Chosen(host, await zone_of(nova, host))


@scheduling.undo
async def release(nova: Nova, run: Run[Unshelve]) -> None:
    """Give a new claim back, unless the guest runs on it."""
    if run.p.host is None and not await _runs(nova, run):
        await nova.placement.release(consumer_id=run.p.server_id)


@unshelve.step
async def networking(nova: Nova, run: Run[Unshelve]) -> list[BoundPort]:
    """Bind the ports to the host and have them wired."""
    return await connect(nova, run.p.server_id, run[scheduling].host)


@networking.undo
async def unbind(nova: Nova, run: Run[Unshelve]) -> None:
    """Bind the ports to no host again, unless the guest uses them."""
    if run.p.host is None and not await _runs(nova, run):
        await nova.network.unbind_ports(server_id=run.p.server_id)


@unshelve.step
async def unshelve_instance(nova: Nova, run: Run[Unshelve]) -> None:
    """Start the guest, from its snapshot on a new host; one that runs is left as it is."""
    host = host_of(nova, run[scheduling].host, nova.config.build_timeout_s)
    if run.p.host is not None:
        await host.start(server_id=run.p.server_id)
        return
    server = await _server(nova, run)
    image = await image_of(nova, run.p.image_id, server.project_id, True)
    await host.spawn(spec=guest_of(nova, server, run[networking], await with_tickets(nova, image)))


@unshelve_instance.undo
async def destroy(nova: Nova, run: Run[Unshelve]) -> None:
    """Remove a guest that was new; stop one that was there."""
    if await _runs(nova, run):
        return
    name = run[scheduling].host
    host, server_id = host_of(nova, name, 60), run.p.server_id
    new = run.p.host is None
    work = host.destroy(server_id=server_id) if new else host.stop(server_id=server_id, timeout_s=0)
    await undo_there(nova, run, name, work)


@unshelve_instance.record
def unshelved(tx: Tx, run: Run[Unshelve], _nothing: None) -> None:
    """The server is ACTIVE from here on: its snapshot is needed no more."""
    now, chosen, server = now_of(run), run[scheduling], rows.get(tx, run.p.server_id)
    kept = {
        k: v for k, v in (server.system_metadata or {}).items() if k not in (IMAGE, "shelved_at")
    }
    rows.change(
        tx,
        server.uuid,
        now,
        host=chosen.host,
        availability_zone=chosen.zone,
        vm_state=VmState.ACTIVE,
        power_state=PowerState.RUNNING,
        task_state=None,
        launched_at=now,
        system_metadata=kept,
        fault=None,
    )


async def _runs(nova: Nova, run: Run[Unshelve]) -> bool:
    return (await _server(nova, run)).vm_state == VmState.ACTIVE


@unshelve.step
async def cleanup(nova: Nova, run: Run[Unshelve]) -> None:
    """Delete the snapshot; absence is fine."""
    await nova.image.delete(image_id=run.p.image_id)


@unshelve.failed
def not_unshelved(tx: Tx, run: Run[Unshelve], why: Fault) -> None:
    """The server is on the shelf, as it was; if only its snapshot is left over, it runs."""
    state = VmState.SHELVED if run.p.host is not None else VmState.SHELVED_OFFLOADED
    runs = rows.get(tx, run.p.server_id).vm_state == VmState.ACTIVE
    _back(tx, run, why, VmState.ACTIVE if runs else state)


async def drop_snapshot(nova: Nova, server_id: str) -> None:
    """Delete the snapshot of a shelved server; absence is fine."""
    try:
        server = await nova.db.read(rows.get, server_id)
    except NotFound:
        return
    if image_id := (server.system_metadata or {}).get(IMAGE):
        await nova.image.delete(image_id=image_id)

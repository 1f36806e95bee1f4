"""Ports that are plugged into and out of a running server."""

from typing import Any

from msgspec import Struct

from aerostat.contracts.network import BoundPort, PortOwner, RequestedNetwork
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault
from aerostat.kit.saga.saga import Run, Saga
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.server import TaskState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.failing import undo_there
from aerostat.services.nova.sagas.moving import fault_of, now_of
from aerostat.services.nova.sagas.server_create import host_of


class Attach(Struct, frozen=True):
    """The server, its host, and the port it shall have: one that there is, or a new `port_id`."""

    server_id: str
    host: str | None
    requested: RequestedNetwork
    port_id: str


class Detach(Struct, frozen=True):
    """The server, its host, and a port of the server."""

    server_id: str
    host: str | None
    port: BoundPort


attach = Saga("attach_interface", Attach)


@attach.step
async def allocate_port(nova: Nova, run: Run[Attach]) -> BoundPort:
    """Make or adopt the port; one that is the server's already is used again."""
    server = await nova.db.read(rows.get, run.p.server_id)
    zone = server.availability_zone or ""
    owner = PortOwner(server.uuid, server.project_id, run.p.host or "", zone, server.hostname)
    requested, port_id = run.p.requested, run.p.port_id
    return await nova.network.attach_port(server=owner, requested=requested, port_id=port_id)


@allocate_port.undo
async def deallocate_port(nova: Nova, run: Run[Attach]) -> None:
    """Delete the port, or let go of it; absence is fine."""
    await _give_back(nova, run.p.server_id, run.p.requested.port_id or run.p.port_id)


@allocate_port.record
def allocated(tx: Tx, run: Run[Attach], port: BoundPort) -> None:
    """The server has one port more from here on."""
    _write_ports(tx, run, port, has=True)


@attach.step
async def attach_interface(nova: Nova, run: Run[Attach]) -> None:
    """Have the port wired and plug it; plugging twice is fine."""
    if run.p.host is not None:
        await nova.network.wire(server_id=run.p.server_id, host=run.p.host)
        host = host_of(nova, run.p.host, 120)
        await host.attach_interface(server_id=run.p.server_id, port=run[allocate_port])


@attach_interface.undo
async def take_out(nova: Nova, run: Run[Attach]) -> None:
    """Unplug it."""
    if run.p.host is not None:
        work = _unplug(nova, run.p.server_id, run[allocate_port], run.p.host)
        await undo_there(nova, run, run.p.host, work)


async def _unplug(nova: Nova, server_id: str, port: BoundPort, host: str) -> None:
    await host_of(nova, host, 120).detach_interface(server_id=server_id, port=port)


async def _give_back(nova: Nova, server_id: str, port_id: str) -> None:
    await nova.network.detach_port(server_id=server_id, port_id=port_id)


def _write_ports(tx: Tx, run: Run[Any], port: BoundPort, *, has: bool) -> None:
    """Let the server's row say that it has a port, or that it has it no more."""
    server = rows.get(tx, run.p.server_id)
    networks = [n for n in server.requested["networks"] if n.get("port_id") != port.port_id]
    if has:
        networks.append({"network_id": port.network_id, "port_id": port.port_id})
    requested = {**server.requested, "networks": networks}
    rows.change(tx, server.uuid, now_of(run), requested=requested)


detach = Saga("detach_interface", Detach)


@detach.step
async def detach_interface(nova: Nova, run: Run[Detach]) -> None:
    """Unplug the port, then delete it or let go of it; absence is fine."""
    if run.p.host is not None:
        await _unplug(nova, run.p.server_id, run.p.port, run.p.host)
    await _give_back(nova, run.p.server_id, run.p.port.port_id)


@detach.succeeded
def detached(tx: Tx, run: Run[Detach]) -> None:
    """The server has one port less."""
    _write_ports(tx, run, run.p.port, has=False)


@attach.failed
def not_attached(tx: Tx, run: Run[Attach], why: Fault) -> None:
    """The server goes on without it; why is in its actions."""
    if (port := run.get(allocate_port)) is not None:
        _write_ports(tx, run, port, has=False)
    _say(tx, run, why)


@detach.failed
def not_detached(tx: Tx, run: Run[Detach], why: Fault) -> None:
    """The server goes on with it; why is in its actions."""
    _say(tx, run, why)


def _say(tx: Tx, run: Run[Any], why: Fault) -> None:
    server = rows.get(tx, run.p.server_id)
    if server.task_state != TaskState.DELETING:
        now = now_of(run) if run.log.events else server.updated_at
        rows.change(tx, server.uuid, now, fault=fault_of(now, why))

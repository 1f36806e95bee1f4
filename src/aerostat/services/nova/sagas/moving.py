"""What the sagas that move servers share: the other host's end, and the guest as it shall be."""

from typing import Any

from msgspec import structs

from aerostat.contracts.network import BoundPort
from aerostat.kit.clock import iso
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault, NotFound
from aerostat.kit.saga.engine import Cancelled
from aerostat.kit.saga.saga import Run
from aerostat.services.nova.agent.moving import ComputeMoves, compute_moves
from aerostat.services.nova.db import hosts, leftovers, moves
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.flavor import Flavor
from aerostat.services.nova.model.guest import GuestImage, GuestSpec, PowerState
from aerostat.services.nova.model.migration import Migration, MigrationStatus
from aerostat.services.nova.model.server import Server, VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.failing import fail
from aerostat.services.nova.sagas.server_create import guest_of, image_of, with_tickets


def moves_of(nova: Nova, host: str, timeout_s: float = 120) -> ComputeMoves:
    """Return the stand-in for what nova-compute on `host` does for moves."""
    return compute_moves.at(nova.bus, host, timeout_s=timeout_s)


async def read(nova: Nova, server_id: str, migration_id: str) -> tuple[Server, Migration]:
    """Return a server and its move as they are now. Raises: NotFound."""
    return await nova.db.read(
        lambda tx: (rows.get(tx, server_id), moves.get(tx, migration_id)),
    )


async def guest_at(
    nova: Nova, server: Server, flavor: Flavor, ports: list[BoundPort], *, is_admin: bool
) -> GuestSpec:
    """Return the guest as a host has to run it with this flavor."""
    shaped = structs.replace(
        server, flavor=structs.asdict(flavor), vcpus=flavor.vcpus, ram_mib=flavor.ram_mib
    )
    return guest_of(nova, shaped, ports, await image_left(nova, server, is_admin=is_admin))


async def image_left(nova: Nova, server: Server, *, is_admin: bool) -> GuestImage | None:
    """Return the server's image with tickets; without any if it has been deleted since."""
    try:
        found = await image_of(nova, server.image_id, server.project_id, is_admin)
        return await with_tickets(nova, found)
    except NotFound:
        facts: dict[str, Any] = server.image or {}
        return GuestImage(
            id=str(server.image_id),
            disk_format=facts.get("disk_format", "raw"),
            size_bytes=facts.get("size_bytes", 0),
            path="",
        )


async def zone_of(nova: Nova, host: str) -> str:
    """Return the availability zone of a host."""
    found = await nova.db.read(hosts.aggregates)
    return hosts.zone_of(host, found, nova.config.default_availability_zone)


def flavor_columns(flavor: Flavor) -> dict[str, Any]:
    """Return the columns of a server that its flavor decides."""
    return {
        "flavor_id": flavor.flavorid,
        "vcpus": flavor.vcpus,
        "ram_mib": flavor.ram_mib,
        "flavor": structs.asdict(flavor),
    }


def was_on(migration: Migration) -> bool:
    """Tell whether the guest ran before its server was moved."""
    return migration.old_vm_state == VmState.ACTIVE


def power_of(vm_state: str) -> PowerState:
    """Return the power state that a resting state goes with."""
    return PowerState.RUNNING if vm_state == VmState.ACTIVE else PowerState.SHUTDOWN


def now_of(run: Run[Any]) -> float:
    """Return when the last step of a saga ended: a record has no clock."""
    return max(e.finished_at or e.started_at for e in run.log.events)


def failed_at(tx: Tx, run: Run[Any]) -> float:
    """Return when a saga about a move gave up: maybe before its first step."""
    if not run.log.events:
        return moves.get(tx, run.p.migration_id).updated_at
    return now_of(run)


def fault_of(now: float, why: Fault) -> dict[str, Any]:
    """Return a failure as the server shows it."""
    return {"code": 500, "created": iso(now), "message": why.message[:255], "details": why.detail}


def is_up(tx: Tx, nova: Nova, host: str) -> bool:
    """Tell whether a host has reported lately, and is not forced down."""
    return hosts.is_up(tx, host, nova.clock.now(), nova.config.service_down_time_s)


def given_up(why: Fault) -> bool:
    """Tell whether a saga was cancelled: the server is being deleted, and stays as it is."""
    return isinstance(why, Cancelled) or why.code == Cancelled.code


def stay(tx: Tx, run: Run[Any], why: Fault) -> None:
    """The move failed and was taken back: the server is what it was, the move is in `error`.

    Where a host did not answer, it is not known what the server is: it is in ERROR.
    """
    now = failed_at(tx, run)
    migration = moves.get(tx, run.p.migration_id)
    moves.change(tx, migration.uuid, now, status=MigrationStatus.ERROR)
    unknown = leftovers.of_server(tx, run.p.server_id)
    fail(tx, run, why, vm_state=VmState.ERROR if unknown else migration.old_vm_state)

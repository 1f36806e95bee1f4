"""Build a server: find a host, make its ports, boot it, say ACTIVE. Undo runs upwards."""

from msgspec import Struct, structs

from aerostat.contracts.network import BoundPort, RequestedNetwork
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault, NoValidHost, Unavailable
from aerostat.kit.saga.saga import Run, Saga
from aerostat.services.nova.agent.endpoint import ComputeHost, compute_host
from aerostat.services.nova.db import hosts
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model import metadata
from aerostat.services.nova.model.guest import SILENT, GuestImage, GuestSpec, PowerState
from aerostat.services.nova.model.server import Server, TaskState, VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.failing import fail, undo_there
from aerostat.services.nova.sagas.scheduling import select_host


class Params(Struct, frozen=True):
    """The server to build; everything else is in its row."""

    server_id: str


class Chosen(Struct, frozen=True):
    """Where a server goes."""

    host: str
    zone: str


saga = Saga("create", Params)


def host_of(nova: Nova, host: str, timeout_s: float) -> ComputeHost:
    """Return the stand-in for nova-compute on `host`."""
    return compute_host.at(nova.bus, host, timeout_s=timeout_s)


async def _server(nova: Nova, run: Run[Params]) -> Server:
    return await nova.db.read(rows.get, run.p.server_id)


@saga.step
async def scheduling(nova: Nova, run: Run[Params]) -> Chosen:
    """Claim a host; claiming again replaces the claim."""
    host = await select_host(nova, await _server(nova, run))
    aggregates = await nova.db.read(hosts.aggregates)
    return Chosen(host, hosts.zone_of(host, aggregates, nova.config.default_availability_zone))


@scheduling.undo
async def release(nova: Nova, run: Run[Params]) -> None:
    """Give the claim back."""
    await nova.placement.release(consumer_id=run.p.server_id)


@scheduling.record
def scheduled(tx: Tx, run: Run[Params], chosen: Chosen) -> None:
    """Write down where the server goes."""
    rows.change(
        tx,
        run.p.server_id,
        run.now,
        host=chosen.host,
        availability_zone=chosen.zone,
        task_state=TaskState.NETWORKING,
    )


@saga.step
async def networking(nova: Nova, run: Run[Params]) -> list[BoundPort]:
    """Make or adopt the ports and have them wired; what is there already is used again."""
    server, chosen = await _server(nova, run), run[scheduling]
    wanted = [RequestedNetwork(**n) for n in server.requested["networks"]]
    if not wanted:
        return []
    ports = await nova.network.ensure_ports(
        server_id=server.uuid,
        project_id=server.project_id,
        host=chosen.host,
        availability_zone=chosen.zone,
        hostname=server.hostname,
        requested=wanted,
        security_groups=server.requested.get("security_groups", []),
    )
    await nova.network.wire(server_id=server.uuid, host=chosen.host)
    return ports


@networking.undo
async def release_ports(nova: Nova, run: Run[Params]) -> None:
    """Delete the ports that were made, let go of those that were given."""
    await nova.network.release_ports(server_id=run.p.server_id)


@networking.record
def networked(tx: Tx, run: Run[Params], _ports: list[BoundPort]) -> None:
    """Go on to the disks."""
    rows.change(tx, run.p.server_id, run.now, task_state=TaskState.BLOCK_DEVICE_MAPPING)


@saga.step
async def block_device_mapping(nova: Nova, run: Run[Params]) -> GuestImage | None:
    """Find what the root disk is made of: the image, its kernel and ramdisk; only reads."""
    server = await _server(nova, run)
    return await image_of(nova, server.image_id, server.project_id, run.ctx.is_admin)


@block_device_mapping.record
def mapped(tx: Tx, run: Run[Params], _image: GuestImage | None) -> None:
    """Go on to the guest."""
    rows.change(tx, run.p.server_id, run.now, task_state=TaskState.SPAWNING)


@saga.step
async def spawning(nova: Nova, run: Run[Params]) -> None:
    """Start the guest; a guest that runs already is left as it is.

    A host whose hypervisor is silent is not waited for, and no other is tried: this one may make
    the guest all the same, and two would run.
    """
    server = await _server(nova, run)
    image = await with_tickets(nova, run[block_device_mapping])
    spec = guest_of(nova, server, run[networking], image)
    host = host_of(nova, run[scheduling].host, nova.config.build_timeout_s)
    try:
        await host.spawn(spec=spec)
    except Unavailable as why:
        if why.code != SILENT:
            raise
        detail = f"{run[scheduling].host}: {why.detail}"  # Users are not told of hosts.
        raise NoValidHost(why.message, detail=detail) from why


@spawning.undo
async def destroy(nova: Nova, run: Run[Params]) -> None:
    """Remove the guest and its files."""
    if (chosen := run.get(scheduling)) is not None:
        host = host_of(nova, chosen.host, 60)
        await undo_there(nova, run, chosen.host, host.destroy(server_id=run.p.server_id))


@saga.succeeded
def active(tx: Tx, run: Run[Params]) -> None:
    """The server is ACTIVE."""
    now = run.now
    rows.change(
        tx,
        run.p.server_id,
        now,
        vm_state=VmState.ACTIVE,
        task_state=None,
        power_state=PowerState.RUNNING,
        launched_at=now,
    )


@saga.failed
def failed(tx: Tx, run: Run[Params], why: Fault) -> None:
    """The server is in ERROR and says why, on no host; one that is being deleted stays so."""
    fail(tx, run, why, vm_state=VmState.ERROR)
    rows.leave_host(tx, run.p.server_id, run.now)


def guest_of(
    nova: Nova, server: Server, ports: list[BoundPort], image: GuestImage | None
) -> GuestSpec:
    """Return what the host has to know to run the server."""
    f = server.flavor
    return GuestSpec(
        server_id=server.uuid,
        name=server.name,
        instance_name=nova.config.instance_name_template % server.id,
        project_id=server.project_id,
        user_id=server.user_id,
        flavor_name=f["name"],
        vcpus=server.vcpus,
        ram_mib=server.ram_mib,
        root_gb=f["root_gb"],
        ephemeral_gb=f["ephemeral_gb"],
        swap_mib=f["swap_mib"],
        image=image,
        ports=ports,
        config_drive=metadata.config_drive(server, ports, nova.config.dhcp_domain)
        if server.config_drive
        else None,
        extra_specs={k: str(v) for k, v in f["extra_specs"].items()},
        image_properties=(server.image or {}).get("properties", {}),
    )


async def image_of(
    nova: Nova, image_id: str | None, project_id: str, is_admin: bool
) -> GuestImage | None:
    """Return what the host needs of an image that the user may see, and of those it names."""
    if not image_id:
        return None
    facts = await nova.image.get(image_id=image_id, project_id=project_id, is_admin=is_admin)
    return GuestImage(
        id=image_id,
        disk_format=facts.disk_format,
        size_bytes=facts.size_bytes,
        path="",
        hash_algo=facts.hash_algo,
        hash_value=facts.hash_value,
        kernel=await image_of(nova, facts.properties.get("kernel_id"), project_id, is_admin),
        ramdisk=await image_of(nova, facts.properties.get("ramdisk_id"), project_id, is_admin),
    )


async def with_tickets(nova: Nova, image: GuestImage | None) -> GuestImage | None:
    """Return the image with paths that open its data; they are good for some minutes only."""
    if image is None:
        return None
    return structs.replace(
        image,
        path=await nova.image.download_path(image_id=image.id),
        kernel=await with_tickets(nova, image.kernel),
        ramdisk=await with_tickets(nova, image.ramdisk),
    )

"""What may be done with servers. Callers are the API, tasks and other services."""

import re
from typing import Any

from msgspec import Struct, structs

from aerostat.contracts.image import ImageFacts
from aerostat.contracts.network import RequestedNetwork, ServerAddress
from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, NotFound
from aerostat.services.nova.db import flavors, groups, hosts, keypairs
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.domain import quotas
from aerostat.services.nova.model.flavor import Flavor
from aerostat.services.nova.model.listing import ServerQuery
from aerostat.services.nova.model.server import Server, TaskState, VmState, hostname_of
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas import server_create, server_delete

GIB = 1 << 30


class ServerSpec(Struct, frozen=True, kw_only=True):
    """What a user asks for. `networks` None: whatever network there is; []: none."""

    name: str
    flavor_ref: str
    image_ref: str | None
    networks: list[RequestedNetwork] | None
    security_groups: list[str] = []
    key_name: str | None = None
    user_data: str | None = None
    metadata: dict[str, str] = {}
    personality: list[dict[str, str]] = []
    config_drive: bool = False
    zone: str | None = None
    host: str | None = None
    hints: dict[str, Any] = {}
    min_count: int = 1
    max_count: int = 1
    description: str | None = None
    tags: list[str] = []
    hostname: str | None = None
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    disk_config: str = "MANUAL"


class _Plan(Struct, frozen=True):
    """A specification with all that its names stand for."""

    spec: ServerSpec
    flavor: Flavor
    image: ImageFacts
    networks: list[RequestedNetwork]


async def create(nova: Nova, ctx: Context, spec: ServerSpec) -> list[Server]:
    """Record servers in BUILD and start building them, in one transaction.

    Raises: BadRequest (flavor, image, network, key, zone), QuotaExceeded, Conflict.
    """
    image = await image_of(nova, ctx, spec.image_ref)
    flavor = await _flavor(nova, ctx, spec.flavor_ref)
    check_fit(image, flavor)
    requested = await _networks(nova, ctx, spec)
    return await nova.db.write(_insert, nova, ctx, _Plan(spec, flavor, image, requested))


async def _networks(nova: Nova, ctx: Context, spec: ServerSpec) -> list[RequestedNetwork]:
    try:
        return await nova.network.check(
            project_id=ctx.project_id,
            is_admin=ctx.is_admin,
            requested=spec.networks,
            security_groups=spec.security_groups,
            count=spec.max_count,
        )
    except NotFound as why:
        raise BadRequest(why.message, field="networks") from why


async def image_of(nova: Nova, ctx: Context, image_ref: str | None) -> ImageFacts:
    """Return an image to build from. Raises: BadRequest (none, unknown, not active)."""
    if not image_ref:
        raise BadRequest("Invalid imageRef provided.", field="imageRef")
    try:
        image = await nova.image.get(
            image_id=image_ref, project_id=ctx.project_id, is_admin=ctx.is_admin
        )
    except NotFound as why:
        raise BadRequest("Can not find requested image", field="imageRef") from why
    if image.status != "active":
        raise BadRequest(f"Image {image.id} is not active.", field="imageRef")
    return image


async def _flavor(nova: Nova, ctx: Context, flavor_ref: str) -> Flavor:
    project = None if ctx.is_admin else ctx.project_id
    try:
        flavor = await nova.db.read(flavors.get, flavor_ref, project)
    except NotFound as why:
        raise BadRequest(f"Flavor {flavor_ref} could not be found.", field="flavorRef") from why
    if flavor.disabled:
        raise BadRequest(f"Flavor {flavor_ref} could not be found.", field="flavorRef")
    return flavor


def check_fit(image: ImageFacts, flavor: Flavor) -> None:
    """Raises: BadRequest (the flavor is too small for the image)."""
    if flavor.ram_mib < image.min_ram_mib:
        raise BadRequest("Flavor's memory is too small for requested image.", field="flavorRef")
    if flavor.root_gb == 0:
        return
    needed = max(image.size_bytes, image.virtual_size_bytes or 0)
    if needed > flavor.root_gb * GIB:
        raise BadRequest(
            "Flavor's disk is too small for requested image. Flavor disk is "
            f"{flavor.root_gb * GIB} bytes, image is {needed} bytes.",
            field="flavorRef",
        )
    if image.min_disk_gb > flavor.root_gb:
        raise BadRequest(
            "The size of the flavor's disk is smaller than the minimum size specified in image "
            f"metadata. Flavor disk is {flavor.root_gb} GiB, minimum is {image.min_disk_gb} GiB.",
            field="flavorRef",
        )


def _insert(tx: Tx, nova: Nova, ctx: Context, plan: _Plan) -> list[Server]:
    spec, flavor = plan.spec, plan.flavor
    count = quotas.check_servers(tx, ctx, spec.max_count, flavor.vcpus, flavor.ram_mib)
    quotas.check_items(tx, ctx, "metadata_items", len(spec.metadata))
    quotas.check_items(tx, ctx, "injected_files", len(spec.personality))
    key = key_of(tx, ctx, spec.key_name)
    _check_zone(tx, nova, spec)
    group_id = _group(tx, ctx, spec.hints, count)
    now, reservation = nova.clock.now(), "r-" + nova.ids().replace("-", "")[:8]
    made = []
    for i in range(count):
        uuid = nova.ids()
        name = spec.name if count == 1 else f"{spec.name}-{i + 1}"
        server = structs.replace(
            _row(ctx, plan, now),
            uuid=uuid,
            name=name,
            hostname=spec.hostname or hostname_of(name, f"server-{uuid}"),
            key_data=key,
            reservation_id=reservation,
            launch_index=i,
            group_id=group_id,
        )
        made.append(rows.add(tx, server))
        nova.sagas.start(tx, server_create.saga, server_create.Params(uuid), ctx, uuid)
    return made


def _row(ctx: Context, plan: _Plan, now: float) -> Server:
    """Return what the servers of one request have in common."""
    spec, flavor, image = plan.spec, plan.flavor, plan.image
    return Server(
        id=0,
        uuid="",
        project_id=ctx.project_id,
        user_id=ctx.user_id,
        name=spec.name,
        description=spec.description,
        hostname="",
        vm_state=VmState.BUILDING,
        task_state=TaskState.SCHEDULING,
        power_state="nostate",
        host=None,
        availability_zone=spec.zone,
        flavor_id=flavor.flavorid,
        vcpus=flavor.vcpus,
        ram_mib=flavor.ram_mib,
        flavor=structs.asdict(flavor),
        image_id=image.id,
        image=structs.asdict(image),
        key_name=spec.key_name,
        key_data=None,
        user_data=spec.user_data,
        config_drive=spec.config_drive,
        metadata=spec.metadata,
        tags=sorted(set(spec.tags)),
        locked=False,
        locked_reason=None,
        requested=_requested(plan),
        fault=None,
        access_ip_v4=spec.access_ip_v4,
        access_ip_v6=spec.access_ip_v6,
        reservation_id="",
        launch_index=0,
        group_id=None,
        created_at=now,
        updated_at=now,
        launched_at=None,
        terminated_at=None,
        deleted=0,
    )


def _requested(plan: _Plan) -> dict[str, Any]:
    spec = plan.spec
    return {
        "networks": [structs.asdict(n) for n in plan.networks],
        "security_groups": spec.security_groups,
        "personality": spec.personality,
        "zone": spec.zone,
        "host": spec.host,
        "hints": spec.hints,
        "disk_config": spec.disk_config,
    }


def key_of(tx: Tx, ctx: Context, name: str | None) -> str | None:
    """Return the public key of that name, None for none. Raises: BadRequest."""
    if name is None:
        return None
    try:
        return keypairs.get(tx, ctx.user_id, name).public_key
    except NotFound as why:
        raise BadRequest("Invalid key_name provided.", field="key_name") from why


def _check_zone(tx: Tx, nova: Nova, spec: ServerSpec) -> None:
    if spec.zone is None:
        return
    zones = {nova.config.default_availability_zone} | {
        a.metadata.get("availability_zone", "") for a in hosts.aggregates(tx)
    }
    if spec.zone not in zones:
        raise BadRequest(
            "The requested availability zone is not available", field="availability_zone"
        )


def _group(tx: Tx, ctx: Context, hints: dict[str, Any], count: int) -> str | None:
    uuid = hints.get("group")
    if uuid is None:
        return None
    try:
        group = groups.get(tx, str(uuid), None if ctx.is_admin else ctx.project_id)
    except NotFound as why:
        raise BadRequest(f"Instance group {uuid} could not be found.", field="group") from why
    members = len(rows.in_group(tx, group.uuid)) + count
    quotas.check_items(tx, ctx, "server_group_members", members)
    return group.uuid


def project_of(ctx: Context) -> str | None:
    """Return the project that lookups are limited to: none for an administrator."""
    return None if ctx.is_admin else ctx.project_id


async def get(nova: Nova, ctx: Context, uuid: str) -> Server:
    """Return a server the caller may see. Raises: NotFound."""
    return await nova.db.read(rows.get, uuid, project_of(ctx))


async def find(nova: Nova, query: ServerQuery) -> list[Server]:
    """Return a page of servers. Raises: BadRequest."""
    if query.addresses or query.addresses_v6:
        ids = [s.uuid for s in await nova.db.read(rows.find, _unpaged(query))]
        found = await nova.network.addresses(server_ids=ids)
        near = [key for key, listed in found.items() if _matches(query, listed)]
        query = structs.replace(query, uuids=near)
    return await nova.db.read(rows.find, query)


def _unpaged(query: ServerQuery) -> ServerQuery:
    return structs.replace(query, marker=None, limit=None)


def _matches(query: ServerQuery, found: list[ServerAddress]) -> bool:
    patterns = {4: query.addresses, 6: query.addresses_v6}
    return any(re.search(p, a.address) for a in found for p in patterns[a.version])


async def change(nova: Nova, ctx: Context, uuid: str, **values: Any) -> Server:
    """Write columns of a server and return it. Raises: NotFound."""

    def write(tx: Tx) -> Server:
        rows.get(tx, uuid, project_of(ctx))
        rows.change(tx, uuid, nova.clock.now(), **values)
        return rows.get(tx, uuid)

    return await nova.db.write(write)


async def delete(nova: Nova, ctx: Context, uuid: str) -> None:
    """Give up what is being done to the server and start deleting it.

    Raises: NotFound, Conflict (locked).
    """

    def write(tx: Tx) -> None:
        server = rows.get(tx, uuid, project_of(ctx))
        check_unlocked(server, ctx)
        if server.task_state == TaskState.DELETING:
            return
        nova.sagas.cancel(tx, uuid)
        rows.change(tx, uuid, nova.clock.now(), task_state=TaskState.DELETING)
        params = server_delete.Params(uuid, server.host)
        nova.sagas.start(tx, server_delete.saga, params, ctx, uuid)

    await nova.db.write(write)


def check_restorable(server: Server, ctx: Context) -> None:
    """Servers are deleted at once here, so none waits to be restored. Raises: Conflict."""
    check_unlocked(server, ctx)
    raise Conflict(
        f"Cannot 'restore' instance {server.uuid} while it is in vm_state {server.vm_state}"
    )


def check_unlocked(server: Server, ctx: Context) -> None:
    """Raises: Conflict (locked, and the caller is no administrator)."""
    if server.locked and not ctx.is_admin:
        raise Conflict(f"Instance {server.uuid} is locked")

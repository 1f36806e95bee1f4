"""Interoperable image import: data is staged, fetched or copied, and brought into stores.

Source: image api-ref, "Interoperable image import".
"""

from collections.abc import AsyncIterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from aerostat.kit.errors import BadRequest, Conflict, Fault
from aerostat.kit.log import Logger
from aerostat.services.glance.db import tasks
from aerostat.services.glance.domain import (
    changes,
    elsewhere,
    leases,
    plugins,
    quotas,
    uploads,
)
from aerostat.services.glance.domain.changes import Draft
from aerostat.services.glance.domain.quotas import Needs
from aerostat.services.glance.domain.uploads import Arrived, Plan
from aerostat.services.glance.model import image as states
from aerostat.services.glance.model.image import FAILED_IMPORT, IMPORTING_TO, Image
from aerostat.services.glance.model.task import FAILURE, PENDING, PROCESSING, SUCCESS, Task
from aerostat.services.glance.runtime import Glance
from aerostat.services.glance.web import Target

log = Logger("glance.imports")
DIRECT, WEB, COPY, OTHER = "glance-direct", "web-download", "copy-image", "glance-download"
FROM = {
    DIRECT: states.UPLOADING,
    WEB: states.QUEUED,
    COPY: states.ACTIVE,
    OTHER: states.QUEUED,
}
"""The status that an image must have for a method."""
PROGRESS_BYTES = 64 << 20
"""A task tells how far it is whenever so much more has come."""


class Asker(Struct, frozen=True):
    """Who asked for an import, and in which request."""

    request_id: str
    user_id: str
    project_id: str
    token: str = ""
    roles: tuple[str, ...] = ()


class Import(Struct, frozen=True, kw_only=True):
    """What is asked for; `input` as the client sent it. Stores: some, or all that take data."""

    method: str
    input: dict[str, Any]
    uri: str = ""
    remote: elsewhere.Remote | None = None
    stores: tuple[str, ...] = ()
    all_stores: bool = False
    all_must: bool = True


class Source(Struct, frozen=True):
    """Where the data of an import comes from."""

    method: str
    target: Target | None = None
    remote: elsewhere.Remote | None = None
    token: str = ""


async def start(glance: Glance, image_id: str, wanted: Import, asker: Asker) -> Task:
    """Begin an import; it goes on in the background.

    Raises: NotFound, BadRequest (no such method or store, no formats, a URL not to be fetched),
    Conflict (the image's status, it is being worked on, a store has it already), TooLarge (quotas).
    """
    if wanted.method not in glance.config.import_methods:
        raise BadRequest(f"Unknown import method name '{wanted.method}'.", field="method")
    source = await _source(glance, wanted, asker)
    limits = await quotas.of_image(glance, image_id)
    task = new_task(glance, "api_image_import", image_id, wanted.input, asker)
    plans: list[Plan] = []

    def begin(image: Image) -> Draft:
        plans[:] = [_plan(glance, image, wanted)]
        new = _begun(image, wanted, plans[0], task)
        return Draft(new, Needs(limits, {quotas.SIZE: 0, quotas.COMING: 1}), task)

    work = leases.work(glance, image_id, begin)
    lease = await work.__aenter__()
    glance.spawn(_run(glance, task, work, Job(image_id, lease, plans[0], source, asker.roles)))
    return task


def _begun(image: Image, wanted: Import, plan: Plan, task: Task) -> Image:
    uploads.check_formats(image)
    if image.status != FROM[wanted.method]:
        raise Conflict(
            f"Only images with status {FROM[wanted.method]} can be imported by "
            f"{wanted.method}; this one is {image.status}."
        )
    stores = ",".join(plan.stores)
    told = {IMPORTING_TO: stores, FAILED_IMPORT: "", states.IMPORT_TASK: task.id}
    properties = {k: v for k, v in image.properties.items() if k != states.STAGE_HOST}
    image = replace(image, properties={**properties, **told})
    if wanted.method == COPY:
        return image
    return replace(image, status=states.move(image.status, states.IMPORTING))


async def _source(glance: Glance, wanted: Import, asker: Asker) -> Source:
    if wanted.method == WEB:
        return Source(WEB, await glance.web.target(wanted.uri))
    if wanted.method == OTHER:
        if wanted.remote is None:
            raise BadRequest("The method needs glance_image_id and glance_region.", field="method")
        return Source(OTHER, remote=wanted.remote, token=asker.token)
    return Source(wanted.method)


def _plan(glance: Glance, image: Image, wanted: Import) -> Plan:
    there = set(image.stores) if wanted.method == COPY else set[str]()
    if wanted.all_stores:
        chosen = [name for name in glance.stores.writable if name not in there]
    else:
        chosen = [uploads.writable(glance, name) for name in wanted.stores]
        if present := [name for name in chosen if name in there]:
            raise Conflict(f"Image is already present at store '{present[0]}'")
        chosen = chosen or [glance.stores.default]
    if there.issuperset(chosen):
        raise Conflict("Every store has the image already.")
    return Plan(tuple(dict.fromkeys(chosen)), wanted.all_must)


def new_task(
    glance: Glance, kind: str, image_id: str | None, given: dict[str, Any], asker: Asker
) -> Task:
    """Return a task that waits."""
    now = glance.clock.now()
    return Task(
        id=glance.ids(),
        type=kind,
        status=PENDING,
        owner=asker.project_id or None,
        image_id=image_id,
        request_id=asker.request_id,
        user_id=asker.user_id,
        input=given,
        result=None,
        message="",
        created_at=now,
        updated_at=now,
        expires_at=None,
    )


class Job(Struct, frozen=True):
    """An import under way."""

    image_id: str
    lease: str
    plan: Plan
    source: Source
    roles: tuple[str, ...] = ()


async def _run(glance: Glance, task: Task, work: Any, job: Job) -> None:
    """Bring the data into the image, and write down how it went."""
    await _note(glance, task, status=PROCESSING)
    try:
        try:
            await _bring(glance, task, job)
        finally:
            await work.__aexit__(None, None, None)
            if job.source.method == DIRECT:
                await glance.staging.remove(job.image_id)
    except Fault as why:
        log.warning("image.import_failed", image_id=job.image_id, reason=why.message)
        await finish(glance, task, FAILURE, why.message, job.image_id)
    else:
        await finish(glance, task, SUCCESS, "", job.image_id)


async def _bring(glance: Glance, task: Task, job: Job) -> None:
    arrived = await _fetch(glance, task, job)
    if job.source.method == COPY:
        await uploads.distribute(glance, job.image_id, arrived, job.plan, _unchanged)
        return
    arrived = await plugins.apply(glance, job.image_id, arrived, job.roles)
    await uploads.adopt(glance, job.image_id, arrived, job.plan)


def _unchanged(image: Image) -> Image:
    return image


async def _remote(glance: Glance, job: Job, remote: elsewhere.Remote) -> AsyncIterator[bytes]:
    """Take over what the remote image is, and return its data. Raises: BadRequest, Unavailable."""
    found = await elsewhere.find(glance, remote, job.source.token)

    def inherit(now: Image) -> Draft:
        new = replace(
            now,
            disk_format=found.disk_format,
            container_format=found.container_format,
            properties={**now.properties, **found.properties},
        )
        return Draft(new)

    await changes.change(glance, job.image_id, inherit, job.lease)
    return glance.web.fetch(found.target, headers={"x-auth-token": job.source.token})


async def _fetch(glance: Glance, task: Task, job: Job) -> Arrived:
    """Return the data as a file that is whole. Raises: BadRequest, TooLarge, Unavailable."""
    if job.source.method == DIRECT:
        path = glance.staging.path(job.image_id)
        return Arrived(job.lease, path, await glance.staging.measure(path))
    if job.source.method == COPY:
        image = await uploads.held(glance, job.image_id, job.lease)
        places = glance.stores.ordered(image.locations)
        chunks = await glance.stores.read(places, 0, image.size or 0)
    elif job.source.remote is not None:
        chunks = await _remote(glance, job, job.source.remote)
    else:
        assert job.source.target is not None
        chunks = glance.web.fetch(job.source.target)
    counted = _counted(glance, task, chunks)
    written = await glance.staging.write(job.lease, counted, glance.config.image_size_cap)
    arrived = Arrived(job.lease, glance.staging.part(job.lease), written)
    if job.source.method == COPY and image.checksum not in (None, written.checksum):
        raise Fault("The data is not what the image's checksum says.")
    return arrived


async def _counted(
    glance: Glance, task: Task, chunks: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    size, told = 0, 0
    async for chunk in chunks:
        size += len(chunk)
        if size - told >= PROGRESS_BYTES:
            told = size
            await _note(glance, task, message=f"Copied {size >> 20} MiB")
        yield chunk


async def finish(glance: Glance, task: Task, status: str, message: str, image_id: str) -> None:
    """Write down how a task ended."""
    expires_at = glance.clock.now() + glance.config.task_time_to_live_h * 3600
    result = {"image_id": image_id} if status == SUCCESS else None
    await _note(glance, task, status=status, message=message, result=result, expires_at=expires_at)


async def _note(glance: Glance, task: Task, **values: Any) -> None:
    values["updated_at"] = glance.clock.now()
    await glance.db.write(tasks.change, task.id, values)


async def create_task(
    glance: Glance, image: Image, uri: str, given: dict[str, Any], asker: Asker
) -> Task:
    """Create an image and fetch its data; the task fails at once if the URL is not for that."""
    task = new_task(glance, "import", image.id, given, asker)
    try:
        target = await glance.web.target(uri)
    except BadRequest as why:
        expires_at = task.created_at + glance.config.task_time_to_live_h * 3600
        ended = {"status": FAILURE, "message": why.message, "expires_at": expires_at}
        await glance.db.write(tasks.add, replace(task, image_id=None, **ended))
        return task
    limits = await quotas.limits(glance, image.owner)
    lease, now = glance.ids(), glance.clock.now()
    made = replace(image, status=states.IMPORTING, created_at=now, updated_at=now)

    needs = Needs(limits, {quotas.COUNT: 1, quotas.SIZE: 0})
    await glance.db.write(changes.create, leases.lend(glance, made, lease), needs, task)
    job = Job(image.id, lease, Plan((glance.stores.default,)), Source(WEB, target), asker.roles)
    glance.spawn(_run(glance, task, leases.going_on(glance, image.id, lease), job))
    return task

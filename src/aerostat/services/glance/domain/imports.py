"""Interoperable image import: data is staged, or fetched from the web, then adopted.

Source: image api-ref, "Interoperable image import".
"""

from collections.abc import AsyncIterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, Fault, NotFound
from aerostat.kit.log import Logger
from aerostat.services.glance.db import images as rows
from aerostat.services.glance.db import tasks
from aerostat.services.glance.domain import images, uploads
from aerostat.services.glance.model import image as states
from aerostat.services.glance.model.image import Image
from aerostat.services.glance.model.task import FAILURE, PENDING, PROCESSING, SUCCESS, Task
from aerostat.services.glance.runtime import Glance
from aerostat.services.glance.web import Target

log = Logger("glance.imports")
TASKS_MAX = 1000
DIRECT, WEB = "glance-direct", "web-download"
FROM = {DIRECT: states.UPLOADING, WEB: states.QUEUED}
"""The status that an image must have for a method."""


class Asker(Struct, frozen=True):
    """Who asked for an import, and in which request."""

    request_id: str
    user_id: str
    project_id: str


class Import(Struct, frozen=True):
    """What is asked for: `method` with its `uri` if it has one; `input` as the client sent it."""

    method: str
    uri: str
    input: dict[str, Any]


async def stage(glance: Glance, image_id: str, chunks: AsyncIterator[bytes]) -> None:
    """Keep `chunks` for a later import. Raises: NotFound, Conflict, BadRequest, TooLarge."""
    await images.edit(glance, image_id, _begin_staging)
    done = False
    try:
        await glance.staging.write(image_id, chunks, glance.config.image_size_cap)
        await glance.staging.commit(image_id)
        done = True
    finally:
        if not done:
            await uploads.give_up(glance, image_id, glance.staging)


def _begin_staging(image: Image) -> Image:
    if image.status != states.QUEUED:
        raise Conflict(
            f"Image status transition from {image.status} to {states.UPLOADING} is not allowed"
        )
    return replace(image, status=states.move(image.status, states.UPLOADING))


async def start(glance: Glance, image_id: str, wanted: Import, asker: Asker) -> Task:
    """Begin an import; it goes on in the background.

    Raises: NotFound, BadRequest (no such method, no formats, a URL not to be fetched), Conflict.
    """
    if wanted.method not in glance.config.import_methods:
        raise BadRequest(f"Unknown import method name '{wanted.method}'.", field="method")
    target = await glance.web.target(wanted.uri) if wanted.method == WEB else None
    task = new_task(glance, "api_image_import", image_id, wanted.input, asker)

    def write(tx: Tx) -> None:
        image = rows.get(tx, image_id)
        uploads.check_formats(image)
        if image.status != FROM[wanted.method]:
            raise Conflict(
                f"Only images with status {FROM[wanted.method]} can be imported by "
                f"{wanted.method}; this one is {image.status}."
            )
        status = states.move(image.status, states.IMPORTING)
        rows.save(tx, image, replace(image, status=status), glance.clock.now())
        tasks.add(tx, task)

    await glance.db.write(write)
    glance.spawn(run(glance, task, image_id, target))
    return task


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


async def run(glance: Glance, task: Task, image_id: str, target: Target | None) -> None:
    """Bring the data into the image, and write down how it went."""
    await _note(glance, task, status=PROCESSING)
    done = False
    try:
        length = _staged(glance, image_id) if target is None else 0
        chunks = (
            glance.web.fetch(target)
            if target is not None
            else await glance.staging.read(image_id, 0, length)
        )
        written = await glance.files.write(image_id, chunks, glance.config.image_size_cap)
        await uploads.adopt(glance, image_id, written)
        done = True
        await _finish(glance, task, SUCCESS, "", image_id)
    except Fault as why:
        log.warning("image.import_failed", image_id=image_id, reason=why.message)
        await _finish(glance, task, FAILURE, why.message, image_id)
    finally:
        await glance.staging.remove(image_id)
        if not done:
            await uploads.give_up(glance, image_id, glance.files)


def _staged(glance: Glance, image_id: str) -> int:
    try:
        return glance.staging.path(image_id).stat().st_size
    except FileNotFoundError as why:
        raise NotFound("No data has been staged.") from why


async def _finish(glance: Glance, task: Task, status: str, message: str, image_id: str) -> None:
    expires_at = glance.clock.now() + glance.config.task_time_to_live_h * 3600
    result = {"image_id": image_id} if status == SUCCESS else None
    await _note(glance, task, status=status, message=message, result=result, expires_at=expires_at)


async def _note(glance: Glance, task: Task, **values: Any) -> None:
    now = glance.clock.now()
    await glance.db.write(lambda tx: tasks.change(tx, task.id, updated_at=now, **values))


async def of_image(glance: Glance, image_id: str) -> list[Task]:
    """Return the tasks of an image, newest first."""
    return await glance.db.read(lambda tx: tasks.listed(tx, TASKS_MAX, image_id=image_id))


async def listed(glance: Glance, limit: int, **equal: Any) -> list[Task]:
    """Return the newest tasks."""
    return await glance.db.read(lambda tx: tasks.listed(tx, min(limit, TASKS_MAX), **equal))


async def get(glance: Glance, task_id: str) -> Task:
    """Raises: NotFound."""
    found = await glance.db.read(tasks.find, task_id)
    if found is None:
        raise NotFound(f"Task {task_id} not found")
    return found


async def create_task(
    glance: Glance, image: Image, uri: str, given: dict[str, Any], asker: Asker
) -> Task:
    """Create an image and fetch its data. Raises: BadRequest (a URL not to be fetched)."""
    target = await glance.web.target(uri)
    made = await images.create(glance, image)
    await images.edit(glance, made.id, lambda i: replace(i, status=states.IMPORTING))
    task = new_task(glance, "import", made.id, given, asker)
    await glance.db.write(tasks.add, task)
    glance.spawn(run(glance, task, made.id, target))
    return task

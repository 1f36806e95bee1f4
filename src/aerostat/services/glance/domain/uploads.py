"""How data comes into an image: written, hashed, inspected; active only when all is durable.

A failure leaves the image queued and no file. A crash leaves a part file or a file that no
active image has, and an image in `saving`: `recover` puts both right at the next start.
"""

from collections.abc import AsyncIterator

from msgspec.structs import replace

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, Fault, NotFound, TooLarge
from aerostat.kit.log import Logger
from aerostat.services.glance.db import images as rows
from aerostat.services.glance.db import tasks
from aerostat.services.glance.domain import images
from aerostat.services.glance.filestore import FileStore, Written
from aerostat.services.glance.inspector import Finding, check
from aerostat.services.glance.model import image as states
from aerostat.services.glance.model.image import Image
from aerostat.services.glance.runtime import Glance

log = Logger("glance.uploads")


class Gone(Fault):
    """The image was deleted while its data came in."""

    code = "gone"


async def upload(glance: Glance, image_id: str, chunks: AsyncIterator[bytes]) -> Image:
    """Make `chunks` the data of a queued image; it is active afterwards.

    Raises: NotFound, Conflict (it is not queued), BadRequest (no formats, the client went away),
    TooLarge, Unsupported (the data is not what the image says), Gone, Unavailable.
    """
    await images.edit(glance, image_id, _begin)
    done = False
    try:
        written = await glance.files.write(image_id, chunks, glance.config.image_size_cap)
        image = await adopt(glance, image_id, written)
        done = True
        return image
    finally:
        if not done:
            await give_up(glance, image_id, glance.files)


def too_large() -> TooLarge:
    """Return the fault for data beyond image_size_cap."""
    return TooLarge("Image exceeds the maximum size allowed.")


def _begin(image: Image) -> Image:
    check_formats(image)
    if image.status != states.QUEUED:
        raise Conflict(
            f"Image status transition from {image.status} to {states.SAVING} is not allowed"
        )
    return replace(image, status=states.move(image.status, states.SAVING))


def check_formats(image: Image) -> None:
    """Raises: BadRequest (a format is not set yet)."""
    names = ("disk_format", "container_format")
    missing = [name for name in names if getattr(image, name) is None]
    if missing:
        raise BadRequest(f"Properties {', '.join(missing)} must be set prior to saving data.")


async def adopt(glance: Glance, image_id: str, written: Written) -> Image:
    """Inspect the part file, give it its name and make the image active.

    Raises: Unsupported (unacceptable data), Gone, Unavailable.
    """
    image = await glance.db.read(rows.find, image_id)
    if image is None:
        raise Gone("The image was deleted while its data was uploaded.")
    finding = await inspect(glance, image, written)
    await glance.files.commit(image_id)

    def finish(tx: Tx) -> Image:
        now = rows.find(tx, image_id)
        if now is None or now.status not in (states.SAVING, states.IMPORTING):
            raise Gone("The image was deleted while its data was uploaded.")
        new = replace(
            now,
            status=states.move(now.status, states.ACTIVE),
            size=written.size,
            virtual_size=finding.virtual_size if finding else None,
            checksum=written.checksum,
            hash_algo=glance.config.hashing_algorithm,
            hash_value=written.hash_value,
        )
        return rows.save(tx, now, new, glance.clock.now())

    return await glance.db.write(finish)


async def inspect(glance: Glance, image: Image, written: Written) -> Finding | None:
    """Return what the part file is, None if it is not a disk. Raises: Unsupported."""
    if written.size == 0 or image.container_format != "bare":
        return None
    finding = await glance.inspector.inspect(glance.files.part(image.id))
    if glance.config.require_image_format_match:
        check(finding, str(image.disk_format))
    return finding


async def give_up(glance: Glance, image_id: str, files: FileStore) -> None:
    """Remove what came, and let the image be queued again."""
    await files.discard(image_id)
    try:
        await images.edit(glance, image_id, back_to_queued)
    except NotFound:
        pass
    found = await glance.db.read(rows.find, image_id)
    if found is None or not found.has_data:
        await glance.files.remove(image_id)


def back_to_queued(image: Image) -> Image:
    """Return the image without data, if it was about to get some."""
    if image.status not in (states.SAVING, states.UPLOADING, states.IMPORTING):
        return image
    return replace(image, status=states.move(image.status, states.QUEUED), size=None)


async def recover(glance: Glance) -> None:
    """Undo what a killed process left: uploads half done, files of no image."""

    def write(tx: Tx) -> tuple[set[str], set[str]]:
        for image in rows.in_status(tx, states.SAVING, states.IMPORTING):
            rows.save(tx, image, back_to_queued(image), glance.clock.now())
        for image in rows.in_status(tx, states.UPLOADING):
            if not glance.staging.path(image.id).exists():
                rows.save(tx, image, back_to_queued(image), glance.clock.now())
        tasks.fail_unfinished(tx, glance.clock.now())
        active = rows.in_status(tx, states.ACTIVE, states.DEACTIVATED)
        staged = rows.in_status(tx, states.UPLOADING)
        return {i.id for i in active}, {i.id for i in staged}

    keep, staged = await glance.db.write(write)
    gone = await glance.files.sweep(keep) + await glance.staging.sweep(staged)
    if gone:
        log.info("image.files_swept", files=gone)

"""Whose work an image is: one process at a time brings data in, and says that it is alive.

A lease is in the row, so several processes over one database keep out of each other's way. Its
holder renews it (tasks/upkeep.py); one that is not renewed for `lease_s` is of a dead process,
and whoever finds it undoes what that process was at.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct
from msgspec.structs import replace

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict
from aerostat.kit.log import Logger
from aerostat.services.glance.db import garbage, tasks
from aerostat.services.glance.db import images as rows
from aerostat.services.glance.domain import scrubbing
from aerostat.services.glance.domain.changes import Draft, Step, change
from aerostat.services.glance.model import image as states
from aerostat.services.glance.model.image import FAILED_IMPORT, IMPORTING_TO, Image
from aerostat.services.glance.runtime import Glance

log = Logger("glance.leases")
FOR_EVER = 1e15


class Lease(Struct, frozen=True):
    """A piece of work, and until when it is alive if nothing more is heard of it."""

    id: str
    until: float


@asynccontextmanager
async def work(glance: Glance, image_id: str, begin: Step) -> AsyncIterator[str]:
    """Hold the image while the body runs; yield the lease. `begin` makes the first change.

    What the body did not finish (`finish`) is undone: no data, and the status from before.
    Raises: NotFound, Conflict (somebody works on it), and what `begin` raises.
    """
    lease = glance.ids()
    glance.leases.add(lease)

    def take(image: Image) -> Draft:
        if image.lease is not None:
            raise Conflict(f"Image {image_id} is being worked on.")
        draft = begin(image)
        return replace(draft, image=lend(glance, draft.image, lease))

    try:
        await change(glance, image_id, take)
        try:
            yield lease
        finally:
            await end(glance, image_id, lease)
    finally:
        glance.leases.discard(lease)


@asynccontextmanager
async def going_on(glance: Glance, image_id: str, lease: str) -> AsyncIterator[str]:
    """Hold an image whose row has the lease already."""
    glance.leases.add(lease)
    try:
        yield lease
    finally:
        await end(glance, image_id, lease)
        glance.leases.discard(lease)


def lend(glance: Glance, image: Image, lease: str) -> Image:
    """Return the image as the holder of `lease` has it."""
    return replace(image, lease=lease, lease_until=glance.clock.now() + glance.config.lease_s)


def finish(image: Image) -> Image:
    """Return the image when the work is done."""
    properties = {k: v for k, v in image.properties.items() if k != states.IMPORT_TASK}
    return replace(image, properties=properties, lease=None, lease_until=None)


async def end(glance: Glance, image_id: str, lease: str) -> None:
    """Undo what was not finished under the lease; nothing if it is another's by now."""
    await _sweep(glance, lease)
    now = glance.clock.now()
    if await glance.db.write(ending, image_id, lease, now, glance.config.delayed_delete):
        await scrubbing.scrub_image(glance, image_id)
        await glance.db.write(release, image_id, lease, now)


def ending(tx: Tx, image_id: str, lease: str, now: float, delayed: bool) -> bool:
    """Tell whether what the image has too much is the holder's to remove."""
    found = rows.find(tx, image_id)
    if found is None and not delayed:
        garbage.defer(tx, image_id, now)  # It waited for this work to end.
    return found is None or found.lease == lease


def release(tx: Tx, image_id: str, lease: str, now: float) -> None:
    """Let go of an image, as it was before the work."""
    found = rows.find(tx, image_id)
    if found is not None and found.lease == lease:
        rows.save(tx, found, finish(undone(found)), now)


async def _sweep(glance: Glance, lease: str) -> None:
    await glance.staging.discard(lease)
    await glance.staging.discard(fresh(lease))


def fresh(lease: str) -> str:
    """Return the name of a second part file of a piece of work."""
    return f"{lease}.new"


def undone(image: Image) -> Image:
    """Return the image without the data that it was about to get."""
    properties = {k: v for k, v in image.properties.items() if k != states.STAGE_HOST}
    if todo := properties.get(IMPORTING_TO, ""):
        failed = properties.get(FAILED_IMPORT, "")
        properties |= {IMPORTING_TO: "", FAILED_IMPORT: f"{failed},{todo}".strip(",")}
    image = replace(image, properties=properties)
    if image.status not in (states.SAVING, states.UPLOADING, states.IMPORTING):
        return image
    status = states.move(image.status, states.QUEUED)
    return replace(image, status=status, size=None, locations=())


async def beat(glance: Glance) -> None:
    """Say that the work of this process goes on."""
    if glance.leases:
        until = glance.clock.now() + glance.config.lease_s
        await glance.db.write(rows.beat, sorted(glance.leases), until)


async def bury(glance: Glance, *, everybody: bool = False) -> list[str]:
    """Undo the work of dead processes; return the images. `everybody`: no other process lives."""
    now = glance.clock.now()
    mine = Lease(glance.ids(), now + glance.config.lease_s)
    taken = await glance.db.write(take_over, mine, FOR_EVER if everybody else now, now)
    for image_id, lease in taken:
        await _sweep(glance, lease)
        await end(glance, image_id, mine.id)
        log.info("lease.buried", image_id=image_id)
    return [image_id for image_id, _ in taken]


def take_over(tx: Tx, mine: Lease, before: float, now: float) -> list[tuple[str, str]]:
    """Hold the images whose leases ended before; return them with the leases that they had."""
    found = rows.expired(tx, before)
    for image in found:
        rows.save(tx, image, replace(image, lease=mine.id, lease_until=mine.until), now)
        tasks.fail_unfinished(tx, image.id, now)
    return [(image.id, str(image.lease)) for image in found]


async def recover(glance: Glance) -> None:
    """Put right what the process before this one left when it died.

    One that is alone does that for all images; one of several copies for its own staging folder,
    if it has one.
    """
    alone, here = not glance.db.shared, glance.config.worker_self_reference_url
    if alone:
        await bury(glance, everybody=True)
    elif not here:
        return
    keep = set(await glance.db.read(staged, "" if alone else here))
    for image_id in keep:
        if not glance.staging.path(image_id).exists():
            await glance.db.write(unstage, image_id, glance.clock.now())
    if gone := await glance.staging.sweep(keep):
        log.info("image.files_swept", files=gone)
    if alone:
        await scrubbing.scrub(glance)


def staged(tx: Tx, host: str) -> list[str]:
    """Return the images whose data waits for an import, at `host` alone if one is named."""
    found = rows.in_status(tx, states.UPLOADING)
    return [i.id for i in found if not host or i.properties.get(states.STAGE_HOST) == host]


def unstage(tx: Tx, image_id: str, now: float) -> None:
    """Let an image have no staged data."""
    image = rows.get(tx, image_id)
    rows.save(tx, image, undone(image), now)

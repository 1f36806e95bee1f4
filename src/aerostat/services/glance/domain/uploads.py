"""How data comes into an image: written, hashed, inspected, stored; active when all is durable.

Data always arrives in a file of the staging folder. Stores get it only when it is whole and
known to be harmless, so no store ever holds half an image or a hostile one.
"""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, Fault, TooLarge
from aerostat.kit.log import Logger
from aerostat.services.glance.db import garbage
from aerostat.services.glance.domain import changes, leases, quotas, signatures
from aerostat.services.glance.domain.changes import GONE, Draft
from aerostat.services.glance.domain.quotas import Needs
from aerostat.services.glance.filestore import Written
from aerostat.services.glance.inspector import Finding, check
from aerostat.services.glance.model import image as states
from aerostat.services.glance.model.image import (
    FAILED_IMPORT,
    IMPORTING_TO,
    Image,
    Location,
)
from aerostat.services.glance.runtime import Glance

log = Logger("glance.uploads")


class Plan(Struct, frozen=True):
    """Where data shall go. `all_must`: one store that fails fails it all."""

    stores: tuple[str, ...]
    all_must: bool = True


Become = Callable[[Image], Image]


class Arrived(Struct, frozen=True):
    """Data that is whole in a file, and what it came to."""

    lease: str
    source: Path
    written: Written

    @property
    def fresh(self) -> str:
        """The part file for what the data is turned into."""
        return leases.fresh(self.lease)


async def upload(
    glance: Glance,
    image_id: str,
    chunks: AsyncIterator[bytes],
    size: int | None = None,
    store: str = "",
) -> Image:
    """Make `chunks`, of `size` bytes if known, the data of a queued image, in a store or in the
    default one.

    Raises: NotFound, Conflict (it is not queued), BadRequest (no formats, the client went away,
    another size, no such store), TooLarge, Unsupported (the data is not what the image says),
    Fault (gone), Unavailable.
    """
    plan = Plan((writable(glance, store or glance.stores.default),))
    limits = await quotas.of_image(glance, image_id)

    def begin(image: Image) -> Draft:
        check_formats(image)
        if image.status != states.QUEUED:
            raise Conflict(
                f"Image status transition from {image.status} to {states.SAVING} is not allowed"
            )
        new = replace(image, status=states.move(image.status, states.SAVING))
        return Draft(new, Needs(limits, {quotas.SIZE: quotas.mib(size), quotas.COMING: 1}))

    async with leases.work(glance, image_id, begin) as lease:
        written = await glance.staging.write(lease, chunks, glance.config.image_size_cap)
        check_size(written, size)
        arrived = Arrived(lease, glance.staging.part(lease), written)
        return await adopt(glance, image_id, arrived, plan)


def check_size(written: Written, size: int | None) -> None:
    """Raises: BadRequest (what arrived is not as large as was said)."""
    if size is not None and written.size != size:
        raise BadRequest(f"The image data has {written.size} bytes, but {size} were announced.")


def writable(glance: Glance, store: str) -> str:
    """Return the id of a store that takes data. Raises: BadRequest."""
    if not glance.stores.get(store).writable:
        raise BadRequest(f"Store {store} is read-only.", field="stores")
    return store


def too_large() -> TooLarge:
    """Return the fault for data beyond image_size_cap."""
    return TooLarge("Image exceeds the maximum size allowed.")


def check_formats(image: Image) -> None:
    """Raises: BadRequest (a format is not set yet)."""
    names = ("disk_format", "container_format")
    missing = [name for name in names if getattr(image, name) is None]
    if missing:
        raise BadRequest(f"Properties {', '.join(missing)} must be set prior to saving data.")


async def adopt(glance: Glance, image_id: str, arrived: Arrived, plan: Plan) -> Image:
    """Inspect what arrived, store it and make the image active.

    Raises: Unsupported (unacceptable data), BadRequest (signature), Fault (gone), TooLarge,
    Unavailable.
    """
    image = await held(glance, image_id, arrived.lease)
    await signatures.verify(glance, image, arrived.source)
    finding = await inspect(glance, image, arrived)
    facts = {
        "size": arrived.written.size,
        "virtual_size": finding.virtual_size if finding else None,
        "checksum": arrived.written.checksum,
        "hash_algo": glance.config.hashing_algorithm,
        "hash_value": arrived.written.hash_value,
    }

    def become_active(now: Image) -> Image:
        return replace(now, status=states.move(now.status, states.ACTIVE), **facts)

    return await distribute(glance, image_id, arrived, plan, become_active)


async def held(glance: Glance, image_id: str, lease: str) -> Image:
    """Return the image that is worked on under `lease`. Raises: Fault (gone)."""
    return await glance.db.read(changes.held, image_id, lease)


async def distribute(
    glance: Glance, image_id: str, arrived: Arrived, plan: Plan, become: Become
) -> Image:
    """Bring a file into the stores of a plan, one after the other, and end the work.

    `become` changes the image once: with its first store, or with the last one if all must have
    it. Raises: Fault (gone), and what a store raises: any one if all must have it, the last if
    none has it.
    """
    todo, done, failed = list(plan.stores), list[Location](), list[str]()
    image: Image | None = None
    while todo:
        store = todo.pop(0)
        try:
            done.append(await _store(glance, image_id, arrived, store))
        except Fault as why:
            if plan.all_must or why.code == GONE or not (image or done or todo):
                raise
            log.warning("image.not_stored", image_id=image_id, store=store, reason=why.message)
            failed.append(store)
        if (image or done) and (not plan.all_must or not todo):
            step = _Step(arrived.lease, tuple(done), tuple(todo), tuple(failed))
            image = await _note(glance, image_id, step, become if image is None else None)
            done = []
    if image is None:
        raise BadRequest("No store was named.", field="stores")
    return image


class _Step(Struct, frozen=True):
    """How far the distribution came: places that are new, stores to do, stores that failed."""

    lease: str
    places: tuple[Location, ...]
    todo: tuple[str, ...]
    failed: tuple[str, ...]


async def _store(glance: Glance, image_id: str, arrived: Arrived, store: str) -> Location:
    driver = glance.stores.get(store)
    place = Location(driver.url(image_id), store, {"store": store})
    now = glance.clock.now()
    await glance.db.write(announce, (image_id, arrived.lease), (glance.ids(), place), now)
    await driver.add(image_id, arrived.source)
    return place


def announce(tx: Tx, work: tuple[str, str], where: tuple[str, Location], now: float) -> None:
    """Write down that data may lie at a place from now on; `work`: the image and its lease.

    Raises: Fault (gone).
    """
    image = changes.held(tx, *work)
    garbage.add(tx, image.id, [where], now)


async def _note(glance: Glance, image_id: str, step: _Step, become: Become | None) -> Image:
    def note(now: Image) -> Draft:
        new = become(now) if become else now
        new = replace(new, locations=(*now.locations, *step.places))
        if IMPORTING_TO in now.properties:
            told = {IMPORTING_TO: ",".join(step.todo), FAILED_IMPORT: ",".join(step.failed)}
            new = replace(new, properties={**now.properties, **told})
        new = new if step.todo else leases.finish(new)
        return Draft(new, kept=tuple(place.url for place in step.places))

    return await changes.change(glance, image_id, note, step.lease)


async def inspect(glance: Glance, image: Image, arrived: Arrived) -> Finding | None:
    """Return what the data is, None if it is not a disk. Raises: Unsupported."""
    if arrived.written.size == 0 or image.container_format != "bare":
        return None
    finding = await glance.inspector.inspect(arrived.source)
    if glance.config.require_image_format_match:
        check(finding, str(image.disk_format))
    return finding

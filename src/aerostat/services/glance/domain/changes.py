"""Changes of an image: worked out from what it is now, and written if it still is that.

What is worked out is any function; what is written travels as data, so that it may be another
process (glance-registry) that writes it. Source: docs/rfd/0010-glance-registry.md.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault, GenerationConflict
from aerostat.services.glance.db import garbage, tasks
from aerostat.services.glance.db import images as rows
from aerostat.services.glance.domain import quotas
from aerostat.services.glance.domain.quotas import Needs
from aerostat.services.glance.model.image import Image, Location
from aerostat.services.glance.model.task import Task
from aerostat.services.glance.runtime import Glance

TRIES = 32
"""Times that a change is worked out anew because another one came first."""

GONE = "gone"


class Draft(Struct, frozen=True):
    """An image as it shall be, and what is written with it.

    `needs`: what must fit under the owner's limits. `lost`: places that are garbage now, with
    the ids of their rows; `kept`: URLs that are garbage no longer.
    """

    image: Image
    needs: Needs | None = None
    task: Task | None = None
    lost: tuple[tuple[str, Location], ...] = ()
    kept: tuple[str, ...] = ()


Step = Callable[[Image], Draft]


def gone() -> Fault:
    """Return the fault for work on an image that was deleted, or given to another meanwhile."""
    return Fault("The image was deleted while its data was uploaded.", code=GONE)


def held(tx: Tx, image_id: str, lease: str) -> Image:
    """Return the image that is worked on under `lease`. Raises: Fault (gone)."""
    image = rows.find(tx, image_id)
    if image is None or image.lease != lease:
        raise gone()
    return image


async def change(glance: Glance, image_id: str, step: Step, lease: str = "") -> Image:
    """Apply `step` to the image as it is now; under a lease, only while it is held.

    Raises: NotFound, Fault (gone), GenerationConflict (others always came first), TooLarge
    (limits), and what `step` raises.
    """
    tries = 0
    while True:
        old = await _read(glance, image_id, lease)
        draft = step(old)
        if draft == Draft(old):
            return old
        try:
            return await glance.db.write(commit, old, draft, glance.clock.now())
        except GenerationConflict:
            tries += 1
            if tries == TRIES:
                raise


async def _read(glance: Glance, image_id: str, lease: str) -> Image:
    if lease:
        return await glance.db.read(held, image_id, lease)
    return await glance.db.read(rows.get, image_id)


def commit(tx: Tx, old: Image, draft: Draft, now: float) -> Image:
    """Write a draft in the place of `old`. Raises: GenerationConflict, TooLarge."""
    if draft.needs is not None:
        quotas.check(tx, old.owner, draft.needs)
    if draft.task is not None:
        tasks.add(tx, draft.task)
    new = rows.save(tx, old, draft.image, now)
    garbage.add(tx, old.id, draft.lost, now)
    garbage.keep(tx, old.id, draft.kept)
    return new


def create(tx: Tx, image: Image, needs: Needs, task: Task | None = None) -> Image:
    """Insert an image. Raises: Conflict (the id is taken), TooLarge."""
    quotas.check(tx, image.owner, needs)
    made = rows.add(tx, image)
    if task is not None:
        tasks.add(tx, task)
    return made


def remove(tx: Tx, old: Image, keys: Sequence[str], due_at: float, now: float) -> None:
    """Delete an image; its data may be removed from `due_at` on. Raises: GenerationConflict."""
    rows.remove(tx, old, now)
    garbage.add(tx, old.id, list(zip(keys, old.locations, strict=False)), due_at)
    garbage.defer(tx, old.id, due_at)

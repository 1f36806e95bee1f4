"""Removes from stores what belongs to no image. Source: glance's scrubber, delayed_delete."""

from collections.abc import Sequence

from aerostat.services.glance.db import garbage
from aerostat.services.glance.db.garbage import Garbage
from aerostat.services.glance.runtime import Glance


async def scrub(glance: Glance) -> int:
    """Remove what is due of images that are gone; return how many pieces went.

    What a store does not let go of stays on the list. Several processes may scrub at once.
    """
    return await _remove(glance, await glance.db.read(garbage.due, glance.clock.now()))


async def scrub_image(glance: Glance, image_id: str) -> None:
    """Remove what is due of one image; its lease is the caller's, or it is gone."""
    now = glance.clock.now()
    await _remove(glance, await glance.db.read(garbage.of_image, image_id, now))


async def _remove(glance: Glance, found: Sequence[Garbage]) -> int:
    gone = [one.id for one in found if await glance.stores.remove(one.store, one.url)]
    if gone:
        await glance.db.write(garbage.remove, gone)
    return len(gone)

"""What may be done with images: find, create, change, delete, deactivate."""

from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Forbidden, GenerationConflict, TooLarge
from aerostat.services.glance.config import GlanceConfig
from aerostat.services.glance.db import images as rows
from aerostat.services.glance.db import members
from aerostat.services.glance.domain import changes, quotas, scrubbing
from aerostat.services.glance.domain.changes import Draft
from aerostat.services.glance.domain.quotas import Needs
from aerostat.services.glance.model import image as states
from aerostat.services.glance.model.image import Image, Outline
from aerostat.services.glance.model.listing import Listing, Viewer
from aerostat.services.glance.runtime import Glance

Change = Callable[[Image], Image]


class Seen(Struct, frozen=True):
    """An image that somebody sees; `member` is their project if it is shared with them."""

    image: Image
    member: str = ""

    @property
    def target(self) -> dict[str, object]:
        """What policy rules are checked against."""
        return self.image.target(self.member)


def see(tx: Tx, viewer: Viewer, image_id: str) -> Seen:
    """Return an image that the viewer may know of. Raises: NotFound."""
    image = rows.get(tx, image_id)
    mine = bool(viewer.project_id) and image.owner == viewer.project_id
    if viewer.is_admin or mine or image.visibility in ("public", "community"):
        return Seen(image)
    if image.visibility == "shared" and members.find(tx, image_id, viewer.project_id):
        return Seen(image, viewer.project_id)
    raise rows.unknown(image_id)


unknown = rows.unknown


async def seen(glance: Glance, viewer: Viewer, image_id: str) -> Seen:
    """Return an image that the viewer may know of. Raises: NotFound."""
    return await glance.db.read(see, viewer, image_id)


async def one(glance: Glance, image_id: str) -> Image:
    """Return an image, whoever asks. Raises: NotFound."""
    return await glance.db.read(rows.get, image_id)


async def listed(glance: Glance, listing: Listing) -> list[Image]:
    """Return a page of images. Raises: BadRequest."""
    return await glance.db.read(rows.listed, listing)


async def outlines(glance: Glance, listing: Listing) -> list[Outline]:
    """Return the outlines of such a page. Raises: BadRequest."""
    return await glance.db.read(rows.outlines, listing)


async def as_outlined(glance: Glance, wanted: Sequence[Outline]) -> dict[str, Image]:
    """Return images by id, without those that have changed or gone since."""
    if not wanted:
        return {}
    generations = {one.id: one.generation for one in wanted}
    found = await glance.db.read(rows.whole, list(generations))
    return {image.id: image for image in found if image.generation == generations[image.id]}


async def create(glance: Glance, image: Image) -> Image:
    """Insert a new image, queued. Raises: Conflict (the id is taken), TooLarge (quotas)."""
    check_quotas(glance.config, image)
    limits = await quotas.limits(glance, image.owner)
    now = glance.clock.now()
    image = replace(image, status=states.QUEUED, created_at=now, updated_at=now)

    needs = Needs(limits, {quotas.COUNT: 1})
    return await glance.db.write(changes.create, image, needs)


def check_quotas(config: GlanceConfig, image: Image) -> None:
    """Raises: TooLarge (too many tags or properties)."""
    for name, used, limit in (
        ("tags", len(image.tags), config.image_tag_quota),
        ("properties", len(image.custom), config.image_property_quota),
    ):
        if 0 <= limit < used:
            raise TooLarge(
                f"The limit has been exceeded on the number of allowed image {name}. "
                f"Attempted: {used}, Maximum: {limit}"
            )


async def edit(glance: Glance, image_id: str, change: Change) -> Image:
    """Apply `change` to the image as it is now. Raises: NotFound, and what `change` raises."""

    return await changes.change(glance, image_id, lambda image: Draft(change(image)))


async def delete(glance: Glance, image_id: str) -> None:
    """Delete the image; its data follows at once, or after scrub_time with delayed_delete.

    Where somebody is still bringing data in, theirs is removed by them, or later if they die.
    Raises: NotFound, Forbidden (protected), Conflict (in use in a store), Unavailable.
    """
    while not await _delete(glance, await glance.db.read(rows.get, image_id)):
        """Somebody changed it meanwhile."""
    await glance.staging.remove(image_id)
    if glance.cache is not None:
        await glance.cache.remove(image_id)
    await scrubbing.scrub_image(glance, image_id)


async def _delete(glance: Glance, image: Image) -> bool:
    if image.protected:
        raise Forbidden(f"Image {image.id} is protected and cannot be deleted.")
    config, now = glance.config, glance.clock.now()
    if not config.delayed_delete:
        await glance.stores.check_free(image.locations)
    due_at = now + config.scrub_time if config.delayed_delete else now
    if image.lease_until is not None:
        due_at = max(due_at, image.lease_until)
    keys = [glance.ids() for _ in image.locations]
    try:
        await glance.db.write(changes.remove, image, keys, due_at, now)
    except GenerationConflict:
        return False
    return True


def deactivate(image: Image) -> Image:
    """Raises: BadRequest (it has no data)."""
    return _switch(image, states.DEACTIVATED)


def reactivate(image: Image) -> Image:
    """Raises: BadRequest (it has no data)."""
    return _switch(image, states.ACTIVE)


def _switch(image: Image, status: str) -> Image:
    if not image.has_data:
        raise BadRequest(f"Image status transition from {image.status} to {status} is not allowed.")
    return replace(image, status=states.move(image.status, status))


def tagged(tag: str, config: GlanceConfig) -> Change:
    """Return the change that adds a tag. Raises (when run): TooLarge."""

    def change(image: Image) -> Image:
        if tag in image.tags:
            return image
        new = replace(image, tags=(*image.tags, tag))
        check_quotas(config, new)
        return new

    return change


def untagged(tag: str) -> Change:
    """Return the change that takes a tag away. Raises (when run): NotFound."""

    def change(image: Image) -> Image:
        if tag not in image.tags:
            raise rows.unknown(image.id)
        return replace(image, tags=tuple(t for t in image.tags if t != tag))

    return change

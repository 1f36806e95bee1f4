"""How data leaves an image: with a token, or with a ticket that opens it for some minutes."""

from collections.abc import AsyncIterator, Sequence

from aerostat.kit.errors import NotFound
from aerostat.services.glance.db import images as rows
from aerostat.services.glance.domain import caching
from aerostat.services.glance.model.image import Image
from aerostat.services.glance.runtime import Glance
from aerostat.services.glance.tickets import UPLOAD


async def ticket(glance: Glance, image_id: str) -> str:
    """Return a ticket for an image that has data. Raises: NotFound."""
    image = await glance.db.read(rows.get, image_id)
    if not image.has_data:
        raise NotFound(f"Image {image_id} has no data.")
    expires_at = int(glance.clock.now()) + glance.config.ticket_lifetime_s
    return glance.tickets.issue(image_id, expires_at)


async def by_ticket(glance: Glance, image_id: str, given: str) -> Image | None:
    """Return the image if `given` opens it, None if it does not. Raises: NotFound."""
    if not glance.tickets.opens(given, image_id, glance.clock.now()):
        return None
    return await glance.db.read(rows.get, image_id)


async def upload_ticket(glance: Glance, image_id: str) -> str:
    """Return a ticket for giving an image its data. Raises: NotFound."""
    await glance.db.read(rows.get, image_id)
    expires_at = int(glance.clock.now()) + glance.config.ticket_lifetime_s
    return glance.tickets.issue(UPLOAD + image_id, expires_at)


def may_upload(glance: Glance, image_id: str, given: str) -> bool:
    """Tell whether `given` is a ticket for giving the image its data."""
    return glance.tickets.opens(given, UPLOAD + image_id, glance.clock.now())


async def data(
    glance: Glance, image: Image, span: tuple[int, int], prefer: Sequence[str]
) -> AsyncIterator[bytes]:
    """Return the data of a span (start, length), from the stores of `prefer` first.

    Raises: NotFound (it is missing), Unavailable.
    """
    return await caching.read(glance, image, span, prefer)

"""Data that waits for an import. Source: image api-ref, "Stage binary image data"."""

from collections.abc import AsyncIterator

from msgspec.structs import replace

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict
from aerostat.services.glance.db import images as rows
from aerostat.services.glance.domain import leases, quotas
from aerostat.services.glance.domain.uploads import Gone
from aerostat.services.glance.model import image as states
from aerostat.services.glance.model.image import Image
from aerostat.services.glance.runtime import Glance


async def stage(glance: Glance, image_id: str, chunks: AsyncIterator[bytes]) -> None:
    """Keep `chunks` for a later import. Raises: NotFound, Conflict, BadRequest, TooLarge."""
    limits = await quotas.of_image(glance, image_id)

    def begin(tx: Tx, image: Image) -> Image:
        if image.status != states.QUEUED:
            raise Conflict(
                f"Image status transition from {image.status} to {states.UPLOADING} is not allowed"
            )
        quotas.check(tx, image.owner, limits, image_stage_total=0, image_count_uploading=1)
        return replace(image, status=states.move(image.status, states.UPLOADING))

    async with leases.work(glance, image_id, begin) as lease:
        written = await glance.staging.write(lease, chunks, glance.config.image_size_cap)
        await glance.staging.rename(lease, image_id)

        def finish(tx: Tx) -> None:
            now = rows.find(tx, image_id)
            if now is None or now.lease != lease:
                raise Gone("The image was deleted while its data was uploaded.")
            rows.save(tx, now, leases.finish(replace(now, size=written.size)), glance.clock.now())

        try:
            await glance.db.write(finish)
        except Gone:
            await glance.staging.remove(image_id)
            raise

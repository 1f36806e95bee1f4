"""Data that waits for an import. Source: image api-ref, "Stage binary image data"."""

from collections.abc import AsyncIterator

from msgspec.structs import replace

from aerostat.kit.errors import Conflict, Fault
from aerostat.services.glance.domain import leases, quotas
from aerostat.services.glance.domain.changes import GONE, Draft, change
from aerostat.services.glance.domain.quotas import Needs
from aerostat.services.glance.domain.uploads import check_size
from aerostat.services.glance.model import image as states
from aerostat.services.glance.model.image import Image
from aerostat.services.glance.runtime import Glance


async def stage(
    glance: Glance, image_id: str, chunks: AsyncIterator[bytes], size: int | None = None
) -> None:
    """Keep `chunks`, of `size` bytes if that is known, for a later import.

    Raises: NotFound, Conflict, BadRequest, TooLarge.
    """
    limits = await quotas.of_image(glance, image_id)

    def begin(image: Image) -> Draft:
        if image.status != states.QUEUED:
            raise Conflict(
                f"Image status transition from {image.status} to {states.UPLOADING} is not allowed"
            )
        new = replace(image, status=states.move(image.status, states.UPLOADING))
        return Draft(new, Needs(limits, {quotas.STAGED: quotas.mib(size), quotas.COMING: 1}))

    async with leases.work(glance, image_id, begin) as lease:
        written = await glance.staging.write(lease, chunks, glance.config.image_size_cap)
        check_size(written, size)
        await glance.staging.rename(lease, image_id)

        def finish(image: Image) -> Draft:
            properties = image.properties
            if here := glance.config.worker_self_reference_url:
                properties = {**properties, states.STAGE_HOST: here}
            return Draft(leases.finish(replace(image, size=written.size, properties=properties)))

        try:
            await change(glance, image_id, finish, lease)
        except Fault as why:
            if why.code == GONE:
                await glance.staging.remove(image_id)
            raise


def elsewhere(glance: Glance, image: Image) -> str:
    """Return the URL of the copy of glance-api that has staged the data, "" if it is this one."""
    host = image.properties.get(states.STAGE_HOST, "")
    here = host == glance.config.worker_self_reference_url
    return "" if here or image.status != states.UPLOADING else host

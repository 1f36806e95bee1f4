"""Images as nova's old image API shows and changes them: glance decides."""

from aerostat.contracts.image import ImageFacts
from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import NotFound
from aerostat.services.nova.domain import quotas
from aerostat.services.nova.runtime import Nova


async def visible(nova: Nova, ctx: Context) -> list[ImageFacts]:
    """Return every image that the caller sees, the newest first."""
    return await nova.image.visible(project_id=ctx.project_id, is_admin=ctx.is_admin)


async def get(nova: Nova, ctx: Context, image_id: str) -> ImageFacts:
    """Raises: NotFound."""
    try:
        return await nova.image.get(
            image_id=image_id, project_id=ctx.project_id, is_admin=ctx.is_admin
        )
    except NotFound as why:
        raise NotFound("Image not found.") from why


async def delete(nova: Nova, ctx: Context, image_id: str) -> None:
    """Raises: NotFound, Forbidden."""
    await nova.image.delete_for(image_id=image_id, project_id=ctx.project_id, is_admin=ctx.is_admin)


async def set_metadata(
    nova: Nova, ctx: Context, image_id: str, wanted: dict[str, str]
) -> dict[str, str]:
    """Make the metadata exactly `wanted`.

    Raises: NotFound, Forbidden, QuotaExceeded (metadata_items), TooLarge.
    """

    def check(tx: Tx) -> None:
        quotas.check_items(tx, ctx, "metadata_items", len(wanted))

    await nova.db.read(check)
    await nova.image.set_properties(
        image_id=image_id, project_id=ctx.project_id, is_admin=ctx.is_admin, properties=wanted
    )
    return wanted

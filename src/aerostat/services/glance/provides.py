"""Glance's side of contracts.image."""

import contextlib

from msgspec.structs import replace

from aerostat.contracts.image import ImageFacts, NewImage
from aerostat.kit.errors import Forbidden, NotFound
from aerostat.services.glance.db import images as rows
from aerostat.services.glance.domain import downloads, images
from aerostat.services.glance.domain.leases import recover
from aerostat.services.glance.model.image import OWN_PREFIX, Image
from aerostat.services.glance.model.listing import Listing, Viewer
from aerostat.services.glance.runtime import Glance

VISIBLE_MAX = 10_000
"""Images that nova's own, old image API can show."""

__all__ = ["ImageProvider", "recover"]


class ImageProvider:
    """Serves contracts.image.Image from this process's glance."""

    def __init__(self, glance: Glance) -> None:
        self._glance = glance

    async def get(self, *, image_id: str, project_id: str, is_admin: bool) -> ImageFacts:
        """Return an image that the project may use. Raises: NotFound."""
        seen = await images.seen(self._glance, Viewer(project_id, is_admin), image_id)
        return _facts(seen.image)

    async def download_path(self, *, image_id: str) -> str:
        """Return a path with a ticket that serves the data. Raises: NotFound."""
        ticket = await downloads.ticket(self._glance, image_id)
        return f"/v2/images/{image_id}/file?ticket={ticket}"

    async def create(self, *, image: NewImage) -> None:
        """Make a private image without data; one that is there already stays as it is.

        Properties that are glance's own (os_glance_*) are left out.
        """
        made = Image(
            id=image.id,
            name=image.name,
            visibility="private",
            owner=image.owner,
            disk_format=image.disk_format,
            container_format=image.container_format,
            min_disk=image.min_disk_gb,
            min_ram=image.min_ram_mib,
            properties=_custom(image.properties),
        )
        if await self._glance.db.read(rows.find, image.id) is None:
            await images.create(self._glance, made)

    async def upload_path(self, *, image_id: str) -> str:
        """Return a path with a ticket that takes the data. Raises: NotFound."""
        ticket = await downloads.upload_ticket(self._glance, image_id)
        return f"/v2/images/{image_id}/file?ticket={ticket}"

    async def delete(self, *, image_id: str) -> None:
        """Delete an image; absence is fine."""
        with contextlib.suppress(NotFound):
            await images.delete(self._glance, image_id)

    async def visible(self, *, project_id: str, is_admin: bool) -> list[ImageFacts]:
        """Return every image that the project sees in its list, the newest first."""
        listing = Listing(viewer=Viewer(project_id, is_admin), limit=VISIBLE_MAX)
        return [_facts(i) for i in await images.listed(self._glance, listing)]

    async def delete_for(self, *, image_id: str, project_id: str, is_admin: bool) -> None:
        """Delete an image for a member of a project. Raises: NotFound, Forbidden."""
        await self._owned(image_id, Viewer(project_id, is_admin))
        await images.delete(self._glance, image_id)

    async def set_properties(
        self, *, image_id: str, project_id: str, is_admin: bool, properties: dict[str, str]
    ) -> None:
        """Let an image have exactly these properties. Raises: NotFound, Forbidden, TooLarge."""
        await self._owned(image_id, Viewer(project_id, is_admin))
        if reserved := sorted(properties.keys() - _custom(properties).keys()):
            raise Forbidden(f"Attribute '{reserved[0]}' is reserved.", field=reserved[0])

        def change(image: Image) -> Image:
            own = {k: v for k, v in image.properties.items() if k.startswith(OWN_PREFIX)}
            new = replace(image, properties={**own, **properties})
            images.check_quotas(self._glance.config, new)
            return new

        await images.edit(self._glance, image_id, change)

    async def _owned(self, image_id: str, viewer: Viewer) -> None:
        """Raises: NotFound (unseen), Forbidden (another project's)."""
        image = (await images.seen(self._glance, viewer, image_id)).image
        if not viewer.is_admin and image.owner != viewer.project_id:
            raise Forbidden(f"You are not permitted to change image {image_id}.")

    async def named(self, *, owner: str, properties: dict[str, str]) -> list[ImageFacts]:
        """Return a project's images with these properties, the newest first."""
        found = await self._glance.db.read(rows.owned, owner)
        wanted = properties.items()
        return [_facts(i) for i in found if wanted <= i.properties.items()]


def _custom(properties: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in properties.items() if not name.startswith(OWN_PREFIX)}


def _facts(image: Image) -> ImageFacts:
    return ImageFacts(
        id=image.id,
        name=image.name or "",
        status=image.status,
        owner=image.owner or "",
        visibility=image.visibility,
        disk_format=image.disk_format or "",
        container_format=image.container_format or "",
        size_bytes=image.size or 0,
        virtual_size_bytes=image.virtual_size,
        min_disk_gb=image.min_disk,
        min_ram_mib=image.min_ram,
        checksum=image.checksum,
        hash_algo=image.hash_algo,
        hash_value=image.hash_value,
        properties=image.custom,
        created_at=image.created_at,
        updated_at=image.updated_at,
    )

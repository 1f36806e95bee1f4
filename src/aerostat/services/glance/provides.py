"""Glance's side of contracts.image."""

from aerostat.contracts.image import ImageFacts
from aerostat.services.glance.domain import downloads, images
from aerostat.services.glance.domain.uploads import recover
from aerostat.services.glance.model.listing import Viewer
from aerostat.services.glance.runtime import Glance

__all__ = ["ImageProvider", "recover"]


class ImageProvider:
    """Serves contracts.image.Image from this process's glance."""

    def __init__(self, glance: Glance) -> None:
        self._glance = glance

    async def get(self, *, image_id: str, project_id: str, is_admin: bool) -> ImageFacts:
        """Return an image that the project may use. Raises: NotFound."""
        seen = await images.seen(self._glance, Viewer(project_id, is_admin), image_id)
        image = seen.image
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
            properties=image.properties,
        )

    async def download_path(self, *, image_id: str) -> str:
        """Return a path with a ticket that serves the data. Raises: NotFound."""
        ticket = await downloads.ticket(self._glance, image_id)
        return f"/v2/images/{image_id}/file?ticket={ticket}"

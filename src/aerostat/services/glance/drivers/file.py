"""Image data as files of a folder, named by the images' ids."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aerostat.kit.errors import BadRequest, NotFound
from aerostat.services.glance.filestore import PIECE_BYTES, FileStore


class FileDriver:
    """`file:///<folder>/<image id>`. Only the last part of a URL counts: nothing leads out."""

    kind = "file"
    writable = True
    local = True

    def __init__(self, files: FileStore) -> None:
        self.files = files
        files.prepare("filesystem_store_datadir")

    @property
    def properties(self) -> dict[str, Any]:
        """What operators are told of the store."""
        return {
            "data_dir": str(self.files.folder),
            "chunk_size": PIECE_BYTES,
            "thin_provisioning": False,
        }

    def url(self, image_id: str) -> str:
        """Return where the data of an image goes."""
        return f"file://{self.files.path(image_id).absolute()}"

    def owns(self, url: str) -> bool:
        """Tell whether `url` is a file right in the folder."""
        try:
            return url == self.url(_name(url))
        except BadRequest:
            return False

    async def add(self, image_id: str, source: Path) -> None:
        """Link the file, or copy it if it is on another file system. Raises: TooLarge."""
        await self.files.adopt(image_id, source)

    async def read(self, url: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Return `length` bytes from `start`. Raises: NotFound."""
        return await self.files.read(_name(url), start, length)

    async def size(self, url: str) -> int:
        """Return how many bytes the file has. Raises: NotFound, BadRequest."""
        try:
            return self.files.path(_name(url)).stat().st_size
        except FileNotFoundError as why:
            raise NotFound("Image data is not there.") from why

    async def in_use(self, url: str) -> bool:
        """Return False: nobody can."""
        return False

    async def remove(self, url: str) -> None:
        """Remove the file if it is there."""
        await self.files.remove(_name(url))

    async def close(self) -> None:
        """Finish what is under way."""
        await self.files.close()


def _name(url: str) -> str:
    parts = urlsplit(url)
    name = parts.path.rpartition("/")[2]
    if parts.scheme != "file" or not name or name.startswith("."):
        raise BadRequest("Invalid location of a file.", field="url")
    return name

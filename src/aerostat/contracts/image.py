"""What glance promises the other services."""

from typing import Protocol

from msgspec import Struct

from aerostat.kit.bus.endpoint import Endpoint


class ImageFacts(Struct, frozen=True):
    """What a scheduler and a hypervisor need of an image. Sizes: bytes, GiB, MiB as named."""

    id: str
    name: str
    status: str
    owner: str
    visibility: str
    disk_format: str
    container_format: str
    size_bytes: int
    virtual_size_bytes: int | None
    min_disk_gb: int
    min_ram_mib: int
    checksum: str | None
    hash_algo: str | None
    hash_value: str | None
    properties: dict[str, str] = {}
    created_at: float = 0.0
    updated_at: float = 0.0


class NewImage(Struct, frozen=True, kw_only=True):
    """An image to make of a server's disk; its id is the caller's, so that it is made once."""

    id: str
    name: str
    owner: str
    disk_format: str
    container_format: str = "bare"
    min_disk_gb: int = 0
    min_ram_mib: int = 0
    properties: dict[str, str] = {}


class Image(Protocol):
    """Images as other services use them."""

    async def get(self, *, image_id: str, project_id: str, is_admin: bool) -> ImageFacts:
        """Return an image that the project may use. Raises: NotFound."""
        ...

    async def download_path(self, *, image_id: str) -> str:
        """Return a path under the image API (with a short-lived ticket) that serves the data.

        The ticket opens this one image for some minutes; nothing else. Raises: NotFound.
        """
        ...

    async def create(self, *, image: NewImage) -> None:
        """Make a private image without data; one that is there already stays as it is.

        Raises: TooLarge (a quota).
        """
        ...

    async def upload_path(self, *, image_id: str) -> str:
        """Return a path under the image API (with a ticket) that takes the data of a new image.

        The ticket serves for this one image for some minutes; nothing else. Raises: NotFound.
        """
        ...

    async def delete(self, *, image_id: str) -> None:
        """Delete an image that another service made; absence is fine."""
        ...

    async def visible(self, *, project_id: str, is_admin: bool) -> list[ImageFacts]:
        """Return every image that the project sees in its list, the newest first."""
        ...

    async def delete_for(self, *, image_id: str, project_id: str, is_admin: bool) -> None:
        """Delete an image for a member of a project. Raises: NotFound, Forbidden."""
        ...

    async def set_properties(
        self, *, image_id: str, project_id: str, is_admin: bool, properties: dict[str, str]
    ) -> None:
        """Let an image have exactly these properties, for a member of a project.

        Raises: NotFound, Forbidden, TooLarge (a quota).
        """
        ...

    async def named(self, *, owner: str, properties: dict[str, str]) -> list[ImageFacts]:
        """Return a project's images with these properties, the newest first."""
        ...


image: Endpoint[Image] = Endpoint("glance", Image)


class Registry(Protocol):
    """The rows of images, for copies of glance-api that do not reach the database.

    `name`: one of glance's transactions; `arguments`, and what comes back: msgpack. Nodes may not
    call it.
    """

    async def read(self, *, name: str, arguments: bytes) -> bytes:
        """Run a transaction that reads. Raises: BadRequest (unknown), and what it raises."""
        ...

    async def write(self, *, name: str, arguments: bytes) -> bytes:
        """Run a transaction that writes. Raises: BadRequest (unknown), and what it raises."""
        ...


registry: Endpoint[Registry] = Endpoint("glance-registry", Registry)

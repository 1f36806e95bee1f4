"""What a store of image data is to the image service; the drivers are in drivers/."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol


class Store(Protocol):
    """Keeps data under URLs. It only ever gets whole files that were hashed and inspected.

    `kind`: the type of /v2/info/stores/detail (file, http, s3, rbd). `writable`: whether `add`
    and `remove` do anything. `local`: its data is files of this host, no cache is nearer.
    """

    kind: str
    writable: bool
    local: bool

    @property
    def properties(self) -> dict[str, Any]:
        """What operators are told of the store by /v2/info/stores/detail."""
        ...

    def url(self, image_id: str) -> str:
        """Return where the data of an image goes, or is."""
        ...

    def owns(self, url: str) -> bool:
        """Tell whether `url` may be one of this store."""
        ...

    async def add(self, image_id: str, source: Path) -> None:
        """Have the file `source` under `url(image_id)`, whole and durable, or nothing there.

        May run again. Raises: TooLarge (no room), Unavailable, Unsupported (not writable).
        """
        ...

    async def read(self, url: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Return `length` bytes from `start`. Raises: NotFound, Unavailable."""
        ...

    async def size(self, url: str) -> int:
        """Return how many bytes are there. Raises: NotFound, Unavailable, BadRequest."""
        ...

    async def in_use(self, url: str) -> bool:
        """Tell whether others hold on to the data, so that it cannot be removed."""
        ...

    async def remove(self, url: str) -> None:
        """Have nothing under `url`; absence is fine. Raises: Unavailable."""
        ...

    async def close(self) -> None:
        """Let go of threads and connections."""
        ...

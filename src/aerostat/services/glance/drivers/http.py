"""Image data that lies on web servers: read, never written.

What a tenant names is fetched as web-download fetches it: resolved once, to public addresses only.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aerostat.kit.errors import Unsupported
from aerostat.services.glance.web import Web


class HttpDriver:
    """`http://` and `https://` URLs that an image has as a location."""

    kind = "http"
    writable = False
    local = False

    def __init__(self, web: Web) -> None:
        self._web = web

    @property
    def properties(self) -> dict[str, Any]:
        """What operators are told of the store."""
        return {}

    def url(self, image_id: str) -> str:
        """Raises: Unsupported, always."""
        raise Unsupported("The http store is read-only.")

    def owns(self, url: str) -> bool:
        """Tell whether `url` is one of the web."""
        return url.startswith(("http://", "https://"))

    async def add(self, image_id: str, source: Path) -> None:
        """Raises: Unsupported, always."""
        raise Unsupported("The http store is read-only.")

    async def read(self, url: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Return `length` bytes from `start`. Raises: BadRequest, NotFound, Unavailable."""
        target = await self._web.target(url)
        chunks = self._web.fetch(target, span=(start, length))
        return _with(await anext(chunks, b""), chunks)

    async def size(self, url: str) -> int:
        """Return what the server says. Raises: NotFound, BadRequest, Unavailable."""
        return await self._web.size(await self._web.target(url))

    async def in_use(self, url: str) -> bool:
        """Return False: nobody can."""
        return False

    async def remove(self, url: str) -> None:
        """Do nothing: it is not ours."""

    async def close(self) -> None:
        """Do nothing: each read has a connection of its own."""


async def _with(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what came already, and the rest: a server that is away was noticed before."""
    yield first
    async for chunk in rest:
        yield chunk

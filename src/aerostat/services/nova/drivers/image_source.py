"""Where image data comes from: the image API, by a path that holds a ticket."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol

from aerostat.kit.errors import NotFound, Unavailable

if TYPE_CHECKING:
    import httpx

CHUNK_BYTES = 1 << 20
READ_TIMEOUT_S = 60.0
GONE = (401, 403, 404, 410)


class ImageSource(Protocol):
    """Streams image data."""

    def stream(self, path: str) -> AsyncIterator[bytes]:
        """Yield the data behind `path` in pieces. Raises: NotFound, Unavailable."""
        ...

    async def close(self) -> None: ...


class HttpImageSource:
    """The image API over HTTP; `base_url` has no slash at its end. No redirect is followed."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._client: httpx.AsyncClient | None = None

    async def stream(self, path: str) -> AsyncIterator[bytes]:
        import httpx  # heavy: only a node that downloads needs it

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=READ_TIMEOUT_S, trust_env=False)
        url = f"{self._base_url}/{path.lstrip('/')}"
        try:
            async with self._client.stream("GET", url) as reply:
                _check(reply.status_code)
                async for chunk in reply.aiter_raw(CHUNK_BYTES):
                    yield chunk
        except httpx.HTTPError as why:
            raise Unavailable("The image API is out of reach.", detail=repr(why)) from why

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def _check(status: int) -> None:
    if status in GONE:
        raise NotFound("The image data is not there.", code="image_data_not_found")
    if status != 200:
        raise Unavailable("The image API did not serve the data.", detail=f"status {status}")

"""Where image data comes from: the image API, by a path that holds a ticket."""

import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol

from aerostat.kit.errors import BadRequest, Conflict, NotFound, Unavailable

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

    async def upload(self, path: str, data: AsyncIterator[bytes]) -> None:
        """Give the image behind `path` its data.

        Raises: Conflict (it has some already), BadRequest (unacceptable), NotFound, Unavailable.
        """
        ...

    async def close(self) -> None: ...


class HttpImageSource:
    """The image API over HTTP(S). No redirect is followed.

    `cacert` is a PEM file: who signs its certificate, if not whom the machine trusts.
    """

    def __init__(
        self,
        base_url: str,
        transport: "httpx.AsyncBaseTransport | None" = None,
        *,
        cacert: str = "",
    ) -> None:
        self._base_url, self._transport = base_url.rstrip("/"), transport
        self._cacert = cacert
        self._client: httpx.AsyncClient | None = None

    async def stream(self, path: str) -> AsyncIterator[bytes]:
        import httpx  # heavy: only a node that downloads needs it

        try:
            async with self._opened().stream("GET", self._url(path)) as reply:
                _check(reply.status_code)
                async for chunk in reply.aiter_raw(CHUNK_BYTES):
                    yield chunk
        except httpx.HTTPError as why:
            raise Unavailable("The image API is out of reach.", detail=repr(why)) from why

    async def upload(self, path: str, data: AsyncIterator[bytes]) -> None:
        import httpx

        headers = {"content-type": "application/octet-stream"}
        try:
            reply = await self._opened().put(self._url(path), content=data, headers=headers)
        except httpx.HTTPError as why:
            raise Unavailable("The image API is out of reach.", detail=repr(why)) from why
        if reply.status_code == 409:
            raise Conflict("The image has data already.", code="image_has_data")
        if reply.status_code in (400, 413, 415):
            raise BadRequest("The image API refused the data.", detail=reply.text[:500])
        if reply.status_code != 204:
            _check(reply.status_code)

    def _opened(self) -> "httpx.AsyncClient":
        import httpx

        if self._client is None:
            trusted = ssl.create_default_context(cafile=self._cacert) if self._cacert else True
            self._client = httpx.AsyncClient(
                timeout=READ_TIMEOUT_S,
                trust_env=False,
                transport=self._transport,
                verify=trusted,
            )
        return self._client

    def _url(self, path: str) -> str:
        return f"{self._base_url}/{path.lstrip('/')}"

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def _check(status: int) -> None:
    if status in GONE:
        raise NotFound("The image data is not there.", code="image_data_not_found")
    if status != 200:
        raise Unavailable("The image API did not serve the data.", detail=f"status {status}")

"""A small HTTP client for stores: a request, then the whole answer or its pieces."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from aerostat.kit.errors import NotFound, TooLarge, Unavailable

PIECE_BYTES = 1 << 18


class Answer(Struct, frozen=True):
    """A whole answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def fault_of(answer: Answer, otherwise: str) -> NotFound | TooLarge | Unavailable:
    """Return what an answer that is an error means of image data; `otherwise`: nothing special."""
    detail = f"{answer.status} {answer.body[:500]!r}"
    if answer.status == 404:
        return NotFound("Image data is not there.", detail=detail)
    if answer.status in (413, 507):
        return TooLarge("There is not enough room on the image store.", detail=detail)
    return Unavailable(otherwise, detail=detail)


class Opened:
    """An answer whose body is still to come."""

    def __init__(self, reply: Any) -> None:
        self._reply = reply
        self.status: int = reply.status_code

    async def whole(self) -> Answer:
        """Return the answer with its body."""
        try:
            body = await self._reply.aread()
        finally:
            await self._reply.aclose()
        headers = {name.lower(): value for name, value in self._reply.headers.items()}
        return Answer(self.status, headers, body)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body. Raises: Unavailable (it ends early)."""
        import httpx

        try:
            async for piece in self._reply.aiter_raw(PIECE_BYTES):
                yield piece
        except httpx.HTTPError as why:
            raise Unavailable("The image store failed.", detail=repr(why)) from why
        finally:
            await self._reply.aclose()


class Client:
    """Speaks with one server, over connections that it keeps.

    `cacert`: a PEM file of who may sign its certificate; those that the world knows if empty.
    """

    def __init__(self, base: str, timeout_s: float, cacert: str = "") -> None:
        self._base, self._timeout_s, self._cacert = base, timeout_s, cacert
        self._http: Any = None

    async def open(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        query: dict[str, str] | None = None,
        body: AsyncIterator[bytes] | None = None,
    ) -> Opened:
        """Send a request; `path` is quoted already. Raises: Unavailable."""
        import httpx  # heavy: only a store behind HTTP needs it

        if self._http is None:
            limits = httpx.Limits(max_connections=64)
            verify = ssl.create_default_context(cafile=self._cacert) if self._cacert else True
            self._http = httpx.AsyncClient(
                trust_env=False,
                timeout=self._timeout_s,
                limits=limits,
                follow_redirects=False,
                verify=verify,
            )
        words = [f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in (query or {}).items()]
        url = self._base + path + ("?" + "&".join(words) if words else "")
        sent = {"accept-encoding": "identity", **headers}
        try:
            request = self._http.build_request(method, url, headers=sent, content=body)
            return Opened(await self._http.send(request, stream=True))
        except httpx.HTTPError as why:
            raise Unavailable("The image store is out of reach.", detail=repr(why)) from why

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()


async def once(data: bytes) -> AsyncIterator[bytes]:
    """Yield a body that is there already."""
    yield data


async def span(source: Path, start: int, length: int) -> AsyncIterator[bytes]:
    """Yield `length` bytes of a file from `start`. Raises: Unavailable (it ends early)."""
    with source.open("rb") as file:
        file.seek(start)
        while length:
            piece = await asyncio.to_thread(file.read, min(PIECE_BYTES, length))
            if not piece:
                raise Unavailable("The file to be stored is cut off.")
            length -= len(piece)
            yield piece

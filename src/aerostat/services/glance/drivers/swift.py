"""Image data as objects of a Swift container; large ones in segments under a static manifest.

Source: object store API v1, "Static large objects"; glance_store's swift driver (the options, the
form of a location, the names of segments). Where it writes dynamic manifests, ours are static:
the server checks each segment's size and digest before the object is there at all.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from aerostat.kit.clock import Clock
from aerostat.kit.errors import BadRequest, NotFound, TooLarge, Unavailable
from aerostat.services.glance.config import SwiftStore
from aerostat.services.glance.drivers.swift_session import Opened, Session
from aerostat.services.glance.drivers.web_client import Answer, Client, fault_of, once, span
from aerostat.services.glance.drivers.web_client import Opened as Reply

MIB = 1 << 20
Body = Callable[[], AsyncIterator[bytes]]
PAGE = 10_000
"""Names that a container lists at most."""


class SwiftDriver:
    """`swift+config://<reference>/<container>/<image id>`; the account is in the settings."""

    kind = "swift"
    writable = True
    local = False

    def __init__(self, config: SwiftStore, clock: Clock) -> None:
        self._config, self._container = config, config.swift_store_container
        self._large = config.swift_store_large_object_size * MIB
        self._part = config.swift_store_large_object_chunk_size * MIB
        self._session = Session(config, clock)
        self._clients: dict[str, Client] = {}

    @property
    def properties(self) -> dict[str, Any]:
        """What operators are told of the store."""
        return {
            "container": self._container,
            "large_object_size": self._large,
            "large_object_chunk_size": self._part,
        }

    def url(self, image_id: str) -> str:
        """Return where the data of an image goes."""
        reference = self._config.default_swift_reference
        return f"swift+config://{reference}/{self._container}/{image_id}"

    def owns(self, url: str) -> bool:
        """Tell whether `url` is an object of the container."""
        return url.startswith(self.url("")) and len(url) > len(self.url(""))

    async def add(self, image_id: str, source: Path) -> None:
        """Put the object: at once, or in segments if it is large. Raises: TooLarge, Unavailable."""
        size = source.stat().st_size
        if self._config.swift_store_create_container_on_put:
            await self._ask("PUT", "", expect=(201, 202))
        await self._remove(image_id)
        try:
            if size < self._large:
                await self._put(image_id, source, 0, size)
            else:
                await self._put_segments(image_id, source, size)
        except BaseException:
            await asyncio.shield(self._clear(image_id))
            raise

    async def _put(self, name: str, source: Path, start: int, length: int) -> str:
        """Put a part of a file as an object; return its digest."""
        digest = hashlib.md5(usedforsecurity=False)

        async def body() -> AsyncIterator[bytes]:
            nonlocal digest
            digest = hashlib.md5(usedforsecurity=False)
            async for piece in span(source, start, length):
                await asyncio.to_thread(digest.update, piece)
                yield piece

        done = await self._ask("PUT", name, body=body, length=length, expect=(201,))
        if done.headers.get("etag", "").strip('"') != digest.hexdigest():
            raise Unavailable("The object store has other data than it was sent.")
        return digest.hexdigest()

    async def _put_segments(self, image_id: str, source: Path, size: int) -> None:
        manifest = []
        for number, start in enumerate(range(0, size, self._part), 1):
            name, length = f"{image_id}-{number:05d}", min(self._part, size - start)
            digest = await self._put(name, source, start, length)
            path = f"/{self._container}/{name}"
            manifest.append({"path": path, "etag": digest, "size_bytes": length})
        raw = msgspec.json.encode(manifest)
        query = {"multipart-manifest": "put"}
        await self._ask(
            "PUT", image_id, query=query, body=lambda: once(raw), length=len(raw), expect=(201,)
        )

    async def read(self, url: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Return `length` bytes from `start`. Raises: NotFound, Unavailable."""
        wanted = {"range": f"bytes={start}-{start + length - 1}"}
        reply = await self._open("GET", self._name(url), headers=wanted)
        if reply.status != 206:
            raise _fault(await reply.whole())
        return reply.pieces()

    async def size(self, url: str) -> int:
        """Return how many bytes the object has. Raises: NotFound, Unavailable."""
        return int((await self._ask("HEAD", self._name(url))).headers["content-length"])

    async def in_use(self, url: str) -> bool:
        """Return False: nobody can."""
        return False

    async def remove(self, url: str) -> None:
        """Delete the object and its segments, or those of an upload that died."""
        await self._remove(self._name(url))

    async def _remove(self, image_id: str) -> None:
        found = await self._ask("HEAD", image_id, expect=(200, 404))
        if found.status == 200:
            static = found.headers.get("x-static-large-object", "").lower() == "true"
            query = {"multipart-manifest": "delete"} if static else {}
            await self._ask("DELETE", image_id, query=query, expect=(200, 204, 404))
        await self._remove_segments(image_id)

    async def _remove_segments(self, image_id: str) -> None:
        """Delete the segments that no manifest names: of an upload that ended early."""
        query = {"prefix": f"{image_id}-", "format": "json", "limit": str(PAGE)}
        listed = await self._ask("GET", "", query=query, expect=(200, 204, 404))
        found = msgspec.json.decode(listed.body) if listed.status == 200 else []
        for one in found:
            await self._ask("DELETE", one["name"], expect=(204, 404))

    async def _clear(self, image_id: str) -> None:
        try:
            await self._remove(image_id)
        except (NotFound, TooLarge, Unavailable):
            """What is left is known as garbage, and is tried again."""

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()
        await asyncio.gather(*(client.close() for client in self._clients.values()))

    def _name(self, url: str) -> str:
        if not self.owns(url):
            raise BadRequest("Invalid location of an object.", field="url")
        return url.removeprefix(self.url(""))

    async def _ask(self, method: str, name: str, **more: Any) -> Answer:
        """Send a request about an object, or the container; `more`: query, body, length, expect.

        Raises: NotFound, TooLarge, Unavailable.
        """
        expect = more.pop("expect", (200, 204))
        length = more.pop("length", 0)
        if method == "PUT":
            more["headers"] = {"content-length": str(length)}
        answer = await (await self._open(method, name, **more)).whole()
        if answer.status not in expect:
            raise _fault(answer)
        return answer

    async def _open(self, method: str, name: str, **more: Any) -> Reply:
        """Return the answer to a request; a token that is refused is renewed once."""
        opened = await self._session.opened()
        reply = await self._send(opened, method, name, **more)
        if reply.status != 401:
            return reply
        await reply.whole()
        self._session.refused(opened)
        return await self._send(await self._session.opened(), method, name, **more)

    async def _send(self, opened: Opened, method: str, name: str, **more: Any) -> Reply:
        root = urlsplit(opened.url)
        base = f"{root.scheme}://{root.netloc}"
        if base not in self._clients:
            config = self._config
            self._clients[base] = Client(base, config.timeout_s, config.swift_store_cacert)
        path = f"{root.path}/{quote(self._container)}" + (f"/{quote(name)}" if name else "")
        headers = {"x-auth-token": opened.token, **more.get("headers", {})}
        body: Body | None = more.get("body")
        sent = body() if body else None
        return await self._clients[base].open(method, path, headers, more.get("query"), sent)


def _fault(answer: Answer) -> NotFound | TooLarge | Unavailable:
    return fault_of(answer, "The object store failed.")

"""Image data as images of a Ceph pool, with a protected snapshot that nova and cinder clone.

Other processes speak to Ceph (rbd_worker.py says why), so what takes long is done by pieces.
Source: glance_store's rbd driver (names of the snapshot and of the location's parts).
"""

import asyncio
import json
import queue
import subprocess
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from aerostat.kit.errors import BadRequest, Conflict, NotFound, TooLarge, Unavailable, Unsupported
from aerostat.kit.log import Logger
from aerostat.services.glance.config import RbdStore
from aerostat.services.glance.drivers import rbd_worker

READ_BYTES = 1 << 20
"""What each of many readers holds."""

WRITE_BYTES = 1 << 23
WORKERS = 4
"""Processes that speak to Ceph, at the most."""

TRIES = 4
PYTHON = "/usr/bin/python3"
"""Debian's; Ceph's libraries are on no index."""

log = Logger("glance.rbd")


class RbdDriver:
    """`rbd://<fsid>/<pool>/<image id>/snap`.

    Raises: Unavailable (Ceph is out of reach), Unsupported (its libraries are not installed).
    """

    kind = "rbd"
    writable = True
    local = False

    def __init__(self, config: RbdStore) -> None:
        self._config = config
        self._pool = ThreadPoolExecutor(WORKERS, "rbd")
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._fsid = self._ask("fsid", [], b"").decode()

    @property
    def properties(self) -> dict[str, Any]:
        """What operators are told of the store."""
        return {
            "chunk_size": self._config.rbd_store_chunk_size << 20,
            "pool": self._config.rbd_store_pool,
            "thin_provisioning": True,
            "fsid": self._fsid,
        }

    def url(self, image_id: str) -> str:
        """Return where the data of an image goes."""
        pool = quote(self._config.rbd_store_pool, safe="")
        return f"rbd://{self._fsid}/{pool}/{image_id}/{rbd_worker.SNAPSHOT}"

    def owns(self, url: str) -> bool:
        """Tell whether `url` is an image of the pool."""
        try:
            return url == self.url(_name(url))
        except BadRequest:
            return False

    async def add(self, image_id: str, source: Path) -> None:
        """Write the image, and take its snapshot last. Raises: TooLarge, Unavailable."""
        try:
            await self._call("create", image_id, source.stat().st_size)
            await self._write(image_id, source)
            await self._call("finish", image_id)
        except BaseException:
            with suppress(Unavailable, Conflict):
                await asyncio.shield(self._call("remove", image_id))
            raise

    async def _write(self, name: str, source: Path) -> None:
        at = 0
        with source.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, WRITE_BYTES):
                if piece.count(0) != len(piece):  # What was never written is zeros too.
                    await self._call("write", name, at, data=piece)
                at += len(piece)

    async def read(self, url: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Return `length` bytes from `start`. Raises: NotFound, Unavailable."""
        name = _name(url)
        await self._call("size", name)
        return self._read(name, start, length)

    async def _read(self, name: str, start: int, length: int) -> AsyncIterator[bytes]:
        end = start + length
        while start < end:
            piece = await self._call("read", name, start, min(READ_BYTES, end - start))
            if not piece:
                raise Unavailable("Image data is cut off.")
            start += len(piece)
            yield piece

    async def size(self, url: str) -> int:
        """Return the bytes of the image. Raises: NotFound, Unavailable."""
        return int(await self._call("size", _name(url)))

    async def remove(self, url: str) -> None:
        """Remove the image. Raises: Conflict (clones need it), Unavailable."""
        await self._call("remove", _name(url))

    async def in_use(self, url: str) -> bool:
        """Tell whether there are clones of the image. Raises: Unavailable."""
        try:
            return bool(await self._call("clones", _name(url)))
        except NotFound:
            return False

    async def close(self) -> None:
        """Let go of Ceph."""
        await asyncio.to_thread(self._pool.shutdown)
        while not self._idle.empty():
            await asyncio.to_thread(self._idle.get_nowait().end)

    async def _call(self, operation: str, *arguments: str | int, data: bytes = b"") -> bytes:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._ask, operation, arguments, data)

    def _ask(self, operation: str, arguments: object, data: bytes) -> bytes:
        """Have it done, by another process if one ends over it."""
        for _ in range(TRIES):
            try:
                worker = self._idle.get_nowait()
            except queue.Empty:
                worker = _Worker(self._config)
            try:
                became, said = worker.ask(operation, arguments, data)
            except (OSError, EOFError):
                log.warning("rbd.worker_died", operation=operation, code=worker.end())
                continue
            if became in (rbd_worker.FAILED, rbd_worker.MISSING):
                worker.end()  # The next one connects anew.
            else:
                self._idle.put(worker)
            return _judged(became, said)
        raise Unavailable("The Ceph store failed.", detail="librbd ends every process")


class _Worker:
    def __init__(self, config: RbdStore) -> None:
        settings = msgspec.json.encode(config).decode()
        self._process = subprocess.Popen(
            [PYTHON, "-I", rbd_worker.__file__, settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, operation: str, arguments: object, data: bytes) -> tuple[str, bytes]:
        """Return what became of an operation. Raises: OSError, EOFError (the process ended)."""
        sink, source = self._process.stdin, self._process.stdout
        assert sink is not None and source is not None
        sink.write(json.dumps([operation, arguments, len(data)]).encode() + b"\n" + data)
        sink.flush()
        line = source.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        became, length = json.loads(line)
        said = source.read(length)
        if len(said) < length:
            raise EOFError
        return became, said

    def end(self) -> int:
        """End the process, whatever it is about; return its exit code."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(OSError):
                stream.close()
        return self._process.wait()


def _judged(became: str, said: bytes) -> bytes:
    """Return what was said. Raises: what it means that it could not be done."""
    if became == rbd_worker.ABSENT:
        raise NotFound("Image data is not there.")
    if became == rbd_worker.BUSY:
        raise Conflict("The image is in use in its store.")
    if became == rbd_worker.FULL:
        raise TooLarge("There is not enough room on the image store.")
    if became == rbd_worker.MISSING:
        raise Unsupported(
            "The rbd store needs Ceph's libraries: apt-get install python3-rados python3-rbd"
        )
    if became == rbd_worker.FAILED:
        raise Unavailable("The Ceph store failed.", detail=said.decode())
    return said


def _name(url: str) -> str:
    parts = url.removeprefix("rbd://").split("/")
    if not url.startswith("rbd://") or len(parts) != 4:
        raise BadRequest("Invalid location of an RBD image.", field="url")
    return unquote(parts[2])

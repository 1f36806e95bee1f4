"""Image data as images of a Ceph pool, with a protected snapshot that nova and cinder clone.

Source: glance_store's rbd driver (names of the snapshot and of the location's parts).
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote

import rados
import rbd

from aerostat.kit.errors import BadRequest, Conflict, NotFound, TooLarge, Unavailable
from aerostat.services.glance.config import RbdStore

T = TypeVar("T")
PIECE_BYTES = 1 << 20
SNAPSHOT = "snap"
THREADS = 8

_OPENING = threading.Lock()
"""Held while an image is opened or closed: librbd 16.2 ends the process if two threads do."""


@contextmanager
def _image(ioctx: Any, name: str, **how: Any) -> Iterator[Any]:
    with _OPENING:
        opened = rbd.Image(ioctx, name, **how)
    try:
        yield opened
    finally:
        with _OPENING:
            opened.close()


class RbdDriver:
    """`rbd://<fsid>/<pool>/<image id>/snap`."""

    kind = "rbd"
    writable = True
    local = False

    def __init__(self, config: RbdStore) -> None:
        self._config = config
        self._pool = ThreadPoolExecutor(THREADS, "rbd")
        self._cluster = rados.Rados(
            conffile=config.rbd_store_ceph_conf, rados_id=config.rbd_store_user
        )
        try:
            self._cluster.connect(timeout=config.rados_connect_timeout)
            self._fsid = str(self._cluster.get_fsid())
        except rados.Error as why:
            raise Unavailable("Ceph is out of reach.", detail=repr(why)) from why

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
        return f"rbd://{self._fsid}/{pool}/{image_id}/{SNAPSHOT}"

    def owns(self, url: str) -> bool:
        """Tell whether `url` is an image of the pool."""
        try:
            return url == self.url(_name(url))
        except BadRequest:
            return False

    async def add(self, image_id: str, source: Path) -> None:
        """Write the image, and take its snapshot last. Raises: TooLarge, Unavailable."""
        await self._in_thread(self._remove, image_id)
        try:
            await self._in_thread(self._add, image_id, source)
        except BaseException:
            with suppress(Unavailable, Conflict):
                await asyncio.shield(self._in_thread(self._remove, image_id))
            raise

    def _add(self, ioctx: Any, name: str, source: Path) -> None:
        order = (self._config.rbd_store_chunk_size << 20).bit_length() - 1
        rbd.RBD().create(ioctx, name, source.stat().st_size, order, old_format=False)
        with _image(ioctx, name) as image, source.open("rb") as file:
            at = 0
            while piece := file.read(PIECE_BYTES):
                if piece.count(0) != len(piece):  # What was never written is zeros too.
                    image.write(piece, at)
                at += len(piece)
            image.flush()
            image.create_snap(SNAPSHOT)
            image.protect_snap(SNAPSHOT)

    async def read(self, url: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Return `length` bytes from `start`. Raises: NotFound, Unavailable."""
        name = _name(url)
        await self._in_thread(_size, name)
        return self._read(name, start, length)

    async def _read(self, name: str, start: int, length: int) -> AsyncIterator[bytes]:
        end, opened = start + length, await self._run(self._open, name)
        try:
            while start < end:
                piece = await self._run(opened.image.read, start, min(PIECE_BYTES, end - start))
                if not piece:
                    raise Unavailable("Image data is cut off.")
                start += len(piece)
                yield piece
        finally:
            await asyncio.shield(self._run(opened.close))

    def _open(self, name: str) -> "_Opened":
        return _Opened(self._cluster.open_ioctx(self._config.rbd_store_pool), name)

    async def size(self, url: str) -> int:
        """Return the bytes of the image. Raises: NotFound, Unavailable."""
        return await self._in_thread(_size, _name(url))

    async def remove(self, url: str) -> None:
        """Remove the image. Raises: Conflict (clones need it), Unavailable."""
        await self._in_thread(self._remove, _name(url))

    async def in_use(self, url: str) -> bool:
        """Tell whether there are clones of the image. Raises: Unavailable."""
        try:
            return await self._in_thread(_has_clones, _name(url))
        except NotFound:
            return False

    def _remove(self, ioctx: Any, name: str) -> None:
        try:
            with _image(ioctx, name) as image:
                for snapshot in image.list_snaps():
                    if image.is_protected_snap(snapshot["name"]):
                        image.unprotect_snap(snapshot["name"])
                    image.remove_snap(snapshot["name"])
            rbd.RBD().remove(ioctx, name)
        except rbd.ImageNotFound:
            return
        except rbd.ImageBusy as why:
            raise Conflict("The image is in use in its store.") from why

    async def close(self) -> None:
        """Let go of the cluster."""
        await asyncio.to_thread(self._pool.shutdown)
        self._cluster.shutdown()

    async def _in_thread(self, fn: Callable[..., T], *args: Any) -> T:
        def run() -> T:
            with self._cluster.open_ioctx(self._config.rbd_store_pool) as ioctx:
                return fn(ioctx, *args)

        return await self._run(run)

    async def _run(self, fn: Callable[..., T], *args: Any) -> T:
        def run() -> T:
            try:
                return fn(*args)
            except rbd.ImageNotFound as why:
                raise NotFound("Image data is not there.") from why
            except (rbd.DiskQuotaExceeded, rados.NoSpace) as why:
                raise TooLarge("There is not enough room on the image store.") from why
            except (rbd.Error, rados.Error) as why:
                raise Unavailable("The Ceph store failed.", detail=repr(why)) from why

        return await asyncio.get_running_loop().run_in_executor(self._pool, run)


class _Opened:
    """The snapshot of an image, open to be read."""

    def __init__(self, ioctx: Any, name: str) -> None:
        with ExitStack() as opening:
            opening.enter_context(ioctx)
            how = {"snapshot": SNAPSHOT, "read_only": True}
            self.image = opening.enter_context(_image(ioctx, name, **how))
            self._open = opening.pop_all()

    def close(self) -> None:
        self._open.close()


def _has_clones(ioctx: Any, name: str) -> bool:
    with _image(ioctx, name, snapshot=SNAPSHOT, read_only=True) as image:
        return any(True for _ in image.list_children())


def _size(ioctx: Any, name: str) -> int:
    with _image(ioctx, name, snapshot=SNAPSHOT, read_only=True) as image:
        return int(image.size())


def _name(url: str) -> str:
    parts = url.removeprefix("rbd://").split("/")
    if not url.startswith("rbd://") or len(parts) != 4:
        raise BadRequest("Invalid location of an RBD image.", field="url")
    return unquote(parts[2])

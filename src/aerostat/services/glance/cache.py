"""Copies of images that lie far away, in files of this host.

Only whole copies whose digest was checked have their name; what arrives has `.part` behind it.
Hits and times are in memory and in `index.json`, written now and then: losing them loses nothing.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import msgspec
from msgspec import Struct

from aerostat.kit.errors import Fault, NotFound
from aerostat.kit.log import Logger
from aerostat.services.glance.filestore import PART, FileStore

log = Logger("glance.cache")
INDEX = "index.json"
QUEUE_MAX = 10_000


class Entry(Struct):
    """A cached image. Times are seconds since the epoch, `size` is bytes."""

    image_id: str
    size: int
    checksum: str
    last_modified: float
    last_accessed: float
    hits: int = 0


class _Index(Struct):
    entries: list[Entry] = []
    queue: list[str] = []
    hits: int = 0
    misses: int = 0


class ImageCache:
    """The files of one folder, which belongs to this process alone."""

    def __init__(self, files: FileStore) -> None:
        self._files = files
        self.entries: dict[str, Entry] = {}
        self.queue: list[str] = []
        self.arriving: set[str] = set()
        self.told: list[str] | None = None
        """The images that the other copies of glance-api were told of; None: nothing yet."""
        self.telling = asyncio.Lock()
        self.hits = self.misses = 0

    def load(self) -> None:
        """Know what is in the folder; forget what is not whole."""
        self._files.prepare("image_cache_dir")
        folder = self._files.folder
        try:
            index = msgspec.json.decode((folder / INDEX).read_bytes(), type=_Index)
        except (FileNotFoundError, msgspec.MsgspecError):
            index = _Index()
        self.queue, self.hits, self.misses = index.queue, index.hits, index.misses
        known = {entry.image_id: entry for entry in index.entries}
        for path in folder.iterdir():
            entry = known.get(path.name)
            if entry is not None and path.stat().st_size == entry.size:
                self.entries[path.name] = entry
            elif path.name != INDEX:
                path.unlink(missing_ok=True)

    async def save(self) -> None:
        """Write down hits, times and the queue."""
        index = _Index(list(self.entries.values()), self.queue, self.hits, self.misses)
        await self._files.put(INDEX, msgspec.json.encode(index))

    def find(self, image_id: str, checksum: str | None) -> Entry | None:
        """Return the copy of an image if its data is still the same."""
        entry = self.entries.get(image_id)
        return entry if entry is not None and entry.checksum == checksum else None

    async def read(
        self, entry: Entry, start: int, length: int, now: float
    ) -> AsyncIterator[bytes] | None:
        """Return data of a copy, and count the hit; None if it is not there any more."""
        try:
            data = await self._files.read(entry.image_id, start, length)
        except NotFound:
            self.entries.pop(entry.image_id, None)
            return None
        entry.hits, entry.last_accessed = entry.hits + 1, now
        self.hits += 1
        return data

    async def keep(
        self, image_id: str, checksum: str, chunks: AsyncIterator[bytes], now: float
    ) -> AsyncGenerator[bytes, None]:
        """Pass `chunks` on, and have a copy of them once they were all there and right.

        A reader who leaves early, or a folder that is full, costs the copy and nothing else.
        """
        self.arriving.add(image_id)
        taker = await self._files.taker(image_id)
        try:
            async for chunk in chunks:
                await taker.take(chunk)
                yield chunk
            written = await taker.finish()
            if written is not None and written.checksum == checksum:
                await self._files.rename(image_id, image_id)
                entry = Entry(image_id, written.size, checksum, now, now)
                self.entries[image_id] = entry
        except Fault as why:
            log.warning("cache.not_kept", image_id=image_id, reason=why.message)
            raise
        finally:
            self.arriving.discard(image_id)
            await taker.close()
            await self._files.discard(image_id)

    async def remove(self, image_id: str) -> bool:
        """Forget a copy; tell whether there was one."""
        there = self.entries.pop(image_id, None) is not None
        await self._files.remove(image_id)
        return there

    def enqueue(self, image_id: str) -> None:
        """Have an image fetched in a while, unless there is a copy."""
        if image_id not in self.queue and image_id not in self.entries:
            self.queue = [*self.queue[-QUEUE_MAX:], image_id]

    def unqueue(self, image_id: str) -> bool:
        """Do not fetch an image; tell whether it was waiting."""
        there = image_id in self.queue
        self.queue = [one for one in self.queue if one != image_id]
        return there

    async def prune(self, max_bytes: int) -> list[Entry]:
        """Forget the copies that were not read for longest until the rest fits; return them."""
        size, gone = sum(entry.size for entry in self.entries.values()), list[Entry]()
        for entry in sorted(self.entries.values(), key=lambda one: one.last_accessed):
            if size <= max_bytes:
                break
            size -= entry.size
            await self.remove(entry.image_id)
            gone.append(entry)
        return gone

    async def clean(self, stall_s: float) -> None:
        """Remove what began to arrive more than `stall_s` ago and is not here."""
        for path in list(self._files.folder.glob(f"*{PART}")):
            name = path.name.removesuffix(PART)
            if name not in self.arriving and _age_s(path) > stall_s:
                await self._files.discard(name)

    async def close(self) -> None:
        """Write everything down."""
        await self.save()
        await self._files.close()


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0

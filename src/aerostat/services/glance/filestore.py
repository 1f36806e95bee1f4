"""Image data in files: written under another name, hashed on the way, renamed when whole."""

import asyncio
import errno
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from aerostat.kit.errors import NotFound, TooLarge, Unavailable
from aerostat.kit.files import FileSpan
from aerostat.kit.places import usable_folder

T = TypeVar("T")

PIECE_BYTES = 1 << 18
"""Data is written and hashed in pieces of about this size."""

READ_BYTES = 1 << 17
"""A reader who cannot be served by sendfile has up to four pieces of this size in memory."""

PART = ".part"


class Written(Struct, frozen=True):
    """What a finished transfer came to."""

    size: int
    checksum: str
    hash_value: str


class FileStore:
    """The files `<folder>/<image id>`; `<image id>.part` while they arrive."""

    def __init__(self, folder: Path, threads: int, hash_algo: str) -> None:
        self.folder, self._hash_algo = folder, hash_algo
        self._pool = ThreadPoolExecutor(threads, "image-data")

    def prepare(self, setting: str) -> None:
        """Have the folder, which a setting names. Raises: BadRequest (it cannot be used)."""
        usable_folder(self.folder, setting, 0o700)

    def path(self, name: str) -> Path:
        """Return where the data of `name` is."""
        return self.folder / name

    def part(self, name: str) -> Path:
        """Return where the data of `name` arrives."""
        return self.folder / (name + PART)

    async def write(self, name: str, chunks: AsyncIterator[bytes], cap: int) -> Written:
        """Write `chunks` to the part file, `cap` bytes at most; on disk when it returns.

        Raises: TooLarge (also: no room), Unavailable. The part file is left to the caller.
        """
        writer = await self._in_thread(_Writer, self.part(name), self._hash_algo)
        try:
            async for piece in _pieces(chunks):
                if writer.size + len(piece) > cap:
                    raise TooLarge("Image exceeds the maximum size allowed.")
                await self._feed(writer, piece)
            with _disk():
                await writer.settle()
                return await self._in_thread(writer.finish)
        finally:
            await writer.close()

    async def _feed(self, writer: "_Writer", piece: bytes) -> None:
        """Hand a piece to the three who need it, once they are done with the one before."""
        with _disk():
            await writer.settle()
        loop = asyncio.get_running_loop()
        writer.take(piece, lambda fn: loop.run_in_executor(self._pool, fn, piece))

    async def adopt(self, name: str, source: Path) -> None:
        """Have the data of the file `source` too: by a link, or a copy if it must be.

        Raises: TooLarge (no room), Unavailable.
        """
        with _disk():
            await self._in_thread(self._adopt, name, source)

    def _adopt(self, name: str, source: Path) -> None:
        part = self.part(name)
        part.unlink(missing_ok=True)
        try:
            os.link(source, part)
        except OSError as why:
            if why.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                raise
            try:
                _copy(source, part)
            except OSError:
                part.unlink(missing_ok=True)
                raise
        self._rename(name, name)

    async def put(self, name: str, data: bytes) -> None:
        """Have a small file `name` with `data`, durably."""
        await self._in_thread(self.part(name).write_bytes, data)
        await self.rename(name, name)

    async def taker(self, name: str) -> "Taker":
        """Return what takes data for the part file of `name`, piece by piece."""
        return Taker(await self._in_thread(_Writer, self.part(name), self._hash_algo), self._pool)

    async def move(self, part: str, to: str) -> None:
        """Have the part file of `part` as the one of `to`."""
        await self._in_thread(self.part(part).replace, self.part(to))

    async def rename(self, part: str, name: str) -> None:
        """Give the part file of `part` the name `name`, durably."""
        await self._in_thread(self._rename, part, name)

    def _rename(self, part: str, name: str) -> None:
        self.part(part).replace(self.path(name))
        _sync_folder(self.folder)

    async def discard(self, name: str) -> None:
        """Remove the part file if there is one."""
        await self._in_thread(self._unlink, self.part(name))

    async def remove(self, name: str) -> None:
        """Remove the data if there is any."""
        await self._in_thread(self._unlink, self.path(name))

    def _unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    async def read(self, name: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Return the data from `start`, `length` bytes. Raises: NotFound (no file)."""
        path = self.path(name)
        if not path.exists():
            raise NotFound("Image data is not there.")
        return FileSpan(path, start, length, self._read(path, start, length))

    async def _read(self, path: Path, start: int, length: int) -> AsyncIterator[bytes]:
        end, loop = start + length, asyncio.get_running_loop()
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

        def ask(at: int) -> "asyncio.Future[bytes]":
            return loop.run_in_executor(self._pool, os.pread, fd, min(READ_BYTES, end - at), at)

        try:
            os.posix_fadvise(fd, start, length, os.POSIX_FADV_SEQUENTIAL)
            coming = ask(start)
            while start < end:
                piece = await coming
                if not piece:
                    raise Unavailable("Image data is cut off.")
                start += len(piece)
                coming = ask(start)
                yield piece
            await coming
        finally:
            os.close(fd)

    async def digest(self, chunks: AsyncIterator[bytes], algo: str) -> Written:
        """Return what `chunks` come to, without keeping them."""
        digests = _Digests(algo)
        async for piece in _pieces(chunks):
            await self._in_thread(digests.take, piece)
        return digests.written()

    async def measure(self, path: Path) -> Written:
        """Return what the data of a file that is there comes to. Raises: NotFound."""
        return await self._in_thread(self._measure, path)

    def _measure(self, path: Path) -> Written:
        digests = _Digests(self._hash_algo)
        try:
            with path.open("rb") as file:
                while piece := file.read(PIECE_BYTES):
                    digests.take(piece)
        except FileNotFoundError as why:
            raise NotFound("No data has been staged.") from why
        return digests.written()

    async def hashed(self, path: Path, algo: str) -> bytes:
        """Return the digest of a file by an algorithm that hashlib knows."""

        def run() -> bytes:
            with path.open("rb") as file:
                return hashlib.file_digest(file, algo).digest()

        return await self._in_thread(run)

    async def sweep(self, keep: set[str]) -> list[str]:
        """Remove every file but those of `keep`; return what was removed."""
        return await self._in_thread(self._sweep, keep)

    def _sweep(self, keep: set[str]) -> list[str]:
        gone = [path for path in self.folder.iterdir() if path.name not in keep]
        for path in gone:
            path.unlink(missing_ok=True)
        return [path.name for path in gone]

    async def close(self) -> None:
        """Finish what is under way."""
        await asyncio.to_thread(self._pool.shutdown)

    async def _in_thread(self, fn: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, fn, *args)


@contextmanager
def _disk() -> Iterator[None]:
    """Turn what the disk says into faults."""
    try:
        yield
    except OSError as why:
        if why.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TooLarge("There is not enough room on the image store.") from why
        raise Unavailable("The image store failed.", detail=repr(why)) from why


class _Digests:
    """The digests of data that comes piece by piece."""

    def __init__(self, hash_algo: str) -> None:
        self._md5, self._hash = hashlib.md5(usedforsecurity=False), hashlib.new(hash_algo)
        self._size = 0

    def take(self, piece: bytes) -> None:
        """Add a piece."""
        self._size += len(piece)
        self._md5.update(piece)
        self._hash.update(piece)

    def written(self) -> Written:
        """Return what it came to."""
        return Written(self._size, self._md5.hexdigest(), self._hash.hexdigest())


class _Writer:
    """One file that arrives, with its two digests; each is worked on by one thread at a time."""

    def __init__(self, path: Path, hash_algo: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._hash = hashlib.new(hash_algo)
        self.size = 0
        self._busy: list[asyncio.Future[Any]] = []

    def take(self, piece: bytes, run: Callable[[Any], "asyncio.Future[Any]"]) -> None:
        """Set the three to work on `piece`."""
        self.size += len(piece)
        self._busy = [run(self._md5.update), run(self._hash.update), run(self._write)]

    async def settle(self) -> None:
        """Wait for the work under way. Raises: OSError."""
        for one in self._busy:
            await one
        self._busy = []

    def _write(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            view = view[os.write(self._fd, view) :]

    def finish(self) -> Written:
        """Return the digests once all is on disk."""
        os.fsync(self._fd)
        return Written(self.size, self._md5.hexdigest(), self._hash.hexdigest())

    async def close(self) -> None:
        """Let go of the file once nobody works on it."""
        await asyncio.gather(*self._busy, return_exceptions=True)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Taker:
    """Takes what somebody else reads; a disk that fails ends it silently, for it is a copy."""

    def __init__(self, writer: _Writer, pool: ThreadPoolExecutor) -> None:
        self._writer, self._pool = writer, pool
        self._failed = False

    async def take(self, piece: bytes) -> None:
        """Write a piece while the next one comes."""
        try:
            await self._writer.settle()
        except OSError:
            self._failed = True
        if not self._failed:
            loop = asyncio.get_running_loop()
            self._writer.take(piece, lambda fn: loop.run_in_executor(self._pool, fn, piece))

    async def finish(self) -> Written | None:
        """Return what it came to, None if it failed."""
        try:
            await self._writer.settle()
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._writer.finish)
        except OSError:
            return None

    async def close(self) -> None:
        """Let go of the file."""
        await self._writer.close()


async def _pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    gathered: list[bytes] = []
    size = 0
    async for chunk in chunks:
        gathered.append(chunk)
        size += len(chunk)
        if size >= PIECE_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    if size:
        yield b"".join(gathered)


def _copy(source: Path, to: Path) -> None:
    with source.open("rb") as old, to.open("wb") as new:
        os.fchmod(new.fileno(), 0o600)
        shutil.copyfileobj(old, new, PIECE_BYTES)
        new.flush()
        os.fsync(new.fileno())


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

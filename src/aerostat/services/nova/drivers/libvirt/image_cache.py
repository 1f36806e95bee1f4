"""The image cache: each image is downloaded once per host, checked, and shared by its guests."""

import asyncio
import errno
import hashlib
import os
from concurrent.futures import Executor
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from aerostat.kit.errors import BadRequest, NoValidHost, Unavailable
from aerostat.kit.log import Logger
from aerostat.services.nova.drivers.image_source import ImageSource
from aerostat.services.nova.drivers.libvirt.inspection import (
    HEAD_BYTES,
    RAW_NAMES,
    check,
    qcow2_size,
)
from aerostat.services.nova.drivers.libvirt.paths import StatePaths
from aerostat.services.nova.drivers.process import CommandFailed, Limits, run
from aerostat.services.nova.model.guest import GuestImage

log = Logger("nova.images")
QEMU_NAMES = {"vhd": "vpc"}
CONVERT_LIMITS = Limits(cpu_s=1800, address_space_bytes=4 << 30)


class CachedImage(Struct, frozen=True):
    """A file that guests may use as a backing file: its format is known, never guessed."""

    path: Path
    disk_format: str
    virtual_size_bytes: int


class ImageCache:
    """Files `_base/<sha1 of the image id>`, made under another name and renamed when whole.

    Hosts that share their storage share the cache: `host` is in the other name.
    """

    def __init__(
        self, paths: StatePaths, source: ImageSource, pool: Executor, host: str = "host"
    ) -> None:
        self._paths, self._source, self._pool = paths, source, pool
        self._half = f".{host}.part"
        self._locks: dict[str, asyncio.Lock] = {}

    async def ensure(self, image: GuestImage) -> CachedImage:
        """Return the image from the cache; concurrent callers share one download.

        Raises: BadRequest (unacceptable data), NotFound, NoValidHost (no room), Unavailable.
        """
        path = self._paths.image(image.id)
        async with self._locks.setdefault(image.id, asyncio.Lock()):
            if not path.exists():
                await self._download(image, path)
        return describe(path, image.disk_format)

    def clean(self) -> None:
        """Remove what a killed process of this host left half done."""
        for part in self._paths.base.iterdir():
            if self._half in part.name:
                part.unlink(missing_ok=True)

    def half_of(self, path: Path) -> Path:
        """Return the name that this host gives an entry until it is whole."""
        return path.with_name(path.name + self._half)

    async def _download(self, image: GuestImage, path: Path) -> None:
        part = self.half_of(path)
        if _room_bytes(path.parent) < image.size_bytes:
            raise NoValidHost("No room for the image on the host.", code="no_room")
        try:
            await self._fill(image, part)
            await _inspect(part, image.disk_format)
            if cached_format(image.disk_format) != image.disk_format and not _is_raw(image):
                await _convert(part, image.disk_format)
            part.chmod(0o644)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        log.info("image.cached", image_id=image.id, size_bytes=image.size_bytes)

    async def _fill(self, image: GuestImage, part: Path) -> None:
        loop = asyncio.get_running_loop()
        digest = hashlib.new(image.hash_algo) if image.hash_algo and image.hash_value else None
        size = 0
        with part.open("wb") as file:
            async for chunk in self._source.stream(image.path):
                size += len(chunk)
                if size > image.size_bytes > 0:
                    break
                await loop.run_in_executor(self._pool, _take, file, digest, chunk)
            await loop.run_in_executor(self._pool, _settle, file)
        if image.size_bytes and size != image.size_bytes:
            raise Unavailable("The image data has not the right size.", detail=f"{size} bytes")
        if digest is not None and digest.hexdigest() != image.hash_value:
            raise Unavailable("The image data has not the right hash.", code="image_hash")


def describe(path: Path, disk_format: str) -> CachedImage:
    """Return what is known of a cached image."""
    kind = cached_format(disk_format)
    if kind == "qcow2":
        with path.open("rb") as file:
            return CachedImage(path, kind, qcow2_size(file.read(HEAD_BYTES)))
    return CachedImage(path, kind, path.stat().st_size)


def cached_format(disk_format: str) -> str:
    """Return the format that an image has in the cache: qcow2 stays, all else is raw."""
    return "qcow2" if disk_format == "qcow2" else "raw"


def _is_raw(image: GuestImage) -> bool:
    return image.disk_format in RAW_NAMES


async def _inspect(part: Path, disk_format: str) -> None:
    """Let our own reading judge the header first, then QEMU's in a limited child process."""
    with part.open("rb") as file:
        check(file.read(HEAD_BYTES), disk_format)
    if disk_format in RAW_NAMES:
        return
    kind = QEMU_NAMES.get(disk_format, disk_format)
    try:
        out = await run("qemu-img", "info", "-f", kind, "--output=json", str(part), limits=Limits())
    except CommandFailed as why:
        raise BadRequest("Image is unacceptable: it cannot be read.", detail=why.detail) from why
    facts = msgspec.json.decode(out)
    data_file = facts.get("format-specific", {}).get("data", {}).get("data-file")
    if facts.get("backing-filename") or data_file:
        raise BadRequest("Image is unacceptable: it refers to another file.")


async def _convert(part: Path, disk_format: str) -> None:
    raw = part.with_name(part.name + ".raw.part")
    kind = QEMU_NAMES.get(disk_format, disk_format)
    argv = ("qemu-img", "convert", "-f", kind, "-O", "raw", str(part), str(raw))
    try:
        await run(*argv, timeout_s=3600, limits=CONVERT_LIMITS)
        raw.replace(part)
    finally:
        raw.unlink(missing_ok=True)


def _take(file: BinaryIO, digest: "hashlib._Hash | None", chunk: bytes) -> None:
    if digest is not None:
        digest.update(chunk)
    try:
        file.write(chunk)
    except OSError as why:
        if why.errno == errno.ENOSPC:
            raise NoValidHost("No room for the image on the host.", code="no_room") from why
        raise


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _room_bytes(directory: Path) -> int:
    stat = os.statvfs(directory)
    return stat.f_bavail * stat.f_frsize

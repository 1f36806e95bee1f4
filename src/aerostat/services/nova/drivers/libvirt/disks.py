"""The disks of a guest: overlay, ephemeral, swap and config drive, each whole or not there."""

import shutil
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct

from aerostat.kit.errors import BadRequest, NoValidHost
from aerostat.services.nova.drivers.libvirt.image_cache import CachedImage, ImageCache
from aerostat.services.nova.drivers.libvirt.paths import InstancePaths, partial, write_whole
from aerostat.services.nova.drivers.process import CommandFailed, run
from aerostat.services.nova.model.guest import GuestSpec

GIB = 1 << 30
MIB = 1 << 20


class Disk(Struct, frozen=True):
    """A disk as the domain sees it: `device` is disk or cdrom."""

    path: Path
    disk_format: str
    target: str
    device: str = "disk"


class GuestDisks(Struct, frozen=True):
    """Everything a guest boots from."""

    disks: list[Disk]
    kernel: Path | None = None
    ramdisk: Path | None = None


async def prepare(spec: GuestSpec, paths: InstancePaths, cache: ImageCache) -> GuestDisks:
    """Make the disks that are not there yet, write disk.info, and return them all.

    Raises: BadRequest (the image is larger than the flavor's disk), NoValidHost (no room).
    """
    if spec.image is None:
        raise BadRequest("The server has neither an image nor a volume to boot from.")
    is_iso = spec.image.disk_format == "iso"
    disks = [Disk(paths.disk, "qcow2", "vda")]
    if is_iso or not paths.disk.exists():
        base = await cache.ensure(spec.image)
        await _root(spec, base, paths)
    if is_iso:
        disks.append(Disk(base.path, "raw", "sda", device="cdrom"))
    if spec.ephemeral_gb:
        await _formatted(paths.ephemeral, spec.ephemeral_gb * GIB, _EXT4)
        disks.append(Disk(paths.ephemeral, "raw", "vdb"))
    if spec.swap_mib:
        await _formatted(paths.swap, spec.swap_mib * MIB, _SWAP)
        disks.append(Disk(paths.swap, "raw", "vdc" if spec.ephemeral_gb else "vdb"))
    if spec.config_drive is not None:
        await _config_drive(spec.config_drive, paths.config_drive)
        disks.append(Disk(paths.config_drive, "raw", "sdb", device="cdrom"))
    info = {str(disk.path): disk.disk_format for disk in disks if disk.path.parent == paths.root}
    write_whole(paths.disk_info, msgspec.json.encode(info))
    kernel = await cache.ensure(spec.image.kernel) if spec.image.kernel else None
    ramdisk = await cache.ensure(spec.image.ramdisk) if spec.image.ramdisk else None
    return GuestDisks(disks, kernel.path if kernel else None, ramdisk.path if ramdisk else None)


async def _root(spec: GuestSpec, base: CachedImage, paths: InstancePaths) -> None:
    size = spec.root_gb * GIB or base.virtual_size_bytes
    is_iso = spec.image is not None and spec.image.disk_format == "iso"
    if base.virtual_size_bytes > size and not is_iso:
        raise BadRequest(
            "Flavor's disk is too small for requested image. Flavor disk is "
            f"{size} bytes, image is {base.virtual_size_bytes} bytes.",
            code="flavor_disk_too_small",
        )
    if not paths.disk.exists():
        backing = None if is_iso else (base.path, base.disk_format)
        await create_overlay(paths.disk, backing, size)


async def create_overlay(path: Path, backing: tuple[Path, str] | None, size_bytes: int) -> None:
    """Make an empty qcow2 file over a base (path, format), or over nothing. Raises: NoValidHost."""
    over = [] if backing is None else ["-F", backing[1], "-b", str(backing[0])]
    part = partial(path)
    part.unlink(missing_ok=True)
    await room("qemu-img", "create", "-q", "-f", "qcow2", *over, str(part), str(size_bytes))
    part.replace(path)


_EXT4 = ("mkfs.ext4", "-q", "-F", "-L", "ephemeral0")
_SWAP = ("mkswap", "-L", "swap0")


async def _formatted(path: Path, size_bytes: int, command: tuple[str, ...]) -> None:
    if path.exists():
        return
    part = partial(path)
    with part.open("wb") as file:
        file.truncate(size_bytes)
    part.chmod(0o600)
    await room(*command, str(part))
    part.replace(path)


async def _config_drive(files: dict[str, bytes], path: Path) -> None:
    if path.exists():
        return
    tree = path.with_name("config-drive.part")
    shutil.rmtree(tree, ignore_errors=True)
    try:
        for name, data in files.items():
            _place(tree, name, data)
        part = partial(path)
        argv = ("-quiet", "-J", "-r", "-l", "-allow-lowercase", "-allow-multidot", "-ldots")
        await room("genisoimage", *argv, "-V", "config-2", "-o", str(part), str(tree))
        part.chmod(0o600)
        part.replace(path)
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def _place(tree: Path, name: str, data: bytes) -> None:
    pure = PurePosixPath(name.lstrip("/"))
    if ".." in pure.parts or not pure.parts:
        raise BadRequest(f"Bad path on the config drive: {name}")
    target = tree / pure
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


async def room(*argv: str, timeout_s: float = 120.0) -> None:
    """Run a program that needs room on the disk. Raises: NoValidHost, CommandFailed."""
    try:
        await run(*argv, timeout_s=timeout_s)
    except CommandFailed as why:
        if "No space left" in why.stderr:
            raise NoValidHost("No room for the disks on the host.", code="no_room") from why
        raise

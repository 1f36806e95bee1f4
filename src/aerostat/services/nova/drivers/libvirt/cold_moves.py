"""Guests that change hosts while they are off: set aside, taken over, taken back."""

import asyncio
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec

from aerostat.kit.errors import BadRequest, Fault, NotFound
from aerostat.services.nova.drivers.exchange import Exchange
from aerostat.services.nova.drivers.libvirt import domains
from aerostat.services.nova.drivers.libvirt.connection import Connection
from aerostat.services.nova.drivers.libvirt.disks import GIB, room
from aerostat.services.nova.drivers.libvirt.files import remove_tree
from aerostat.services.nova.drivers.libvirt.image_cache import ImageCache
from aerostat.services.nova.drivers.libvirt.paths import (
    PROBE,
    InstancePaths,
    StatePaths,
    partial,
)
from aerostat.services.nova.drivers.process import Limits, run
from aerostat.services.nova.model.guest import GuestImage, GuestSpec
from aerostat.services.nova.model.moving import DiskOffer

CARRIED = ("disk", "disk.eph0", "disk.swap", "disk.config")


class ColdMoves:
    """The part of the libvirt driver that carries disks."""

    _conn: Connection
    _paths: StatePaths
    _cache: ImageCache
    _exchange: Exchange

    async def stop(self, server_id: str, timeout_s: int) -> None:
        raise NotImplementedError

    async def _define(self, spec: GuestSpec, start: bool) -> None:
        raise NotImplementedError

    async def set_aside(self, server_id: str, timeout_s: int) -> None:
        root, aside = self._paths.instance(server_id).root, self._paths.aside(server_id).root
        if await self._conn.run(domains.is_defined, server_id):
            await self.stop(server_id, timeout_s)
            await self._conn.run(domains.remove, server_id)
        if not aside.exists():
            if not root.exists():
                raise NotFound("The host has no such guest.", code="guest_not_found")
            root.rename(aside)

    async def offer(self, server_id: str, aside: bool) -> DiskOffer:
        paths = self._paths.aside(server_id) if aside else self._paths.instance(server_id)
        if not paths.disk.exists():
            raise NotFound("The host has no such guest.", code="guest_not_found")
        files = [name for name in CARRIED if (paths.root / name).exists()]
        info = await disk_info(paths.disk)
        backing = Path(info.get("backing-filename", ""))
        bases = {p.name: p for p in (backing, *_boot_files(paths)) if p.parent == self._paths.base}
        served = {name: paths.root / name for name in files} | bases
        probe = PROBE + server_id
        self._paths.probe(probe).touch()
        return DiskOffer(
            url=await self._exchange.offer(server_id, served),
            files=files,
            bases=sorted(bases),
            probe=probe,
            backing=backing.name,
            backing_format=info.get("backing-filename-format", "raw"),
            disk_bytes=info["virtual-size"],
        )

    async def withdraw(self, server_id: str) -> None:
        self._exchange.withdraw(server_id)
        self._paths.probe(PROBE + server_id).unlink(missing_ok=True)

    async def take_over(self, spec: GuestSpec, offer: DiskOffer, start: bool) -> None:
        paths = self._paths.instance(spec.server_id)
        known = await self._conn.run(domains.is_defined, spec.server_id)
        if known and not paths.spawning.exists():
            return
        if spec.root_gb and spec.root_gb * GIB < offer.disk_bytes:
            raise BadRequest("Resize error: Unable to resize disk down.", field="flavorRef")
        paths.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        paths.spawning.touch()
        await self._bring_bases(spec, offer)
        for name in offer.files:
            await self._bring(spec.server_id, offer, name, paths.root / name)
        await self._fit(spec, offer, paths)
        await self._define(spec, start)

    async def take_back(self, server_id: str, start: bool) -> None:
        paths, aside = self._paths.instance(server_id), self._paths.aside(server_id)
        if aside.root.exists():
            await self._conn.run(domains.remove, server_id)
            await self._conn.blocking(remove_tree, paths.root)
            aside.root.rename(paths.root)
        if not paths.libvirt_xml.exists():
            return
        if not await self._conn.run(domains.is_defined, server_id):
            await self._conn.run(domains.define, paths.libvirt_xml.read_text())
        if start:
            await self._conn.run(domains.start, server_id)

    async def forget_aside(self, server_id: str) -> None:
        await self._conn.blocking(remove_tree, self._paths.aside(server_id).root)

    async def forget_guest(self, server_id: str, keep_files: bool) -> None:
        await self._conn.run(domains.remove, server_id)
        if not keep_files:
            await self._conn.blocking(remove_tree, self._paths.instance(server_id).root)

    async def has_files(self, server_id: str) -> bool:
        return self._paths.instance(server_id).disk.exists()

    async def adopt(self, spec: GuestSpec, start: bool) -> None:
        paths = self._paths.instance(spec.server_id)
        if not paths.disk.exists():
            raise NotFound("The host has no disks of the guest.", code="guest_not_found")
        if not await self._conn.run(domains.is_defined, spec.server_id):
            await self._define(spec, start)

    def shares_storage(self, offer: DiskOffer) -> bool:
        """Tell whether this host sees the directory that the offer was made in."""
        return bool(offer.probe) and self._paths.probe(offer.probe).exists()

    async def _bring_bases(self, spec: GuestSpec, offer: DiskOffer) -> None:
        """Have the images that the disks stand on: from the image API, else from the source."""
        images = _images(spec.image)
        for name in offer.bases:
            path = self._paths.base / name
            if path.exists():
                continue
            image = images.get(name)
            if image is not None and image.path and await self._cached(image):
                continue
            part = self._cache.half_of(path)
            await self._exchange.fetch(offer.url, name, part)
            part.chmod(0o644)
            part.replace(path)

    async def _cached(self, image: GuestImage) -> bool:
        try:
            await self._cache.ensure(image)
        except Fault:
            return False  # deleted meanwhile: the source still has it
        return True

    async def _bring(self, server_id: str, offer: DiskOffer, name: str, path: Path) -> None:
        if path.exists():
            return
        part = partial(path)
        part.unlink(missing_ok=True)
        near = self._paths.aside(server_id).root / name
        if self.shares_storage(offer) and near.exists():
            await room("cp", "--reflink=auto", "--sparse=always", str(near), str(part))
        else:
            await self._exchange.fetch(offer.url, name, part)
        part.replace(path)

    async def _fit(self, spec: GuestSpec, offer: DiskOffer, paths: InstancePaths) -> None:
        """Let the root disk stand on this host's base, and the disks have the flavor's sizes."""
        disk = str(paths.disk)
        if offer.backing:
            base = str(self._paths.base / offer.backing)
            kind = offer.backing_format
            await run("qemu-img", "rebase", "-u", "-f", "qcow2", "-F", kind, "-b", base, disk)
        wanted = spec.root_gb * GIB
        if wanted > offer.disk_bytes:
            await room("qemu-img", "resize", "-q", "-f", "qcow2", disk, str(wanted))
        ephemeral = spec.ephemeral_gb * GIB
        if paths.ephemeral.exists() and ephemeral > paths.ephemeral.stat().st_size:
            await self._grow_ephemeral(paths.ephemeral, ephemeral)
        if paths.swap.exists() and paths.swap.stat().st_size != spec.swap_mib << 20:
            paths.swap.unlink()  # it is made anew; nothing lasts on a swap disk

    async def _grow_ephemeral(self, path: Path, size_bytes: int) -> None:
        with path.open("r+b") as file:
            file.truncate(size_bytes)
        await run("e2fsck", "-f", "-p", str(path), limits=Limits(cpu_s=600))
        await room("resize2fs", str(path))


async def disk_info(path: Path) -> dict[str, Any]:
    """Return what qemu-img says of a qcow2 file, which may be in use."""
    out = await run(
        "qemu-img", "info", "-U", "-f", "qcow2", "--output=json", str(path), limits=Limits()
    )
    found: dict[str, Any] = await asyncio.to_thread(msgspec.json.decode, out)
    return found


def _boot_files(paths: InstancePaths) -> list[Path]:
    """Return the kernel and ramdisk that a guest boots."""
    if not paths.libvirt_xml.exists():
        return []
    os = ElementTree.parse(paths.libvirt_xml).getroot().find("os")
    found = [os.findtext(tag) for tag in ("kernel", "initrd")] if os is not None else []
    return [Path(text) for text in found if text]


def _images(image: GuestImage | None) -> dict[str, GuestImage]:
    """Return the images of a guest by their names in the cache."""
    if image is None:
        return {}
    found = {StatePaths(Path("/")).image(image.id).name: image}
    return found | _images(image.kernel) | _images(image.ramdisk)

"""What is done to a guest beside starting and stopping: snapshots, rescue, interfaces."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree.ElementTree import tostring

from aerostat.contracts.network import BoundPort
from aerostat.kit.errors import BadRequest, NotFound
from aerostat.services.nova.drivers.image_source import ImageSource
from aerostat.services.nova.drivers.libvirt import domains, extra_domains
from aerostat.services.nova.drivers.libvirt.cold_moves import disk_info
from aerostat.services.nova.drivers.libvirt.connection import Connection
from aerostat.services.nova.drivers.libvirt.disks import (
    GIB,
    Disk,
    GuestDisks,
    create_overlay,
    room,
)
from aerostat.services.nova.drivers.libvirt.domain_xml import HostChoice, domain_xml, nic
from aerostat.services.nova.drivers.libvirt.image_cache import ImageCache
from aerostat.services.nova.drivers.libvirt.paths import InstancePaths, StatePaths
from aerostat.services.nova.model.guest import GuestSpec, PowerState

READ_BYTES = 1 << 20


class Extras:
    """The part of the libvirt driver that is none of a guest's daily life."""

    _conn: Connection
    _paths: StatePaths
    _cache: ImageCache
    _images: ImageSource

    async def choice(self) -> HostChoice:
        raise NotImplementedError

    async def stop(self, server_id: str, timeout_s: int) -> None:
        raise NotImplementedError

    async def power_state(self, server_id: str) -> PowerState:
        raise NotImplementedError

    async def snapshot(self, server_id: str, disk_format: str, path: str) -> None:
        paths = self._paths.instance(server_id)
        frozen, flat = paths.root / "snapshot", paths.root / "snapshot.flat"
        try:
            source = await self._frozen(server_id, paths, frozen)
            kind = "qcow2" if disk_format == "qcow2" else "raw"
            await room(
                *("qemu-img", "convert", "-U", "-f", "qcow2", "-O", kind, str(source), str(flat)),
                timeout_s=3600,
            )
            frozen.unlink(missing_ok=True)
            await self._images.upload(path, _read(flat))
        finally:
            for left in (frozen, flat):
                left.unlink(missing_ok=True)

    async def _frozen(self, server_id: str, paths: InstancePaths, frozen: Path) -> Path:
        """Return a file that holds the root disk as it is now and stays so."""
        state = await self.power_state(server_id)
        if state not in (PowerState.RUNNING, PowerState.PAUSED):
            return paths.disk
        info = await disk_info(paths.disk)
        backing = None
        if base := info.get("backing-filename"):
            backing = (Path(base), info.get("backing-filename-format", "raw"))
        await create_overlay(frozen, backing, info["virtual-size"])
        await self._conn.run_long(extra_domains.copy_disk, server_id, str(paths.disk), str(frozen))
        return frozen

    async def rescue(self, spec: GuestSpec) -> None:
        paths = self._paths.instance(spec.server_id)
        if spec.image is None:
            raise BadRequest("There is no image to rescue the server with.")
        if not paths.disk.exists():
            raise NotFound("The host has no such guest.", code="guest_not_found")
        await self._conn.run(domains.pull_plug, spec.server_id)
        base = await self._cache.ensure(spec.image)
        if not paths.rescue.exists():
            size = max(base.virtual_size_bytes, spec.root_gb * GIB)
            await create_overlay(paths.rescue, (base.path, base.disk_format), size)
        disks = [Disk(paths.rescue, "qcow2", "vda"), Disk(paths.disk, "qcow2", "vdb")]
        if paths.config_drive.exists():
            disks.append(Disk(paths.config_drive, "raw", "sdb", device="cdrom"))
        kernel, ramdisk = spec.image.kernel, spec.image.ramdisk
        guest = GuestDisks(
            disks,
            (await self._cache.ensure(kernel)).path if kernel else None,
            (await self._cache.ensure(ramdisk)).path if ramdisk else None,
        )
        xml = domain_xml(spec, paths, guest, await self.choice(), self._paths.state)
        await self._conn.run(extra_domains.replace, spec.server_id, xml)

    async def unrescue(self, server_id: str) -> None:
        paths = self._paths.instance(server_id)
        if not paths.libvirt_xml.exists():
            raise NotFound("The host has no such guest.", code="guest_not_found")
        if paths.rescue.exists():
            await self._conn.run(domains.pull_plug, server_id)
            await self._conn.run(domains.define, paths.libvirt_xml.read_text())
            paths.rescue.unlink()
        await self._conn.run(domains.start, server_id)

    async def attach_interface(self, server_id: str, port: BoundPort) -> None:
        xml = tostring(nic(port, "virtio"), encoding="unicode")
        await self._conn.run(extra_domains.attach, server_id, port.mac, xml)
        await self._remember(server_id)

    async def detach_interface(self, server_id: str, port: BoundPort) -> None:
        await self._conn.run_long(extra_domains.detach, server_id, port.mac)
        await self._remember(server_id)

    async def _remember(self, server_id: str) -> None:
        """Let libvirt.xml be what the domain is by now."""
        paths = self._paths.instance(server_id)
        if not paths.rescue.exists():
            xml = await self._conn.run(extra_domains.description, server_id)
            await asyncio.to_thread(paths.libvirt_xml.write_text, xml)


async def _read(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while data := await asyncio.to_thread(file.read, READ_BYTES):
            yield data

"""Guests that change hosts while they run: prepared here, carried by libvirt, kept or forgotten."""

from msgspec import structs

from aerostat.kit.errors import BadRequest, Conflict
from aerostat.services.nova.drivers.libvirt import domains, live_domains
from aerostat.services.nova.drivers.libvirt.cold_moves import ColdMoves
from aerostat.services.nova.drivers.libvirt.daemon import LiveConfig
from aerostat.services.nova.drivers.libvirt.disks import create_overlay, prepare
from aerostat.services.nova.drivers.libvirt.domain_xml import HostChoice
from aerostat.services.nova.drivers.libvirt.paths import InstancePaths, write_whole
from aerostat.services.nova.model.guest import GuestSpec
from aerostat.services.nova.model.migration import MigrationStats
from aerostat.services.nova.model.moving import DiskOffer, LiveTarget


class LiveMoves(ColdMoves):
    """The part of the libvirt driver that carries running guests."""

    _live: LiveConfig
    _choice: HostChoice

    async def live_target(self, spec: GuestSpec, offer: DiskOffer) -> LiveTarget:
        if await self._conn.run(domains.is_defined, spec.server_id):
            raise Conflict("The destination has the guest already.", code="guest_exists")
        scheme, address = self._live.live_migration_scheme, self._live.live_migration_inbound_addr
        if not scheme:
            raise BadRequest(
                "Migration pre-check error: the destination takes no running guests; it has no "
                "key pair, and live_migration_scheme is not set."
            )
        host = f"[{address}]" if ":" in address else address
        return LiveTarget(
            uri=f"qemu+{scheme}://{host}/system",
            data_uri=f"tcp://{host}",
            state_dir=str(self._paths.state),
            vnc_listen=self._choice.vnc_listen,
            tls=scheme == "tls",
            shared=self.shares_storage(offer),
            ports=spec.ports,
        )

    async def live_prepare(self, spec: GuestSpec, offer: DiskOffer, shared: bool) -> None:
        paths = self._paths.instance(spec.server_id)
        await self._bring_bases(spec, offer)
        if shared:
            return
        paths.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        paths.spawning.touch()
        await self._same_disks(spec, offer, paths)

    async def _same_disks(self, spec: GuestSpec, offer: DiskOffer, paths: InstancePaths) -> None:
        """Make disks of the sizes that the source has; libvirt fills them."""
        if "disk.config" in offer.files:
            await self._bring(spec.server_id, offer, "disk.config", paths.config_drive)
        if not paths.disk.exists():
            base = (self._paths.base / offer.backing, offer.backing_format)
            await create_overlay(paths.disk, base if offer.backing else None, offer.disk_bytes)
        await prepare(spec, paths, self._cache)

    async def live_migrate(
        self, server_id: str, target: LiveTarget, copy_disks: bool
    ) -> MigrationStats:
        state = str(self._paths.state)
        if target.tls:
            self._live.link_client_pki()
            uri = f"{target.uri}?pkipath={self._live.client_pki}"
            target = structs.replace(target, uri=uri)
        return await self._conn.run_long(live_domains.migrate, server_id, state, target, copy_disks)

    async def live_stats(self, server_id: str) -> MigrationStats:
        return await self._conn.run(live_domains.running, server_id)

    async def live_abort(self, server_id: str) -> bool:
        return await self._conn.run(live_domains.abort, server_id)

    async def live_force(self, server_id: str) -> None:
        await self._conn.run(live_domains.force, server_id)

    async def live_arrived(self, spec: GuestSpec) -> None:
        paths = self._paths.instance(spec.server_id)
        xml = await self._conn.run(live_domains.description, spec.server_id)
        write_whole(paths.libvirt_xml, xml.encode())
        paths.spawning.unlink(missing_ok=True)

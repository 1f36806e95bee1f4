"""A process of the control plane: the APIs and engines of its roles, unprivileged.

All of them over SQLite and a Unix socket is the `control` process of one machine; any set of
them over a database server and RabbitMQ is one process of many.
"""

import asyncio
import contextlib
import os
import secrets
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select

from aerostat.assembly.buses import connect, make_bus
from aerostat.assembly.gateway import Gateway
from aerostat.assembly.inspection import Probe
from aerostat.assembly.roles import CONTROL, Roles
from aerostat.assembly.services import (
    MANIFESTS,
    METADATA_PORT,
    NOVNC_PORT,
    Plane,
    World,
    build,
    build_without_database,
    uses_registry,
)
from aerostat.assembly.settings import Settings
from aerostat.kit.clock import SystemClock
from aerostat.kit.db.engine import Database, Tx
from aerostat.kit.db.open import open_database
from aerostat.kit.errors import BadRequest
from aerostat.kit.http.proxies import BehindProxies, networks
from aerostat.kit.http.serve import HttpServer, Tls
from aerostat.kit.ids import new_uuid
from aerostat.kit.log import Logger
from aerostat.services.glance.tasks.upkeep import Upkeep
from aerostat.services.neutron.tasks.rescheduler import Rescheduler
from aerostat.services.nova.tasks.leftovers import Leftovers
from aerostat.services.nova.tasks.metadata import MetadataApi
from aerostat.services.nova.tasks.novncproxy import NovncProxy
from aerostat.services.nova.tasks.presence import Presence

log = Logger("control")


class Control:
    """The control plane of one host, or a part of it."""

    def __init__(self, settings: Settings, roles: Roles = frozenset(CONTROL)) -> None:
        alone = roles >= set(CONTROL)
        if not alone and not settings.bus_url:
            raise BadRequest("single roles need bus_url", field="bus_url")
        rowless = roles == {"glance-api"} and uses_registry(settings)
        if not alone and not rowless and not settings.database_url:
            raise BadRequest("single roles need database_url", field="database_url")
        self._settings, self._roles, self._alone = settings, roles, alone
        self._db: Database | None = None
        self._servers: list[HttpServer] = []
        self._proxy: NovncProxy | None = None
        self._tasks: list[Presence | Rescheduler | Leftovers | Upkeep] = []

    def parts(self) -> dict[str, Probe]:
        """Return what tells whether the parts of this process are well."""
        parts: dict[str, Probe] = {"bus": self.bus.probe}
        if self._db is not None:
            parts["database"] = partial(self._db.read, _one)
        return parts

    async def start(self) -> None:
        """Build everything, serve it, and go on with what was unfinished."""
        s = self._settings
        for folder in (s.control_dir, s.bus_path.parent):
            folder.mkdir(parents=True, exist_ok=True)
        self.bus = make_bus(s)
        if s.database_url or self._alone:
            self._db = open_database(s.database_url, s.control_dir / "aerostat.db")
            world = World(s, self._db, self.bus, SystemClock(), new_uuid)
            self.plane = await build(world, admin_password(s.control_dir), self._roles)
        else:
            self.plane = await build_without_database(s, self.bus, SystemClock())
        unfinished = 0
        if s.bus_urls:  # Sagas call others at once; on one machine those are in this process.
            await connect(self.bus, s, node=False)
        if "glance" in self.plane.services:
            upkeep = Upkeep(self.plane.services["glance"])
            await upkeep.before()
            self._tasks.append(upkeep)
        await self._serve(self.plane)
        if not s.bus_urls:
            await connect(self.bus, s, node=False)
        if "nova-conductor" in self._roles:
            unfinished = await self.plane.nova.sagas.resume(self.plane.nova)
            self._tasks.append(Leftovers(self.plane.nova))
        if "nova" in self.plane.services:
            self._tasks.append(Presence(self.plane.nova, s.host_name, self._roles))
        if "neutron" in self.plane.services:
            self._tasks.append(Rescheduler(self.plane.services["neutron"]))
        for task in self._tasks:
            task.start()
        log.info("control.ready", roles=sorted(self._roles), unfinished=unfinished)

    async def _serve(self, plane: Plane) -> None:
        s = self._settings
        served = [m for m in MANIFESTS if m.name in plane.apps]
        apps: list[tuple[Any, int]] = [(plane.apps[m.name], s.own_port(m.port)) for m in served]
        if self._alone:
            mounts = {m.path: plane.apps[m.name] for m in MANIFESTS}
            apps.append((Gateway(mounts), s.own_port(s.gateway_port)))
        if "nova-metadata" in self._roles and plane.nova.config.metadata_proxy_shared_secret:
            apps.append((MetadataApi(plane.nova), s.own_port(METADATA_PORT)))
        tls = Tls(s.tls_cert, s.tls_key, s.tls_client_ca) if s.tls_cert else None
        proxies = networks(s.trusted_proxies)
        for app, port in apps:
            behind = BehindProxies(app, proxies, s.client_certificate_header) if proxies else app
            server = HttpServer(behind, s.listen, port, tls)
            await server.start()
            self._servers.append(server)
        if "nova-novncproxy" in self._roles:
            self._proxy = NovncProxy(plane.nova, s.listen, s.own_port(NOVNC_PORT), tls=tls)
            await self._proxy.start()

    async def stop(self) -> None:
        """Stop taking requests, leave every saga where it is, let go of the database."""
        await asyncio.gather(*(server.stop() for server in self._servers))
        if self._proxy is not None:
            await self._proxy.stop()
        for task in self._tasks:
            await task.stop()
        if "nova" in self.plane.services:
            await self.plane.nova.sagas.close()
        await self.bus.close()
        if self._db is not None:
            await self._db.close()


def _one(tx: Tx) -> None:
    tx.scalar(select(1))


def admin_password(folder: Path) -> str:
    """Return the admin's first password, made at the first start and kept for `openrc`.

    Copies that start together make one.
    """
    path = folder / "admin-password"
    if not path.exists():
        part = path.with_name(f"{path.name}.{os.getpid()}")
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(secrets.token_urlsafe(18))
        with contextlib.suppress(FileExistsError):
            os.link(part, path)
        part.unlink()
    return path.read_text()

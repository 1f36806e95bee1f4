"""The `control` process: every API and engine, unprivileged, over SQLite and the embedded bus."""

import asyncio
import os
import secrets
from pathlib import Path
from typing import Any

from aerostat.assembly.gateway import Gateway
from aerostat.assembly.services import MANIFESTS, NOVNC_PORT, Plane, World, build
from aerostat.assembly.settings import Settings
from aerostat.kit.bus.embedded import EmbeddedBus
from aerostat.kit.clock import SystemClock
from aerostat.kit.db.sqlite import SqliteDatabase
from aerostat.kit.http.serve import HttpServer
from aerostat.kit.ids import new_uuid
from aerostat.kit.log import Logger
from aerostat.services.nova.tasks.novncproxy import NovncProxy

log = Logger("control")


class Control:
    """The control plane of one host."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._servers: list[HttpServer] = []
        self._proxy: NovncProxy | None = None

    async def start(self) -> None:
        """Build everything, serve it, and go on with what was unfinished."""
        s = self._settings
        for folder in (s.control_dir, s.bus_path.parent):
            folder.mkdir(parents=True, exist_ok=True)
        self.bus, self.db = EmbeddedBus(), SqliteDatabase(s.control_dir / "aerostat.db")
        world = World(s, self.db, self.bus, SystemClock(), new_uuid)
        self.plane = await build(world, admin_password(s.control_dir))
        await self._serve(self.plane)
        await self.bus.listen(s.bus_path)
        unfinished = await self.plane.nova.sagas.resume(self.plane.nova)
        log.info("control.ready", unfinished=unfinished)

    async def _serve(self, plane: Plane) -> None:
        s = self._settings
        apps: list[tuple[Any, int]] = [(plane.apps[m.name], s.port(m.port)) for m in MANIFESTS]
        mounts = {m.path: plane.apps[m.name] for m in MANIFESTS}
        apps.append((Gateway(mounts), s.port(s.gateway_port)))
        for app, port in apps:
            server = HttpServer(app, s.listen, port)
            await server.start()
            self._servers.append(server)
        self._proxy = NovncProxy(plane.nova, s.listen, s.port(NOVNC_PORT))
        await self._proxy.start()

    async def stop(self) -> None:
        """Stop taking requests, leave every saga where it is, let go of the database."""
        await asyncio.gather(*(server.stop() for server in self._servers))
        if self._proxy is not None:
            await self._proxy.stop()
        await self.plane.nova.sagas.close()
        await self.bus.close()
        await self.db.close()


def admin_password(folder: Path) -> str:
    """Return the admin's first password, made at the first start and kept for `openrc`."""
    path = folder / "admin-password"
    if not path.exists():
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(secrets.token_urlsafe(18))
    return path.read_text()

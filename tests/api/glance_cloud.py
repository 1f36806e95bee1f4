"""Glance over HTTP with made-up personas, for the tests of its API."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.servers import database_url
from tests.tables import lay

from aerostat.assembly.image_stores import open_stores
from aerostat.contracts.image import registry
from aerostat.kit.bus.embedded import EmbeddedBus
from aerostat.kit.clock import SystemClock
from aerostat.kit.context import Context
from aerostat.kit.db.migrate import differences, upgrade
from aerostat.kit.db.open import open_database
from aerostat.kit.errors import Unauthorized
from aerostat.kit.http.edge import Api
from aerostat.kit.http.policy import Policy
from aerostat.services.glance import runtime
from aerostat.services.glance.config import GlanceConfig
from aerostat.services.glance.db.tables import metadata
from aerostat.services.glance.drivers.file import FileDriver
from aerostat.services.glance.registry import RegistryDatabase, RegistryProvider
from aerostat.services.glance.runtime import Glance
from aerostat.services.glance.service import manifest

PERSONAS = {
    "admin": ("ops", ("admin", "manager", "member", "reader")),
    "member": ("p1", ("member", "reader")),
    "reader": ("p1", ("reader",)),
    "other": ("p2", ("member", "reader")),
    "service": ("services", ("service",)),
    "billing": ("p1", ("member", "reader", "Billing")),
    "third": ("p3", ("member", "reader")),
}
DATA_API = "sqlalchemy"
"""How glance reaches its rows; conftest.py runs many tests over a registry too."""

OCTETS = {"content-type": "application/octet-stream"}
PATCH = "application/openstack-images-v2.1-json-patch"


async def authenticate(token: str) -> Context:
    """Return the persona whose name the token is."""
    if token not in PERSONAS:
        raise Unauthorized()
    project, roles = PERSONAS[token]
    return Context("", user_id=token, project_id=project, roles=roles, token=token)


class Cloud:
    """One glance, and what tests ask of it."""

    def __init__(self, glance: Glance, http: httpx.AsyncClient, app: Api[Glance]) -> None:
        self.glance, self.http, self.app = glance, http, app

    async def ask(self, method: str, path: str, who: str = "member", **more: Any) -> httpx.Response:
        """Send a request as a persona."""
        headers = {"x-auth-token": who, **more.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **more)

    async def image(self, who: str = "member", **attributes: Any) -> dict[str, Any]:
        """Create an image."""
        body = {"disk_format": "raw", "container_format": "bare", "name": "i", **attributes}
        reply = await self.ask("POST", "/v2/images", who, json=body)
        assert reply.status_code == 201, reply.text
        return dict(reply.json())

    async def upload(self, image_id: str, data: Any, who: str = "member") -> httpx.Response:
        """Upload data."""
        return await self.ask(
            "PUT", f"/v2/images/{image_id}/file", who, content=data, headers=OCTETS
        )

    async def patch(self, image_id: str, ops: Any, who: str = "member") -> httpx.Response:
        """Change an image."""
        headers = {"content-type": PATCH}
        return await self.ask("PATCH", f"/v2/images/{image_id}", who, json=ops, headers=headers)

    async def show(self, image_id: str, who: str = "member") -> dict[str, Any]:
        """Show an image."""
        reply = await self.ask("GET", f"/v2/images/{image_id}", who)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    async def names(self, query: str = "", who: str = "member") -> list[str]:
        """Return the names of the images in a list."""
        reply = await self.ask("GET", f"/v2/images?{query}", who)
        assert reply.status_code == 200, reply.text
        return [i["name"] for i in reply.json()["images"]]

    async def settled(self) -> None:
        """Wait for what runs in the background."""
        await asyncio.gather(*self.glance.background)

    def files(self) -> list[str]:
        """Return the names of all files of image data."""
        folders = [self.images, self.glance.staging.folder]
        return sorted(path.name for folder in folders for path in folder.iterdir())

    @property
    def images(self) -> Path:
        """The folder of the store of files."""
        driver = self.glance.stores.get("file")
        assert isinstance(driver, FileDriver)
        return driver.files.folder


DATABASES: dict[Path, str] = {}
"""The database of each folder, so that a glance that starts again finds its own."""


@asynccontextmanager
async def cloud_in(folder: Path, config: GlanceConfig | None = None) -> AsyncIterator[Cloud]:
    """Run glance with its state in `folder`."""
    folder.mkdir(exist_ok=True)
    url = DATABASES.setdefault(folder, database_url())
    await lay(folder / "db", [manifest], url)
    db = open_database(url, folder / "db")
    db.shared = False  # type: ignore[misc]  # on any engine, this process is the only one
    await upgrade(db, "glance", manifest.migrations)
    assert await db.read(differences, "glance", metadata) == []
    config, state = config or GlanceConfig(), folder / "glance"
    stores = open_stores(config, state, SystemClock())
    bus = EmbeddedBus()
    registry.serve(bus, RegistryProvider(db))
    used = RegistryDatabase(registry.at(bus)) if DATA_API == "registry" else db
    glance = runtime.build(used, state, stores, config, keys=state)
    api = Api(manifest.api, glance, Policy(manifest.rules), authenticate)
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://glance") as http:
        yield Cloud(glance, http, api)
    await glance.close()
    await db.close()

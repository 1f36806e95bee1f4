"""A whole cloud in one process for tests: every service, real database, fake host."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from aerostat.assembly.services import MANIFESTS, Plane, World, build
from aerostat.assembly.settings import Settings
from aerostat.kit.bus.embedded import EmbeddedBus
from aerostat.kit.clock import SystemClock
from aerostat.kit.db.open import open_database
from aerostat.kit.ids import new_uuid
from aerostat.services.neutron.agent.node import NetworkAgent
from aerostat.services.neutron.config import NetworkAgentConfig
from aerostat.services.neutron.drivers.fake import FakeDataplane
from aerostat.services.nova.agent.compute import ComputeAgent
from aerostat.services.nova.agent.endpoint import compute_control
from aerostat.services.nova.drivers.base import NodeIdentity
from aerostat.services.nova.drivers.fake import FakeDriver
from aerostat.services.nova.drivers.image_source import HttpImageSource
from tests.servers import database_url
from tests.tables import lay

PASSWORD = "secret-of-the-test"
LATEST = {"OpenStack-API-Version": "compute latest"}


class WholeCloud:
    """Control plane and hosts; `crash()` drops it all, `start()` again goes on from the disk."""

    def __init__(self, folder: Path, hosts: int = 1) -> None:
        self.folder = folder
        self.database_url = database_url()
        self.settings = Settings(state_dir=folder, password_hash_rounds=4, compute_driver="fake")
        self.host_names = [f"host-{i + 1}" for i in range(hosts)]
        self.drivers = {
            name: FakeDriver(NodeIdentity(name, name, "127.0.0.1"), journal=folder / f"{name}.json")
            for name in self.host_names
        }
        self.plane: Plane
        self._clients: dict[str, httpx.AsyncClient] = {}

    async def start(self, probe: Any = None) -> None:
        """Build everything and let the hosts report."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.bus = EmbeddedBus()
        await lay(self.folder / "db", MANIFESTS, self.database_url)
        self.db = open_database(self.database_url, self.folder / "db")
        self.db.shared = False  # type: ignore[misc]  # on any engine, this process is the only one
        world = World(self.settings, self.db, self.bus, SystemClock(), new_uuid)
        self.plane = await build(world, PASSWORD)
        self.nova = self.plane.nova
        self.nova.sagas.probe = probe
        self.agents: list[Any] = []
        for name in self.host_names:
            await self._start_host(name)
        self._clients = {
            m.name: httpx.AsyncClient(
                transport=httpx.ASGITransport(app=self.plane.apps[m.name]),
                base_url=f"http://{m.name}",
                timeout=30,
            )
            for m in MANIFESTS
        }
        await self.nova.sagas.resume(self.nova)

    async def _start_host(self, name: str) -> None:
        driver = self.drivers[name]
        glance = httpx.ASGITransport(app=self.plane.apps["glance"])
        driver.images = HttpImageSource("http://glance", glance)
        compute = ComputeAgent(name, driver, compute_control.at(self.bus))
        compute.serve(self.bus)
        config = NetworkAgentConfig(state_dir=str(self.folder / name))
        network = NetworkAgent(self.bus, name, config, FakeDataplane())
        await network.start()
        await compute_control.at(self.bus).host_up(
            host=name, facts=await compute.facts(), guests=await compute.guests()
        )
        self.agents += [network]

    async def stop(self) -> None:
        """Leave everything where it is; `start()` goes on from there."""
        await self.nova.sagas.close()
        for agent in self.agents:
            await agent.close()
        for client in self._clients.values():
            await client.aclose()
        await self.bus.close()
        await self.db.close()

    async def token(
        self, user: str = "admin", password: str = PASSWORD, project: str = "admin"
    ) -> str:
        """Log in and return the token."""
        domain = {"name": "Default"}
        body = {
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {"user": {"name": user, "password": password, "domain": domain}},
                },
                "scope": {"project": {"name": project, "domain": domain}},
            }
        }
        reply = await self._clients["keystone"].post("/v3/auth/tokens", json=body)
        assert reply.status_code == 201, reply.text
        return reply.headers["x-subject-token"]

    async def user(self, name: str, role: str, project: str) -> "User":
        """Make a user with a role on a project (made if need be), and log in."""
        admin = await self.admin()
        found = (await admin.get("keystone", f"/v3/projects?name={project}")).json()["projects"]
        if not found:
            made = await admin.post("keystone", "/v3/projects", {"project": {"name": project}})
            found = [made.json()["project"]]
        body = {"user": {"name": name, "password": PASSWORD}}
        user = (await admin.post("keystone", "/v3/users", body)).json()["user"]
        roles = (await admin.get("keystone", f"/v3/roles?name={role}")).json()["roles"]
        url = f"/v3/projects/{found[0]['id']}/users/{user['id']}/roles/{roles[0]['id']}"
        assert (await admin.request("keystone", "PUT", url)).status_code == 204
        token = await self.token(name, PASSWORD, project)
        return User(self._clients, token, found[0]["id"])

    async def image(self, user: "User", size: int = 1024) -> str:
        """Make a raw image of `size` bytes and return its id."""
        body = {"name": "tiny", "disk_format": "raw", "container_format": "bare"}
        image_id = str((await user.post("glance", "/v2/images", body)).json()["id"])
        reply = await user.upload(f"/v2/images/{image_id}/file", b"\x01" * size)
        assert reply.status_code == 204, reply.text
        return image_id

    async def admin(self) -> "User":
        """Log in as the administrator."""
        return User(self._clients, await self.token(), "")


class User:
    """Somebody with a token, and the APIs."""

    def __init__(self, clients: dict[str, httpx.AsyncClient], token: str, project_id: str) -> None:
        self._clients, self._token, self.project_id = clients, token, project_id

    async def request(
        self,
        service: str,
        method: str,
        url: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Call an API; nova in its newest version unless the headers say otherwise."""
        sent = {"X-Auth-Token": self._token, **(LATEST if service == "nova" else {})}
        sent.update(headers or {})
        return await self._clients[service].request(method, url, json=body, headers=sent)

    async def get(self, service: str, url: str) -> httpx.Response:
        return await self.request(service, "GET", url)

    async def post(self, service: str, url: str, body: Any) -> httpx.Response:
        return await self.request(service, "POST", url, body)

    async def delete(self, service: str, url: str) -> httpx.Response:
        return await self.request(service, "DELETE", url)

    async def upload(self, url: str, data: bytes | AsyncIterator[bytes]) -> httpx.Response:
        """Send image data."""
        headers = {"X-Auth-Token": self._token, "Content-Type": "application/octet-stream"}
        return await self._clients["glance"].put(url, content=data, headers=headers)

"""The cloud that every simulation starts from, built once: schema, users, image, networks."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

from msgspec import Struct

from aerostat.assembly.services import World, build
from aerostat.assembly.settings import Settings
from aerostat.kit.bus.embedded import EmbeddedBus
from aerostat.sim.asgi import Answer, ask
from aerostat.sim.chance import Chance, Faults
from aerostat.sim.disk import Disk, SimDatabase
from aerostat.sim.process import Process
from aerostat.sim.trace import Trace

EPOCH = 1_700_000_000.0
"""Simulated time zero, in seconds since the real one."""

PASSWORD = "secret-of-the-simulation"
QUOTA = {"instances": 8, "cores": 10, "ram": 4096}
PROJECT, USER = "crowd", "somebody"


class Template(Struct, frozen=True):
    """A database as bytes, the folder of keys and images, and what is in them."""

    database: bytes
    settings: Settings
    image_id: str
    flavor_ids: list[str]
    network_ids: list[str]
    external_id: str
    project_id: str


class FixedClock:
    """The moment before time begins."""

    def now(self) -> float:
        return EPOCH - 1

    def monotonic(self) -> float:
        return 0.0


def make(folder: Path) -> Template:
    """Build the template; its files live under `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    settings = Settings(state_dir=folder, password_hash_rounds=4, compute_driver="fake")
    return asyncio.run(_make(settings))


async def _make(settings: Settings) -> Template:
    settings.control_dir.mkdir(parents=True)
    disk = Disk()
    chance = Chance(0, "template")
    process = Process("template", lambda _: None, Trace(lambda: 0.0))
    at_once = Faults(latency_s=0.0)
    db = SimDatabase(disk, process, lambda: at_once, chance)
    world = World(settings, db, EmbeddedBus(), FixedClock(), chance.new_uuid)
    plane = await build(world, PASSWORD)
    admin = Caller(plane.apps)
    await admin.log_in("admin", "admin")
    project_id = await _people(admin)
    image_id = await _image(admin)
    flavors = [await _flavor(admin, "small", 1, 128), await _flavor(admin, "large", 4, 512)]
    quota = {"quota_set": QUOTA}
    await admin.want(200, "nova", "PUT", f"/v2.1/os-quota-sets/{project_id}", quota)
    member = Caller(plane.apps)
    await member.log_in(USER, PROJECT)
    networks, external = await _networks(admin, member)
    database = disk.raw.serialize()
    disk.close()
    return Template(database, settings, image_id, flavors, networks, external, project_id)


class Caller:
    """Somebody with a token, who expects every answer to be the right one."""

    def __init__(self, apps: dict[str, Any]) -> None:
        self._apps, self._token = apps, ""

    async def log_in(self, user: str, project: str) -> None:
        """Get a token."""
        got = await self.want(201, "keystone", "POST", "/v3/auth/tokens", login(user, project))
        self._token = got.headers["x-subject-token"]

    async def want(
        self, status: int, service: str, method: str, url: str, body: Any = None
    ) -> Answer:
        """Call an API. Raises: AssertionError (another status)."""
        headers = headers_of(service, self._token)
        if isinstance(body, bytes):
            headers["content-type"] = "application/octet-stream"
        got = await ask(self._apps[service], method, url, body, headers)
        assert got.status == status, (method, url, got)
        return got


def headers_of(service: str, token: str) -> dict[str, str]:
    """Return the headers of a call: nova in its newest version."""
    newest = {"openstack-api-version": "compute latest"} if service == "nova" else {}
    return {"x-auth-token": token, **newest}


def login(user: str, project: str) -> dict[str, Any]:
    """Return the body that gets a token by password."""
    domain = {"name": "Default"}
    by = {"user": {"name": user, "password": PASSWORD, "domain": domain}}
    scope = {"project": {"name": project, "domain": domain}}
    return {"auth": {"identity": {"methods": ["password"], "password": by}, "scope": scope}}


async def _people(admin: Caller) -> str:
    made = await admin.want(201, "keystone", "POST", "/v3/projects", {"project": {"name": PROJECT}})
    project_id = str(made.doc["project"]["id"])
    user = {"user": {"name": USER, "password": PASSWORD}}
    user_id = (await admin.want(201, "keystone", "POST", "/v3/users", user)).doc["user"]["id"]
    roles = await admin.want(200, "keystone", "GET", "/v3/roles?name=member")
    url = f"/v3/projects/{project_id}/users/{user_id}/roles/{roles.doc['roles'][0]['id']}"
    await admin.want(204, "keystone", "PUT", url)
    return project_id


async def _image(admin: Caller) -> str:
    body = {
        "name": "tiny",
        "disk_format": "raw",
        "container_format": "bare",
        "visibility": "public",
    }
    image_id = str((await admin.want(201, "glance", "POST", "/v2/images", body)).doc["id"])
    await admin.want(204, "glance", "PUT", f"/v2/images/{image_id}/file", b"\x01" * 512)
    return image_id


async def _flavor(admin: Caller, name: str, vcpus: int, ram: int) -> str:
    flavor = {"flavor": {"name": name, "ram": ram, "vcpus": vcpus, "disk": 1}}
    return str((await admin.want(200, "nova", "POST", "/v2.1/flavors", flavor)).doc["flavor"]["id"])


async def _networks(admin: Caller, member: Caller) -> tuple[list[str], str]:
    """Make two networks on one router to the outside; return their ids and the external one's."""
    outside = {"network": {"name": "public", "router:external": True}}
    external = await _network(admin, outside, "198.51.100.0/26")
    inner = [
        await _network(member, {"network": {"name": f"net-{i}"}}, f"10.{i}.0.0/27") for i in (1, 2)
    ]
    gateway = {"router": {"name": "r", "external_gateway_info": {"network_id": external[0]}}}
    made = await member.want(201, "neutron", "POST", "/v2.0/routers", gateway)
    url = f"/v2.0/routers/{made.doc['router']['id']}/add_router_interface"
    for _, subnet_id in inner:
        await member.want(200, "neutron", "PUT", url, {"subnet_id": subnet_id})
    return [network_id for network_id, _ in inner], external[0]


async def _network(caller: Caller, body: dict[str, Any], cidr: str) -> tuple[str, str]:
    made = await caller.want(201, "neutron", "POST", "/v2.0/networks", body)
    network_id = made.doc["network"]["id"]
    subnet = {"subnet": {"network_id": network_id, "cidr": cidr, "ip_version": 4}}
    got = await caller.want(201, "neutron", "POST", "/v2.0/subnets", subnet)
    return str(network_id), str(got.doc["subnet"]["id"])

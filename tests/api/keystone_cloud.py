"""A keystone of its own for a test: bootstrapped, with cheap hashes, behind its HTTP API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.servers import database_url
from tests.tables import lay

from aerostat.contracts.events import Event
from aerostat.kit.db.migrate import upgrade
from aerostat.kit.db.open import open_database
from aerostat.kit.http.edge import Api
from aerostat.kit.http.policy import Policy
from aerostat.kit.http.serve import HttpServer
from aerostat.services.keystone.config import KeystoneConfig
from aerostat.services.keystone.domain.bootstrap import bootstrap
from aerostat.services.keystone.drivers.ldap import directories
from aerostat.services.keystone.drivers.openid import openid_providers
from aerostat.services.keystone.drivers.saml_peers import HttpPeers
from aerostat.services.keystone.provides import IdentityProvider
from aerostat.services.keystone.runtime import Keystone, build
from aerostat.services.keystone.service import manifest

PASSWORD = "correct horse battery staple"


class TickingClock:
    """Time that passes a millisecond with every look, and as a test says."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def now(self) -> float:
        self.time += 0.001
        return self.time

    def monotonic(self) -> float:
        return self.now()


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    async def notify(self, *, event: Event) -> None:
        self.events.append(event)

    def last(self, event_type: str) -> dict[str, Any]:
        return next(e.payload for e in reversed(self.events) if e.event_type == event_type)


@dataclass
class Cloud:
    """The service, a client of its API, and shorthand for what tests do all the time."""

    keystone: Keystone
    clock: TickingClock
    http: httpx.AsyncClient
    app: Any = None
    admin: str = ""
    roles: dict[str, str] = field(default_factory=dict)
    made: int = 0

    async def authenticate(self, identity: Any, scope: Any = None) -> httpx.Response:
        auth = {"identity": identity, **({} if scope is None else {"scope": scope})}
        return await self.http.post("/v3/auth/tokens", json={"auth": auth})

    async def log_in(self, user_id: str, password: str = PASSWORD, scope: Any = None) -> str:
        reply = await self.authenticate(by_password(user_id, password), scope)
        assert reply.status_code == 201, reply.text
        return reply.headers["x-subject-token"]

    async def call(
        self, method: str, path: str, token: str | None = None, json: Any = None, **headers: str
    ) -> httpx.Response:
        sent = {"X-Auth-Token": self.admin if token is None else token, **headers}
        return await self.http.request(method, f"/v3{path}", headers=sent, json=json)

    async def get(self, path: str, token: str | None = None) -> Any:
        reply = await self.call("GET", path, token)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def make(self, noun: str, plural: str = "", token: str | None = None, **body: Any) -> Any:
        self.made += 1
        named = {} if noun == "region" else {"name": f"{noun}-{self.made}"}
        body = {**named, **body}
        reply = await self.call("POST", f"/{plural or noun + 's'}", token, {noun: body})
        assert reply.status_code == 201, reply.text
        return reply.json()[noun]

    async def user(self, **body: Any) -> Any:
        return await self.make("user", password=PASSWORD, **body)

    async def grant(self, path: str, role: str) -> None:
        reply = await self.call("PUT", f"{path}/roles/{self.roles[role]}")
        assert reply.status_code == 204, reply.text

    async def member(self, role: str = "member", project: Any = None) -> tuple[Any, Any, str]:
        """Return a user, a project on which it has `role`, and its token."""
        project = project or await self.make("project")
        user = await self.user()
        await self.grant(f"/projects/{project['id']}/users/{user['id']}", role)
        token = await self.log_in(user["id"], scope={"project": {"id": project["id"]}})
        return user, project, token

    async def validate(self, token: str) -> httpx.Response:
        return await self.call("GET", "/auth/tokens", **{"X-Subject-Token": token})


def by_password(user_id: str, password: str = PASSWORD) -> Any:
    user = {"id": user_id, "password": password}
    return {"methods": ["password"], "password": {"user": user}}


def by_name(name: str, password: str, domain: Any) -> Any:
    user = {"name": name, "password": password, "domain": domain}
    return {"methods": ["password"], "password": {"user": user}}


def by_token(token: str) -> Any:
    return {"methods": ["token"], "token": {"id": token}}


async def trust(cloud: Cloud, protocol: str, rules: Any, remote_id: str, **spoken: str) -> None:
    """Let in by `rules` whom the provider `corp` vouches for; `spoken` is of the protocol."""
    provider = {"enabled": True, "remote_ids": [remote_id]}
    for url, body in (
        ("mappings/rules", {"mapping": {"rules": rules}}),
        ("identity_providers/corp", {"identity_provider": provider}),
        (
            f"identity_providers/corp/protocols/{protocol}",
            {"protocol": {"mapping_id": "rules", **spoken}},
        ),
    ):
        reply = await cloud.call("PUT", f"/OS-FEDERATION/{url}", json=body)
        assert reply.status_code == 201, reply.text


def at(port: int) -> dict[str, str]:
    """Return the option of a cloud that is served at a port of loopback."""
    return {"public_endpoint": f"http://127.0.0.1:{port}"}


@asynccontextmanager
async def served(cloud: Cloud, port: int) -> AsyncIterator[str]:
    """Serve a cloud on a port of loopback, for clients that speak real HTTP; give its URL.

    The option `at(port)` tells the cloud.
    """
    server = HttpServer(cloud.app, "127.0.0.1", port)
    await server.start()
    try:
        yield f"http://127.0.0.1:{port}/v3"
    finally:
        await server.stop()


DATABASES: dict[Path, str] = {}
"""The database of each state directory, so that copies meet in it."""


@asynccontextmanager
async def cloud_at(path: Path, **options: Any) -> AsyncIterator[Cloud]:
    """Start a keystone whose state is under `path`, with these options of KeystoneConfig.

    `shared=True`: another may run over the same state, with the same `clock`.
    """
    shared, clock = options.pop("shared", False), options.pop("clock", None) or TickingClock()
    url = DATABASES.setdefault(path, "") or database_url()
    DATABASES[path] = url
    await lay(path / "db", [manifest], url)
    db = open_database(url, path / "db")
    await upgrade(db, "keystone", manifest.migrations)
    known = {"password_hash_rounds": 4, "public_endpoint": "http://ks"}
    config = KeystoneConfig(**{**known, **options})
    keystone = build(
        *(db, path, config),
        clock=clock,
        shared=shared or db.shared,
        directories=directories(config.directory_threads),
        openid=openid_providers(),
        saml=HttpPeers(),
    )
    await bootstrap(keystone, admin_password=PASSWORD, base_url="http://ks/v3")
    authenticate = IdentityProvider(keystone).authenticate
    app = Api(manifest.api, keystone, Policy(manifest.rules), authenticate)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ks") as http:
        cloud = Cloud(keystone, clock, http, app)
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        reply = await cloud.authenticate(by_name("admin", PASSWORD, {"id": "default"}), scope)
        cloud.admin = reply.headers["x-subject-token"]
        cloud.roles = {r["name"]: r["id"] for r in (await cloud.get("/roles"))["roles"]}
        yield cloud
    keystone.hasher.close()
    await db.close()

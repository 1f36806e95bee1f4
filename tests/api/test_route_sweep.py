"""Every route of every API, for every persona: who may not, is told so, and nothing breaks."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.whole_cloud import User, WholeCloud

from aerostat.assembly.services import MANIFESTS
from aerostat.kit.http.route import Route

ABSENT = "6f70656e-7374-6163-6b00-000000000000"


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path)
    await cloud.start()
    yield cloud
    await cloud.stop()


def url_of(route: Route) -> str:
    return re.sub(r"{\w+}", ABSENT, route.path) or "/"


async def call(user: User, service: str, route: Route) -> int:
    version = {}
    if route.until is not None or route.since is not None:
        kind = {"nova": "compute"}.get(service, service)
        version = {"OpenStack-API-Version": f"{kind} {route.until or route.since}"}
    body = {} if route.body is not None or route.stream else None
    reply = await user.request(service, route.method, url_of(route), body, version)
    return reply.status_code


@pytest.mark.parametrize("service", [m.name for m in MANIFESTS])
async def test_no_token_no_entry(cloud: WholeCloud, service: str) -> None:
    manifest = next(m for m in MANIFESTS if m.name == service)
    nobody = User(cloud._clients, "", "")
    for route in manifest.api.routes():
        status = await call(nobody, service, route)
        assert status < 500, (route.method, route.path, status)
        if not route.public:
            assert status == 401, (route.method, route.path, status)


@pytest.mark.parametrize("role", ["admin", "manager", "member", "reader"])
@pytest.mark.parametrize("service", [m.name for m in MANIFESTS])
async def test_nothing_breaks_and_readers_change_nothing(
    cloud: WholeCloud, service: str, role: str
) -> None:
    user = await cloud.user(f"{role}-user", role, "swept")
    manifest = next(m for m in MANIFESTS if m.name == service)
    for route in manifest.api.routes():
        status = await call(user, service, route)
        assert status < 500, (role, route.method, route.path, status)
        if role == "reader" and route.method not in ("GET", "HEAD") and not route.public:
            assert status >= 400, (role, route.method, route.path, status)


async def test_no_nul_gets_in(cloud: WholeCloud) -> None:
    """Not in a path, a query or a body: PostgreSQL would fail on it, and others store it."""
    admin = await cloud.admin()
    body = {"user": {"name": "a\0b"}}
    reply = await admin.post("keystone", "/v3/users", body)
    assert reply.status_code == 400 and "user.name" in reply.text
    for service, url, status in (
        ("keystone", "/v3/users?name=a%00b", 400),
        ("keystone", "/v3/users/a%00b", 404),
        ("glance", "/v2/images?name=%00", 400),
        ("nova", "/v2.1/servers/%00", 404),
        ("neutron", "/v2.0/networks?name=%00", 400),
        ("placement", "/resource_providers/%00", 404),
    ):
        assert (await admin.get(service, url)).status_code == status, (service, url)

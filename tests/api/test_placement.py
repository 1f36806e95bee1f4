"""Placement through its HTTP API."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from aerostat.kit.clock import SystemClock
from aerostat.kit.context import Context
from aerostat.kit.db.migrate import differences, upgrade
from aerostat.kit.db.sqlite import SqliteDatabase
from aerostat.kit.errors import Unauthorized
from aerostat.kit.http.edge import Api
from aerostat.kit.http.policy import Policy
from aerostat.services.placement.db.tables import metadata
from aerostat.services.placement.runtime import PlacementService
from aerostat.services.placement.service import manifest

ROLES = {"admin": ("admin", "member", "reader"), "member": ("member", "reader")}
LATEST = {"OpenStack-API-Version": "placement latest", "X-Auth-Token": "admin"}


async def _authenticate(token: str) -> Context:
    if token not in ROLES:
        raise Unauthorized()
    return Context("", user_id="u", project_id="p", roles=ROLES[token])


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    db = SqliteDatabase(tmp_path / "db")
    await upgrade(db, "placement", manifest.migrations)
    assert await db.read(differences, "placement", metadata) == []
    service = PlacementService(db, SystemClock())
    api = Api(manifest.api, service, Policy(manifest.rules), _authenticate)
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://placement", headers=LATEST
    ) as client:
        yield client
    await db.close()


async def _provider(http: httpx.AsyncClient, name: str, **inventory: int) -> dict[str, Any]:
    made = (await http.post("/resource_providers", json={"name": name})).json()
    body = {
        "resource_provider_generation": made["generation"],
        "inventories": {c: {"total": n} for c, n in inventory.items()},
    }
    reply = await http.put(f"/resource_providers/{made['uuid']}/inventories", json=body)
    assert reply.status_code == 200, reply.text
    return dict(made)


def _claim(provider: str, generation: int | None = None, **resources: int) -> dict[str, Any]:
    return {
        "allocations": {provider: {"resources": resources}},
        "project_id": "p",
        "user_id": "u",
        "consumer_generation": generation,
        "consumer_type": "INSTANCE",
    }


async def test_candidates_and_claims(http: httpx.AsyncClient) -> None:
    small = await _provider(http, "small", VCPU=2, MEMORY_MB=1024)
    large = await _provider(http, "large", VCPU=8, MEMORY_MB=8192)
    url = "/allocation_candidates?resources=VCPU:4,MEMORY_MB:2048"
    found = (await http.get(url)).json()
    assert list(found["provider_summaries"]) == [large["uuid"]]
    consumer = str(uuid.uuid4())
    taken = await http.put(f"/allocations/{consumer}", json=_claim(large["uuid"], VCPU=6))
    assert taken.status_code == 204, taken.text
    assert (await http.get(url)).json()["allocation_requests"] == []
    usages = (await http.get(f"/resource_providers/{large['uuid']}/usages")).json()
    assert usages["usages"] == {"VCPU": 6, "MEMORY_MB": 0}
    full = await http.put(f"/allocations/{uuid.uuid4()}", json=_claim(large["uuid"], VCPU=4))
    assert full.status_code == 409
    stale = await http.put(f"/allocations/{consumer}", json=_claim(small["uuid"], VCPU=1))
    assert stale.status_code == 409
    assert stale.json()["errors"][0]["code"] == "placement.concurrent_update"
    totals = (await http.get("/usages?project_id=p")).json()
    assert totals["usages"] == {"INSTANCE": {"VCPU": 6, "consumer_count": 1}}
    assert (await http.delete(f"/allocations/{consumer}")).status_code == 204
    assert (await http.delete(f"/allocations/{consumer}")).status_code == 404


async def test_trees_move(http: httpx.AsyncClient) -> None:
    one, two = await _provider(http, "one"), await _provider(http, "two")
    three = await _provider(http, "three")

    async def hang(what: Any, on: Any, status: int = 200, version: str = "1.39") -> Any:
        body = {"name": what["name"], "parent_provider_uuid": on and on["uuid"]}
        headers = {"OpenStack-API-Version": f"placement {version}"}
        url = f"/resource_providers/{what['uuid']}"
        reply = await http.put(url, json=body, headers=headers)
        assert reply.status_code == status, reply.text
        return reply.json()

    await hang(two, one, version="1.14")
    await hang(three, two, version="1.14")
    await hang(one, three, 400)
    await hang(two, three, 400, "1.36")
    await hang(two, None, 400, "1.36")
    assert (await hang(two, None))["root_provider_uuid"] == two["uuid"]
    shown = (await http.get(f"/resource_providers/{three['uuid']}")).json()
    assert shown["root_provider_uuid"] == two["uuid"]
    same = {"name": "four"}
    reply = await http.put(f"/resource_providers/{three['uuid']}", json=same)
    assert reply.json()["parent_provider_uuid"] == two["uuid"]


async def test_holders_of_a_provider_have_generations_since_1_28(http: httpx.AsyncClient) -> None:
    one, consumer = await _provider(http, "one", VCPU=2), str(uuid.uuid4())
    await http.put(f"/allocations/{consumer}", json=_claim(one["uuid"], VCPU=1))
    for version, extra in (("1.27", {}), ("1.28", {"consumer_generation": 1})):
        headers = {"OpenStack-API-Version": f"placement {version}"}
        url = f"/resource_providers/{one['uuid']}/allocations"
        held = (await http.get(url, headers=headers)).json()["allocations"][consumer]
        assert held == {"resources": {"VCPU": 1}, **extra}


async def test_traits_and_aggregates_select(http: httpx.AsyncClient) -> None:
    one = await _provider(http, "one", VCPU=2)
    two = await _provider(http, "two", VCPU=2)
    group = str(uuid.uuid4())
    body = {"aggregates": [group], "resource_provider_generation": 1}
    reply = await http.put(f"/resource_providers/{one['uuid']}/aggregates", json=body)
    assert reply.status_code == 200, reply.text
    old = {"OpenStack-API-Version": "placement 1.18"}
    url = f"/resource_providers/{one['uuid']}/aggregates"
    for groups, status in (([group, group], 400), (["x"], 400), ({"aggregates": []}, 400)):
        assert (await http.put(url, json=groups, headers=old)).status_code == status
    reply = await http.put(url, json=[group], headers=old)
    assert (reply.status_code, reply.json()) == (200, {"aggregates": [group]})
    assert (await http.put("/traits/CUSTOM_FAST")).status_code == 201
    assert (await http.put("/traits/CUSTOM_FAST")).status_code == 204
    traits = {"traits": ["CUSTOM_FAST"], "resource_provider_generation": 1}
    await http.put(f"/resource_providers/{two['uuid']}/traits", json=traits)
    base = "/allocation_candidates?resources=VCPU:1"
    for query, expected in (
        (f"&member_of={group}", [one]),
        (f"&member_of=!{group}", [two]),
        ("&required=CUSTOM_FAST", [two]),
        ("&required=!CUSTOM_FAST", [one]),
        ("", [one, two]),
    ):
        found = (await http.get(base + query)).json()["provider_summaries"]
        assert list(found) == [p["uuid"] for p in expected]
    assert (await http.get(base + "&required=CUSTOM_NONE")).status_code == 400
    assert (await http.delete("/traits/CUSTOM_FAST")).status_code == 409


@pytest.mark.parametrize(
    ("method", "url", "body", "status"),
    [
        ("GET", "/resource_providers/nope", None, 404),
        ("POST", "/resource_providers", {}, 400),
        ("POST", "/resource_providers", {"name": 5}, 400),
        ("POST", "/resource_providers", {"name": "x", "colour": "red"}, 400),
        ("GET", "/allocation_candidates", None, 400),
        ("GET", "/allocation_candidates?resources=VCPU:none", None, 400),
        ("GET", "/allocation_candidates?resources=NOPE:1", None, 400),
        ("PUT", f"/allocations/{uuid.UUID(int=1)}", {"allocations": {}}, 400),
        ("PATCH", "/resource_providers", None, 405),
        ("GET", "/nothing/here", None, 404),
    ],
)
async def test_bad_requests(
    http: httpx.AsyncClient, method: str, url: str, body: Any, status: int
) -> None:
    reply = await http.request(method, url, json=body)
    assert reply.status_code == status, reply.text
    assert reply.json()["errors"][0]["request_id"] == reply.headers["x-openstack-request-id"]


async def test_old_versions_see_their_own_forms(http: httpx.AsyncClient) -> None:
    made = await _provider(http, "old", VCPU=2)
    v10 = {"OpenStack-API-Version": "placement 1.0"}
    seen = (await http.get(f"/resource_providers/{made['uuid']}", headers=v10)).json()
    assert "parent_provider_uuid" not in seen
    assert [x["rel"] for x in seen["links"]] == ["self", "inventories", "usages"]
    assert (await http.get("/traits", headers=v10)).status_code == 404
    quiet = await http.post("/resource_providers", json={"name": "q"}, headers=v10)
    assert (quiet.status_code, quiet.content) == (201, b"")
    body = {
        "allocations": [{"resource_provider": {"uuid": made["uuid"]}, "resources": {"VCPU": 1}}]
    }
    reply = await http.put(f"/allocations/{uuid.uuid4()}", json=body, headers=v10)
    assert reply.status_code == 204, reply.text
    too_new = {"OpenStack-API-Version": "placement 1.99"}
    assert (await http.get("/traits", headers=too_new)).status_code == 406


async def test_policy(http: httpx.AsyncClient) -> None:
    for token, status in (("member", 403), ("nobody", 401)):
        reply = await http.get("/resource_providers", headers={"X-Auth-Token": token})
        assert reply.status_code == status


async def test_openapi(http: httpx.AsyncClient) -> None:
    doc = (await http.get("/openapi.json")).json()
    assert doc["openapi"] == "3.1.0"
    assert "/allocation_candidates" in doc["paths"]

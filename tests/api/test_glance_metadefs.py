"""The metadata definition catalogue through glance's HTTP API."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from glance_cloud import Cloud, cloud_in

URL = "/v2/metadefs/namespaces"


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with cloud_in(tmp_path) as cloud:
        yield cloud


async def _post(cloud: Cloud, path: str, **body: Any) -> httpx.Response:
    return await cloud.ask("POST", URL + path, "admin", json=body)


async def test_namespace(cloud: Cloud) -> None:
    made = await _post(
        cloud,
        "",
        namespace="OS::Test",
        protected=True,
        visibility="public",
        resource_type_associations=[{"name": "OS::Nova::Server", "prefix": "hw_"}],
        properties={"p": {"type": "string", "title": "P"}},
        objects=[{"name": "o"}],
        tags=[{"name": "t"}],
    )
    assert made.status_code == 201, made.text
    assert made.headers["location"].endswith("/v2/metadefs/namespaces/OS::Test")
    shown = (await cloud.ask("GET", URL + "/OS::Test")).json()
    assert shown["properties"] == {"p": {"name": "p", "type": "string", "title": "P"}}
    assert shown["objects"][0]["name"] == "o" and shown["tags"][0]["name"] == "t"
    assert shown["resource_type_associations"][0]["prefix"] == "hw_"
    assert shown["owner"] == "ops" and shown["schema"] == "/v2/schemas/metadefs/namespace"
    assert (await _post(cloud, "", namespace="OS::Test")).status_code == 409
    assert (await cloud.ask("DELETE", URL + "/OS::Test", "admin")).status_code == 403
    assert (await cloud.ask("DELETE", URL + "/OS::Test/tags/t", "admin")).status_code == 403
    change = {"namespace": "renamed", "protected": False, "visibility": "private"}
    reply = await cloud.ask("PUT", URL + "/OS::Test", "admin", json=change)
    assert reply.status_code == 200, reply.text
    assert (await cloud.ask("GET", URL + "/renamed")).status_code == 404
    inside = (await cloud.ask("GET", URL + "/renamed/objects", "admin")).json()["objects"]
    assert inside[0]["name"] == "o"
    assert (await cloud.ask("DELETE", URL + "/renamed", "admin")).status_code == 204
    assert (await cloud.ask("GET", URL, "admin")).json()["namespaces"] == []


async def test_lists_and_personas(cloud: Cloud) -> None:
    for name, visibility in (("a", "public"), ("b", "private")):
        await _post(cloud, "", namespace=name, visibility=visibility)
    await _post(cloud, "/a/resource_types", name="Own::Type")

    async def names(query: str, who: str = "admin") -> list[str]:
        found = (await cloud.ask("GET", URL + query, who)).json()["namespaces"]
        return [one["namespace"] for one in found]

    assert await names("") == ["b", "a"]
    assert await names("", "member") == ["a"]
    assert await names("?visibility=private") == ["b"]
    assert await names("?resource_types=Own::Type,Other") == ["a"]
    assert await names("?sort_key=namespace&sort_dir=asc&limit=1") == ["a"]
    assert await names("?limit=1&marker=b") == ["a"]
    assert (await cloud.ask("GET", URL + "?marker=x")).status_code == 400
    assert (await cloud.ask("POST", URL, json={"namespace": "x"})).status_code == 403
    assert (await cloud.ask("DELETE", URL + "/a")).status_code == 403
    types = (await cloud.ask("GET", "/v2/metadefs/resource_types")).json()["resource_types"]
    assert {"Own::Type", "OS::Glance::Image"} <= {one["name"] for one in types}
    url = URL + "/a/resource_types"
    assert (await cloud.ask("GET", url)).json()["resource_type_associations"]
    assert (await cloud.ask("DELETE", url + "/Own::Type", "admin")).status_code == 204
    assert (await cloud.ask("DELETE", url + "/Own::Type", "admin")).status_code == 404


@pytest.mark.parametrize(
    ("kind", "body", "rest"),
    [
        ("objects", {"name": "x"}, {"description": "d"}),
        ("properties", {"name": "x", "type": "string", "title": "T"}, {"minLength": 1}),
    ],
)
async def test_definitions(
    cloud: Cloud, kind: str, body: dict[str, Any], rest: dict[str, Any]
) -> None:
    await _post(cloud, "", namespace="n", visibility="public")
    url = f"{URL}/n/{kind}"
    assert (await _post(cloud, f"/n/{kind}", **body)).status_code == 201
    assert (await _post(cloud, f"/n/{kind}", **body)).status_code == 409
    for bad in ({}, {"name": 1}, {"name": "x" * 81, **rest}):
        assert (await _post(cloud, f"/n/{kind}", **bad)).status_code == 400
    assert (await cloud.ask("GET", url + "/x")).json()["name"] == "x"
    changed = await cloud.ask("PUT", url + "/x", "admin", json={**body, "name": "y", **rest})
    assert changed.status_code == 200 and changed.json()["name"] == "y"
    assert rest.items() <= changed.json().items()
    assert (await cloud.ask("GET", url + "/x")).status_code == 404
    assert (await cloud.ask("DELETE", url + "/y")).status_code == 403
    assert (await cloud.ask("DELETE", url + "/y", "admin")).status_code == 204
    assert not (await cloud.ask("GET", url)).json()[kind]


async def test_tags(cloud: Cloud) -> None:
    await _post(cloud, "", namespace="n", visibility="public")
    url = URL + "/n/tags"

    async def names() -> list[str]:
        return [one["name"] for one in (await cloud.ask("GET", url)).json()["tags"]]

    body = {"tags": [{"name": "a"}, {"name": "b"}]}
    assert (await _post(cloud, "/n/tags", **body)).status_code == 201
    assert (await _post(cloud, "/n/tags", tags=[{"name": "c"}])).status_code == 201
    assert await names() == ["c"]
    reply = await cloud.ask("POST", url, "admin", json=body, headers={"x-openstack-append": "True"})
    assert reply.status_code == 201 and await names() == ["a", "b", "c"]
    assert (await cloud.ask("POST", url + "/d", "admin")).status_code == 201
    assert (await cloud.ask("POST", url + "/d", "admin")).status_code == 409
    assert (await cloud.ask("PUT", url + "/d", "admin", json={"name": "e"})).json()["name"] == "e"
    assert (await cloud.ask("DELETE", url + "/e", "admin")).status_code == 204
    assert (await cloud.ask("DELETE", url, "admin")).status_code == 204
    assert await names() == []


async def test_schemas(cloud: Cloud) -> None:
    for name, called in (
        ("namespace", "namespace"),
        ("resource_type", "resource_type_association"),
        ("resource_types", "resource_type_associations"),
        ("property", "property"),
        ("tags", "tags"),
    ):
        reply = await cloud.ask("GET", f"/v2/schemas/metadefs/{name}")
        assert reply.json()["name"] == called
    assert (await cloud.ask("GET", "/v2/schemas/metadefs/x")).status_code == 404


async def test_properties_are_named_as_a_resource_type_wants(cloud: Cloud) -> None:
    number = {"type": "integer", "title": "N", "default": 100}
    await _post(
        cloud,
        "",
        namespace="ns",
        resource_type_associations=[{"name": "Its::Type", "prefix": "hw_"}],
        properties={"n": number},
        objects=[{"name": "o", "properties": {"n": number}, "required": ["n"]}],
        tags=[{"name": "t"}],
    )
    url = URL + "/ns"
    shown = (await cloud.ask("GET", url + "?resource_type=Its::Type", "admin")).json()
    assert list(shown["properties"]) == ["hw_n"]
    assert shown["objects"][0]["required"] == ["hw_n"]
    assert shown["objects"][0]["properties"]["hw_n"]["default"] == "100"
    for name, status in (("hw_n", 200), ("n", 404)):
        path = f"{url}/properties/{name}?resource_type=Its::Type"
        assert (await cloud.ask("GET", path, "admin")).status_code == status
    listed = (await cloud.ask("GET", URL, "admin")).json()["namespaces"]
    assert listed[0]["resource_type_associations"][0]["prefix"] == "hw_"
    tag = (await cloud.ask("GET", url + "/tags/t", "admin")).json()
    assert tag.keys() == {"name", "created_at", "updated_at"}

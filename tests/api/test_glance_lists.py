"""Lists of images: filters, order, pages, visibility."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from glance_cloud import Cloud, cloud_in

from aerostat.services.glance.db import images as rows


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with cloud_in(tmp_path) as cloud:
        yield cloud


async def _some(cloud: Cloud) -> None:
    await cloud.image(name="a", tags=["x"], os_distro="debian", min_ram=1)
    await cloud.image(name="b,c", tags=["x", "y"], disk_format="qcow2", visibility="private")
    data = await cloud.image(name="d", visibility="community", protected=True)
    await cloud.upload(data["id"], b"12345")
    await cloud.image("admin", name="e", visibility="public")
    await cloud.image("other", name="f", visibility="community")
    await cloud.image(name="h", os_hidden=True)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "a|b,c|d|e"),
        ("name=a", "a"),
        ('name=in:a,"b,c"', "a|b,c"),
        ("status=active", "d"),
        ("status=in:active,queued", "a|b,c|d|e"),
        ("disk_format=qcow2", "b,c"),
        ("container_format=bare&owner=p1", "a|b,c|d"),
        ("owner=ops", "e"),
        ("tag=x", "a|b,c"),
        ("tag=x&tag=y", "b,c"),
        ("visibility=private", "b,c"),
        ("visibility=shared", "a"),
        ("visibility=public", "e"),
        ("visibility=community", "d|f"),
        ("visibility=all", "a|b,c|d|e|f"),
        ("protected=true", "d"),
        ("size_min=5", "d"),
        ("size_max=4", ""),
        ("os_distro=debian", "a"),
        ("os_distro=none", ""),
        ("os_hidden=true", "h"),
        ("min_ram=1", "a"),
        ("created_at=gt:2020-01-01T00:00:00Z", "a|b,c|d|e"),
        ("created_at=lt:2020-01-01T00:00:00Z", ""),
        ("updated_at=neq:2020-01-01T00:00:00", "a|b,c|d|e"),
        ("id=in:", ""),
    ],
)
async def test_filters(cloud: Cloud, query: str, names: str) -> None:
    await _some(cloud)
    assert sorted(await cloud.names(query)) == [name for name in names.split("|") if name]


async def test_times_are_compared_as_shown(cloud: Cloud) -> None:
    when = (await cloud.image(name="now"))["created_at"]
    for op, found in (("eq", 1), ("gte", 1), ("lte", 1), ("gt", 0), ("lt", 0), ("neq", 0)):
        assert len(await cloud.names(f"created_at={op}:{when}")) == found, op
    assert len(await cloud.names(f"created_at={when}")) == 1


async def test_order_and_pages(cloud: Cloud) -> None:
    for name in "cabed":
        await cloud.image(name=name, min_disk=0 if name in "ab" else 1)
    assert await cloud.names() == list("debac")
    assert await cloud.names("sort=name:asc") == list("abcde")
    assert await cloud.names("sort_key=name&sort_dir=desc") == list("edcba")
    assert await cloud.names("sort=min_disk:desc,name:asc") == list("cdeab")
    assert await cloud.names("sort_key=min_disk&sort_key=name&sort_dir=asc") == list("abcde")
    url, seen = "/v2/images?limit=2&sort=name:asc", []
    while url:
        page = (await cloud.ask("GET", url)).json()
        assert page["first"] == "/v2/images?limit=2&sort=name%3Aasc"
        assert page["schema"] == "/v2/schemas/images"
        seen += [image["name"] for image in page["images"]]
        url = page.get("next", "")
    assert seen == list("abcde")
    assert await cloud.names("limit=0") == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1",
        "limit=x",
        "marker=nope",
        "sort=nope:asc",
        "sort=name:sideways",
        "sort=name&sort_key=name",
        "visibility=secret",
        "member_status=maybe",
        "size_min=-1",
        "size_max=x",
        "protected=perhaps",
        "os_hidden=perhaps",
        "created_at=later:2020-01-01T00:00:00Z",
        "created_at=gt:yesterday",
        'name=in:"a,b',
    ],
)
async def test_bad_queries(cloud: Cloud, query: str) -> None:
    reply = await cloud.ask("GET", f"/v2/images?{query}")
    assert reply.status_code == 400, reply.text


@pytest.mark.parametrize("change", ["private", "gone"])
async def test_change_amid_a_list(cloud: Cloud, change: str) -> None:
    """An image that is closed or deleted while a list is made up is not in the list any more."""
    secret = await cloud.image("other", name="secret", visibility="community")
    await cloud.image(name="mine")
    read, done = cloud.glance.db.read, False

    async def read_late(fn: Any, *args: Any) -> Any:
        nonlocal done
        if fn is rows.whole and not done:
            done = True
            if change == "private":
                closed = [{"op": "replace", "path": "/visibility", "value": "private"}]
                await cloud.patch(secret["id"], closed, "other")
            else:
                await cloud.ask("DELETE", f"/v2/images/{secret['id']}", "other")
        return await read(fn, *args)

    cloud.glance.rendered.clear()
    cloud.glance.db.read = read_late  # type: ignore[method-assign]
    shown = await cloud.ask("GET", "/v2/images?visibility=all")
    assert done and [image["name"] for image in shown.json()["images"]] == ["mine"]


async def test_filters_that_v2_does_not_take(cloud: Cloud) -> None:
    since = "changes-since=2026-01-01T00:00:00Z"
    for query in (since, "protected=False", "protected=1", "name=%FF"):
        assert (await cloud.ask("GET", f"/v2/images?{query}")).status_code == 400


async def test_pages_of_tasks(cloud: Cloud) -> None:
    body = {"type": "import", "input": {"import_from": "http://10.0.0.1/", "image_properties": {}}}
    ids = []
    for _ in range(3):
        made = await cloud.ask("POST", "/v2/tasks", "admin", json=body)
        assert (made.status_code, made.json()["status"]) == (201, "pending"), made.text
        ids.append(made.json()["id"])
    ended = (await cloud.ask("GET", f"/v2/tasks/{ids[0]}", "admin")).json()
    assert ended["status"] == "failure" and "filtering" in ended["message"]
    url, found = "/v2/tasks?limit=2&type=import&sort_key=created_at&sort_dir=asc", []
    while url:
        page = (await cloud.ask("GET", url, "admin")).json()
        found += [task["id"] for task in page["tasks"]]
        url = page.get("next", "")
    assert found == ids and page["first"].startswith("/v2/tasks?limit=2")
    for query in ("marker=x", "sort_key=owner", "limit=-1"):
        assert (await cloud.ask("GET", f"/v2/tasks?{query}", "admin")).status_code == 400
    assert (await cloud.ask("GET", "/v2/tasks?status=success", "admin")).json()["tasks"] == []

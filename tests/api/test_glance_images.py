"""Images through glance's HTTP API: their life, PATCH, who may do what, members, tasks."""

import hashlib
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from glance_cloud import OCTETS, Cloud, cloud_in
from msgspec.structs import replace

from aerostat.contracts.image import NewImage
from aerostat.kit.errors import Forbidden, NotFound
from aerostat.services.glance.domain import images
from aerostat.services.glance.model.image import Image
from aerostat.services.glance.provides import ImageProvider


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with cloud_in(tmp_path) as cloud:
        yield cloud


async def test_life_of_an_image(cloud: Cloud) -> None:
    made = await cloud.image(name="one", os_distro="debian", tags=["a", "b", "a"])
    assert made["status"] == "queued" and made["visibility"] == "shared" and made["size"] is None
    assert made["os_distro"] == "debian" and made["tags"] == ["a", "b"] and made["owner"] == "p1"
    assert made["self"] == f"/v2/images/{made['id']}"
    url = made["file"]
    assert (await cloud.ask("GET", url)).status_code == 204
    data = os.urandom(3 << 20)
    reply = await cloud.upload(made["id"], data)
    assert reply.status_code == 204, reply.text
    now = await cloud.show(made["id"])
    assert now["status"] == "active" and now["size"] == now["virtual_size"] == len(data)
    assert now["checksum"] == hashlib.md5(data).hexdigest()
    assert now["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert now["os_hash_algo"] == "sha512"
    got = await cloud.ask("GET", url)
    assert got.status_code == 200 and got.content == data
    assert got.headers["content-md5"] == now["checksum"]
    assert got.headers["content-length"] == str(len(data))
    assert (await cloud.upload(made["id"], b"again")).status_code == 409
    assert cloud.files() == [made["id"]]
    assert (await cloud.ask("DELETE", made["self"])).status_code == 204
    assert (await cloud.ask("GET", made["self"])).status_code == 404
    assert cloud.files() == []


async def test_provider_and_tickets(cloud: Cloud) -> None:
    made, other = await cloud.image(), await cloud.image()
    for image in (made, other):
        await cloud.upload(image["id"], b"x" * 1000)
    provider = ImageProvider(cloud.glance)
    facts = await provider.get(image_id=made["id"], project_id="p1", is_admin=False)
    assert facts.size_bytes == 1000 and facts.status == "active"
    with pytest.raises(NotFound):
        await provider.get(image_id=made["id"], project_id="p2", is_admin=False)
    path = await provider.download_path(image_id=made["id"])
    assert (await cloud.http.get(path)).content == b"x" * 1000
    stolen = path.replace(made["id"], other["id"])
    assert (await cloud.http.get(stolen)).status_code == 401
    assert (await cloud.http.get(path[:-1])).status_code == 401
    assert (await cloud.http.get(made["file"])).status_code == 401
    assert (await cloud.http.get(made["file"] + "?ticket=9999999999.é")).status_code == 401
    assert (await cloud.ask("GET", made["file"] + "?ticket=no")).status_code == 200
    with pytest.raises(NotFound):
        await provider.download_path(image_id=(await cloud.image())["id"])


async def test_other_services_do_not_set_what_is_glances_own(cloud: Cloud) -> None:
    """A stage host that a client made up would be sent the tokens of others."""
    provider, evil = ImageProvider(cloud.glance), {"os_glance_stage_host": "http://evil", "a": "1"}
    new = NewImage(
        id=str(uuid.uuid4()), name="shot", owner="p1", disk_format="raw", properties=evil
    )
    await provider.create(image=new)
    facts = await provider.get(image_id=new.id, project_id="p1", is_admin=False)
    assert facts.properties == {"a": "1"}
    mine = {"image_id": new.id, "project_id": "p1", "is_admin": False}
    with pytest.raises(Forbidden):
        await provider.set_properties(**mine, properties=evil)
    await cloud.upload(new.id, b"x")

    def failed(image: Image) -> Image:
        return replace(image, properties={**image.properties, "os_glance_failed_import": "s"})

    await images.edit(cloud.glance, new.id, failed)
    await provider.set_properties(**mine, properties={"b": "2"})
    shown = await cloud.show(new.id)
    assert shown["b"] == "2" and "a" not in shown and shown["os_glance_failed_import"] == "s"


async def test_chosen_id_and_bad_bodies(cloud: Cloud) -> None:
    chosen = str(uuid.uuid4())
    assert (await cloud.image(id=chosen))["id"] == chosen
    for body, status in (
        ({"id": chosen}, 409),
        ({"id": "no"}, 400),
        ({"disk_format": "floppy"}, 400),
        ({"container_format": 1}, 400),
        ({"visibility": "secret"}, 400),
        ({"visibility": "public"}, 403),
        ({"min_ram": -1}, 400),
        ({"min_disk": "1"}, 400),
        ({"min_disk": 1 << 31}, 400),
        ({"protected": "yes"}, 400),
        ({"tags": "a"}, 400),
        ({"tags": ["x" * 256]}, 400),
        ({"name": "x" * 256}, 400),
        ({"custom": 1}, 400),
        ({"size": 1}, 403),
        ({"checksum": "x"}, 403),
        ({"locations": []}, 403),
        ({"os_glance_x": "1"}, 403),
        ({"owner": "p2"}, 403),
        ({f"p{i}": "" for i in range(129)}, 413),
        ([], 400),
        ("x", 400),
    ):
        reply = await cloud.ask("POST", "/v2/images", json=body)
        assert reply.status_code == status, (body, reply.text)
    assert (await cloud.ask("POST", "/v2/images", content=b"{")).status_code == 400
    assert await cloud.names() == ["i"]


REPLACE_NAME = {"op": "replace", "path": "/name", "value": "new"}


async def test_patch(cloud: Cloud) -> None:
    image = await cloud.image(old="1", tags=["t"])
    reply = await cloud.patch(
        image["id"],
        [
            REPLACE_NAME,
            {"op": "add", "path": "/a~1b", "value": "slash"},
            {"op": "replace", "path": "/old", "value": "2"},
            {"op": "add", "path": "/tags", "value": ["x", "y"]},
            {"op": "replace", "path": "/min_ram", "value": 64},
            {"op": "replace", "path": "/os_hidden", "value": True},
            {"op": "add", "path": "/gone", "value": "x"},
            {"op": "remove", "path": "/gone"},
        ],
    )
    assert reply.status_code == 200, reply.text
    now = reply.json()
    assert now["name"] == "new" and now["a/b"] == "slash" and now["old"] == "2"
    assert now["tags"] == ["x", "y"] and now["min_ram"] == 64 and now["os_hidden"] is True
    assert "gone" not in now and now == await cloud.show(image["id"])
    old = {"content-type": "application/openstack-images-v2.0-json-patch"}
    reply = await cloud.ask(
        "PATCH", image["self"], json=[{"replace": "/name", "value": "v2.0"}], headers=old
    )
    assert reply.status_code == 200 and reply.json()["name"] == "v2.0"


@pytest.mark.parametrize(
    ("ops", "status"),
    [
        ({}, 400),
        ([1], 400),
        ([{"op": "move", "path": "/a", "value": "b"}], 400),
        ([{"path": "/a", "value": "b"}], 400),
        ([{"op": "add", "path": "a", "value": "b"}], 400),
        ([{"op": "add", "path": "/a//b", "value": "b"}], 400),
        ([{"op": "add", "path": "/a/b", "value": "b"}], 400),
        ([{"op": "add", "path": "/a"}], 400),
        ([{"op": "add", "path": "/a", "value": 1}], 400),
        ([{"op": "replace", "path": "/absent", "value": "b"}], 409),
        ([{"op": "remove", "path": "/absent"}], 409),
        ([{"op": "remove", "path": "/name"}], 403),
        ([{"op": "replace", "path": "/id", "value": str(uuid.uuid4())}], 403),
        ([{"op": "replace", "path": "/status", "value": "active"}], 403),
        ([{"op": "replace", "path": "/size", "value": 1}], 403),
        ([{"op": "replace", "path": "/owner", "value": "p2"}], 403),
        ([{"op": "replace", "path": "/visibility", "value": "public"}], 403),
        ([{"op": "replace", "path": "/protected", "value": "yes"}], 400),
        ([REPLACE_NAME, {"op": "remove", "path": "/absent"}], 409),
    ],
)
async def test_patch_errors_change_nothing(cloud: Cloud, ops: Any, status: int) -> None:
    image = await cloud.image()
    reply = await cloud.patch(image["id"], ops)
    assert reply.status_code == status, reply.text
    assert (await cloud.show(image["id"]))["name"] == "i"


async def test_patch_media_type_and_formats_of_active_images(cloud: Cloud) -> None:
    image = await cloud.image()
    reply = await cloud.ask("PATCH", image["self"], json=[REPLACE_NAME])
    assert reply.status_code == 415 and "json-patch" in reply.headers["accept-patch"]
    change = [{"op": "replace", "path": "/disk_format", "value": "iso"}]
    assert (await cloud.patch(image["id"], change)).status_code == 200
    change[0]["value"] = "raw"
    assert (await cloud.patch(image["id"], change)).status_code == 200
    await cloud.upload(image["id"], b"data")
    assert (await cloud.patch(image["id"], change)).status_code == 403


async def test_protected_deactivated_and_tags(cloud: Cloud) -> None:
    image = await cloud.image(protected=True)
    url = image["self"]
    assert (await cloud.ask("DELETE", url)).status_code == 403
    off = [{"op": "replace", "path": "/protected", "value": False}]
    assert (await cloud.patch(image["id"], off)).status_code == 200
    assert (await cloud.ask("POST", url + "/actions/deactivate")).status_code == 400
    await cloud.upload(image["id"], b"data")
    for _ in range(2):
        assert (await cloud.ask("POST", url + "/actions/deactivate")).status_code == 204
    assert (await cloud.ask("GET", image["file"])).status_code == 403
    assert (await cloud.ask("GET", image["file"], "admin")).status_code == 200
    assert (await cloud.show(image["id"]))["status"] == "deactivated"
    assert (await cloud.ask("POST", url + "/actions/reactivate")).status_code == 204
    assert (await cloud.ask("GET", image["file"])).status_code == 200
    for _ in range(2):
        assert (await cloud.ask("PUT", url + "/tags/green")).status_code == 204
    assert (await cloud.show(image["id"]))["tags"] == ["green"]
    assert (await cloud.ask("PUT", url + "/tags/" + "x" * 256)).status_code == 400
    assert (await cloud.ask("DELETE", url + "/tags/green")).status_code == 204
    assert (await cloud.ask("DELETE", url + "/tags/green")).status_code == 404
    assert (await cloud.ask("DELETE", url)).status_code == 204


@pytest.mark.parametrize(
    ("visibility", "who", "expected"),
    [
        ("private", "reader", (200, 403, 403, 403, 403)),
        ("private", "other", (404, 404, 404, 404, 404)),
        ("private", "admin", (200, 200, 200, 204, 204)),
        ("private", "member", (200, 200, 200, 204, 204)),
        ("public", "other", (200, 200, 403, 403, 403)),
        ("community", "other", (200, 200, 403, 403, 403)),
        ("shared", "other", (404, 404, 404, 404, 404)),
    ],
)
async def test_personas(cloud: Cloud, visibility: str, who: str, expected: tuple[int, ...]) -> None:
    owner = "admin" if visibility == "public" else "member"
    owned = {"owner": "p1"} if owner == "admin" else {}
    image = await cloud.image(owner, visibility=visibility, **owned)
    await cloud.upload(image["id"], b"data", owner)
    got = (
        (await cloud.ask("GET", image["self"], who)).status_code,
        (await cloud.ask("GET", image["file"], who)).status_code,
        (await cloud.patch(image["id"], [REPLACE_NAME], who)).status_code,
        (await cloud.ask("PUT", image["self"] + "/tags/t", who)).status_code,
        (await cloud.ask("DELETE", image["self"], who)).status_code,
    )
    assert got == expected
    assert (await cloud.ask("POST", "/v2/images", "reader", json={})).status_code == 403
    assert (await cloud.http.get("/v2/images")).status_code == 401


async def test_members(cloud: Cloud) -> None:
    image = await cloud.image(name="shared one")
    url = image["self"] + "/members"
    assert (await cloud.ask("GET", image["self"], "other")).status_code == 404
    assert (await cloud.ask("POST", url, "other", json={"member": "p2"})).status_code == 404
    made = await cloud.ask("POST", url, json={"member": "p2"})
    assert made.status_code == 200 and made.json()["status"] == "pending"
    assert made.json()["member_id"] == "p2" and made.json()["image_id"] == image["id"]
    assert (await cloud.ask("POST", url, json={"member": "p2"})).status_code == 409
    await cloud.ask("POST", url, json={"member": "p3"})
    assert len((await cloud.ask("GET", url)).json()["members"]) == 2
    assert len((await cloud.ask("GET", url, "other")).json()["members"]) == 1
    assert (await cloud.ask("GET", url + "/p3", "other")).status_code == 404
    assert await cloud.names(who="other") == []
    assert await cloud.names("member_status=pending", "other") == ["shared one"]
    accept = {"status": "accepted"}
    assert (await cloud.ask("PUT", url + "/p2", json=accept)).status_code == 403
    assert (await cloud.ask("PUT", url + "/p3", "other", json=accept)).status_code == 403
    assert (await cloud.ask("PUT", url + "/p2", "other", json={"status": "x"})).status_code == 400
    assert (await cloud.ask("PUT", url + "/p2", "other", json=accept)).json()[
        "status"
    ] == "accepted"
    assert await cloud.names(who="other") == ["shared one"]
    assert await cloud.names("visibility=shared", "other") == ["shared one"]
    assert (await cloud.ask("DELETE", url + "/p2", "other")).status_code == 403
    assert (await cloud.ask("PUT", url + "/p2", "other", json={"status": "rejected"})).is_success
    assert await cloud.names(who="other") == []
    assert (await cloud.ask("DELETE", url + "/p2")).status_code == 204
    assert (await cloud.ask("DELETE", url + "/p2")).status_code == 404
    private = await cloud.image(visibility="private")
    reply = await cloud.ask("POST", private["self"] + "/members", json={"member": "p2"})
    assert reply.status_code == 403
    assert (await cloud.ask("POST", url, json={"member": ""})).status_code == 400
    assert (await cloud.ask("POST", url, json={})).status_code == 400


async def test_import_of_staged_data(cloud: Cloud) -> None:
    image = await cloud.image()
    url = image["self"]
    body = {"method": {"name": "glance-direct"}}
    assert (await cloud.ask("POST", url + "/import", json=body)).status_code == 409
    staged = await cloud.ask("PUT", url + "/stage", content=b"x" * 100, headers=OCTETS)
    assert staged.status_code == 204, staged.text
    assert (await cloud.show(image["id"]))["status"] == "uploading"
    assert (await cloud.ask("GET", image["file"])).status_code == 204
    begun = await cloud.ask("POST", url + "/import", json=body)
    assert begun.status_code == 202, begun.text
    await cloud.settled()
    now = await cloud.show(image["id"])
    assert now["status"] == "active" and now["size"] == 100
    [task] = (await cloud.ask("GET", url + "/tasks")).json()["tasks"]
    assert task["status"] == "success"
    assert task["request_id"] == begun.headers["x-openstack-request-id"]
    assert cloud.files() == [image["id"]]


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1/x",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://169.254.169.254/latest",
        "http://localhost/x",
        "http://8.8.8.8:22/",
        "http://user@8.8.8.8/",
        "http://8.8.8.8/\r\nx: y",
        "file:///etc/passwd",
        "ftp://8.8.8.8/",
        "nonsense",
        "",
    ],
)
async def test_imports_that_are_refused(cloud: Cloud, uri: str) -> None:
    image = await cloud.image()
    body = {"method": {"name": "web-download", "uri": uri}}
    reply = await cloud.ask("POST", image["self"] + "/import", json=body)
    assert reply.status_code == 400, reply.text
    assert (await cloud.show(image["id"]))["status"] == "queued"


async def test_documents(cloud: Cloud) -> None:
    choices = await cloud.http.get("/")
    assert choices.status_code == 300
    versions = (await cloud.http.get("/versions")).json()["versions"]
    assert versions[0]["id"] == "v2.18" and versions[0]["status"] == "CURRENT"
    assert versions[-1]["id"] == "v2.0"
    for name in ("image", "images", "member", "members", "task", "tasks"):
        reply = await cloud.ask("GET", f"/v2/schemas/{name}")
        assert reply.json()["name"] == name
    assert (await cloud.ask("GET", "/v2/schemas/none")).status_code == 404
    methods = (await cloud.ask("GET", "/v2/info/import")).json()["import-methods"]["value"]
    assert methods == ["glance-direct", "web-download", "copy-image"]
    assert (await cloud.ask("GET", "/v2/info/stores")).json()["stores"][0]["id"] == "file"
    assert (await cloud.ask("GET", "/v2/tasks")).status_code == 403
    assert (await cloud.ask("GET", "/v2/tasks", "admin")).json()["tasks"] == []
    assert (await cloud.http.get("/openapi.json")).status_code == 200

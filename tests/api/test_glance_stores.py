"""Several stores at once: file, S3 (moto's server), web; what fails, what is copied."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import pytest
from glance_cloud import Cloud, cloud_in
from moto.server import ThreadedMotoServer

from aerostat.kit.errors import Unavailable
from aerostat.services.glance.config import FileStore, GlanceConfig, HttpStore, S3Store
from aerostat.services.glance.domain import leases, scrubbing

DATA = bytes(range(256)) * 1024
KEY, SECRET = "a-key", "a-secret"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str) -> Any:
    made = boto3.resource(
        "s3",
        endpoint_url=s3,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    ).Bucket("images")
    made.create()
    made.objects.all().delete()
    return made


def _config(s3: str, folder: Path, **more: Any) -> GlanceConfig:
    return GlanceConfig(
        enabled_backends={
            "file": FileStore(),
            "slow": FileStore(filesystem_store_datadir=str(folder / "slow")),
            "far": S3Store(
                s3_store_host=s3,
                s3_store_bucket="images",
                s3_store_access_key=KEY,
                s3_store_secret_key=SECRET,
                s3_store_large_object_size=100_000,
                s3_store_large_object_chunk_size=5 << 20,
            ),
            "web": HttpStore(),
        },
        web_download_networks=("127.0.0.0/8",),
        **more,
    )


@pytest.fixture
async def cloud(tmp_path: Path, s3: str, bucket: Any) -> AsyncIterator[Cloud]:
    async with cloud_in(tmp_path, _config(s3, tmp_path)) as cloud:
        yield cloud


async def _upload(cloud: Cloud, image_id: str, store: str, data: bytes = DATA) -> int:
    headers = {"content-type": "application/octet-stream", "x-image-meta-store": store}
    path = f"/v2/images/{image_id}/file"
    return (await cloud.ask("PUT", path, content=data, headers=headers)).status_code


async def _import(cloud: Cloud, image_id: str, name: str, who: str = "member", **more: Any) -> int:
    body = {"method": {"name": name}, **more}
    path = f"/v2/images/{image_id}/import"
    status = (await cloud.ask("POST", path, who, json=body)).status_code
    await cloud.settled()
    return status


def _slow(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "slow").iterdir()]


def _objects(bucket: Any) -> list[str]:
    return [one.key for one in bucket.objects.all()]


async def test_what_stores_there_are(cloud: Cloud) -> None:
    shown = (await cloud.ask("GET", "/v2/info/stores")).json()["stores"]
    assert shown == [
        {"id": "file", "default": "true"},
        {"id": "slow"},
        {"id": "far"},
        {"id": "web", "read-only": "true"},
    ]
    assert (await cloud.ask("GET", "/v2/info/stores/detail")).status_code == 403
    detail = (await cloud.ask("GET", "/v2/info/stores/detail", "admin")).json()["stores"]
    assert [one["type"] for one in detail] == ["file", "file", "s3", "http"]
    reply = await cloud.ask("POST", "/v2/images", json={"name": "i"})
    assert reply.headers["openstack-image-store-ids"] == "file,slow,far,web"


async def test_upload_to_a_store(cloud: Cloud, tmp_path: Path, bucket: Any) -> None:
    image = await cloud.image()
    assert await _upload(cloud, image["id"], "nowhere") == 400
    assert await _upload(cloud, image["id"], "web") == 400
    assert await _upload(cloud, image["id"], "slow") == 204
    now = await cloud.show(image["id"])
    assert now["stores"] == "slow" and now["size"] == len(DATA)
    assert "locations" not in now and "direct_url" not in now
    assert _slow(tmp_path) == [image["id"]] and cloud.files() == []
    assert (await cloud.ask("DELETE", image["self"])).status_code == 204
    assert _slow(tmp_path) == []


@pytest.mark.parametrize("size", [1, 99_999, len(DATA), (11 << 20) + 3])
async def test_s3(cloud: Cloud, bucket: Any, size: int) -> None:
    data = (DATA * 48)[:size]
    image = await cloud.image()
    assert await _upload(cloud, image["id"], "far", data) == 204
    assert _objects(bucket) == [image["id"]] and cloud.files() == []
    assert (await cloud.ask("GET", image["file"])).content == data
    ranged = await cloud.ask("GET", image["file"], headers={"range": f"bytes=0-{size // 2}"})
    assert ranged.status_code == 206 and ranged.content == data[: size // 2 + 1]
    assert (await cloud.ask("DELETE", image["self"])).status_code == 204
    assert _objects(bucket) == []


async def test_s3_that_fails_leaves_nothing(cloud: Cloud, bucket: Any, monkeypatch: Any) -> None:
    image = await cloud.image()
    driver: Any = cloud.glance.stores.get("far")

    def broken(*_args: Any) -> Any:
        raise Unavailable("cut off")

    monkeypatch.setattr("aerostat.services.glance.drivers.s3.span", broken)
    assert await _upload(cloud, image["id"], "far", DATA) == 503
    assert _objects(bucket) == []
    uploads = bucket.meta.client.list_multipart_uploads(Bucket="images")
    assert not uploads.get("Uploads")
    now = await cloud.show(image["id"])
    assert now["status"] == "queued" and "stores" not in now
    monkeypatch.undo()
    assert driver.owns(driver.url(image["id"]))
    assert await _upload(cloud, image["id"], "far") == 204


async def _staged(cloud: Cloud) -> str:
    image = await cloud.image()
    path = f"/v2/images/{image['id']}/stage"
    headers = {"content-type": "application/octet-stream"}
    assert (await cloud.ask("PUT", path, content=DATA, headers=headers)).status_code == 204
    return str(image["id"])


async def test_import_to_all_stores(cloud: Cloud, tmp_path: Path, bucket: Any) -> None:
    image_id = await _staged(cloud)
    both = {"stores": ["slow"], "all_stores": True}
    assert await _import(cloud, image_id, "glance-direct", **both) == 400
    assert await _import(cloud, image_id, "glance-direct", all_stores=True) == 202
    now = await cloud.show(image_id)
    assert now["status"] == "active" and now["stores"] == "file,slow,far"
    assert now["os_glance_importing_to_stores"] == "" and now["os_glance_failed_import"] == ""
    assert now["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert cloud.files() == [image_id] == _slow(tmp_path) == _objects(bucket)


async def _fails(*_args: Any) -> None:
    raise Unavailable("The store is broken.")


@pytest.mark.parametrize("broken", ["file", "slow", "far"])
async def test_one_store_fails(
    cloud: Cloud, tmp_path: Path, bucket: Any, monkeypatch: Any, broken: str
) -> None:
    monkeypatch.setattr(cloud.glance.stores.get(broken), "add", _fails)
    image_id = await _staged(cloud)
    assert await _import(cloud, image_id, "glance-direct", all_stores=True) == 202
    now = await cloud.show(image_id)
    assert now["status"] == "queued" and "stores" not in now
    assert broken in now["os_glance_failed_import"].split(",")
    assert cloud.files() == _slow(tmp_path) == _objects(bucket) == []
    task = (await cloud.ask("GET", f"/v2/images/{image_id}/tasks")).json()["tasks"][0]
    assert (task["status"], task["message"]) == ("failure", "The store is broken.")

    image_id = await _staged(cloud)
    some = {"all_stores": True, "all_stores_must_succeed": False}
    assert await _import(cloud, image_id, "glance-direct", **some) == 202
    now = await cloud.show(image_id)
    assert now["status"] == "active" and now["os_glance_failed_import"] == broken
    assert set(now["stores"].split(",")) == {"file", "slow", "far"} - {broken}
    monkeypatch.undo()
    assert await _import(cloud, image_id, "copy-image", "admin", stores=[broken]) == 202
    now = await cloud.show(image_id)
    assert set(now["stores"].split(",")) == {"file", "slow", "far"}
    assert now["os_glance_failed_import"] == ""


async def test_copy_image(cloud: Cloud, bucket: Any) -> None:
    image = await cloud.image()
    assert await _import(cloud, image["id"], "copy-image", "admin", stores=["far"]) == 409
    assert await _upload(cloud, image["id"], "file") == 204
    assert await _import(cloud, image["id"], "copy-image", stores=["far"]) == 403
    assert await _import(cloud, image["id"], "copy-image", "admin", stores=["file"]) == 409
    assert await _import(cloud, image["id"], "copy-image", "admin", stores=["web"]) == 400
    assert await _import(cloud, image["id"], "copy-image", "admin", stores=["far"]) == 202
    assert (await cloud.show(image["id"]))["stores"] == "file,far"
    far = bucket.Object(image["id"]).get()["Body"].read()
    assert far == DATA


async def test_a_copy_that_fails_leaves_the_image(cloud: Cloud, monkeypatch: Any) -> None:
    image = await cloud.image()
    assert await _upload(cloud, image["id"], "file") == 204
    monkeypatch.setattr(cloud.glance.stores.get("far"), "add", _fails)
    assert await _import(cloud, image["id"], "copy-image", "admin", all_stores=True) == 202
    now = await cloud.show(image["id"])
    assert now["status"] == "active" and now["stores"] == "file"
    assert (await cloud.ask("GET", image["file"])).content == DATA


async def test_taking_a_store_away(cloud: Cloud, tmp_path: Path, bucket: Any) -> None:
    image_id = await _staged(cloud)
    stores = {"stores": ["slow", "far"]}
    assert await _import(cloud, image_id, "glance-direct", **stores) == 202
    path = f"/v2/stores/slow/{image_id}"
    assert (await cloud.ask("DELETE", path)).status_code == 403
    assert (await cloud.ask("DELETE", f"/v2/stores/no/{image_id}", "admin")).status_code == 404
    assert (await cloud.ask("DELETE", f"/v2/stores/file/{image_id}", "admin")).status_code == 404
    assert (await cloud.ask("DELETE", path, "admin")).status_code == 204
    assert _slow(tmp_path) == [] and (await cloud.show(image_id))["stores"] == "far"
    last = f"/v2/stores/far/{image_id}"
    assert (await cloud.ask("DELETE", last, "admin")).status_code == 403
    assert (await cloud.ask("GET", f"/v2/images/{image_id}/file")).content == DATA


async def test_the_next_store_is_read_when_one_is_away(cloud: Cloud, monkeypatch: Any) -> None:
    image_id = await _staged(cloud)
    assert await _import(cloud, image_id, "glance-direct", stores=["far", "slow"]) == 202

    async def away(*_args: Any) -> Any:
        raise Unavailable("away")

    monkeypatch.setattr(cloud.glance.stores.get("far"), "read", away)
    assert (await cloud.ask("GET", f"/v2/images/{image_id}/file")).content == DATA


async def test_deleted_ids_stay_used(cloud: Cloud) -> None:
    image = await cloud.image()
    assert (await cloud.ask("DELETE", image["self"])).status_code == 204
    reply = await cloud.ask("POST", "/v2/images", json={"id": image["id"]})
    assert reply.status_code == 409


async def test_delayed_delete(tmp_path: Path, s3: str, bucket: Any) -> None:
    config = _config(s3, tmp_path, delayed_delete=True, scrub_time=3600)
    async with cloud_in(tmp_path, config) as cloud:
        image = await cloud.image()
        assert await _upload(cloud, image["id"], "file") == 204
        assert (await cloud.ask("DELETE", image["self"])).status_code == 204
        assert (await cloud.ask("GET", image["self"])).status_code == 404
        assert await scrubbing.scrub(cloud.glance) == 0 and cloud.files() == [image["id"]]
        _later(cloud, 3601)
        assert await scrubbing.scrub(cloud.glance) == 1 and cloud.files() == []


def _later(cloud: Cloud, seconds: float) -> None:
    class Later:
        def now(self) -> float:
            return clock.now() + seconds

        def monotonic(self) -> float:
            return clock.monotonic() + seconds

    clock = cloud.glance.clock
    cloud.glance.clock = Later()


async def test_what_a_store_keeps_is_tried_again(cloud: Cloud, monkeypatch: Any) -> None:
    image = await cloud.image()
    assert await _upload(cloud, image["id"], "file") == 204
    monkeypatch.setattr(cloud.glance.stores.get("file"), "remove", _fails)
    assert (await cloud.ask("DELETE", image["self"])).status_code == 204
    assert cloud.files() == [image["id"]]
    monkeypatch.undo()
    assert await scrubbing.scrub(cloud.glance) == 1 and cloud.files() == []


async def test_another_copy_undoes_what_a_dead_one_left(cloud: Cloud) -> None:
    image = await cloud.image()
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        started.set()
        await go_on.wait()
        yield b"y"

    uploading = asyncio.create_task(cloud.upload(image["id"], slow()))
    await started.wait()
    assert await leases.bury(cloud.glance) == []
    _later(cloud, 100)
    await leases.beat(cloud.glance)
    _later(cloud, 100)
    assert await leases.bury(cloud.glance) == []
    _later(cloud, 100)
    assert await leases.bury(cloud.glance) == [image["id"]]
    assert (await cloud.show(image["id"]))["status"] == "queued"
    assert (await cloud.upload(image["id"], b"another")).status_code == 204
    go_on.set()
    assert (await uploading).status_code == 410
    assert (await cloud.ask("GET", image["file"])).content == b"another"


class _Web(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(200 if self.path == "/data" else 404)
        self.send_header("content-length", str(len(DATA)))
        self.end_headers()

    def do_GET(self) -> None:
        start, _, last = self.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
        data = DATA[int(start) : int(last or len(DATA) - 1) + 1]
        self.send_response(206 if "range" in self.headers else 200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: Any) -> None:
        """Be quiet."""


@pytest.fixture
def web() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Web)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
async def open_cloud(tmp_path: Path, s3: str, bucket: Any, web: str) -> AsyncIterator[Cloud]:
    port = int(web.rpartition(":")[2])
    config = _config(s3, tmp_path, show_multiple_locations=True, web_download_ports=(port,))
    async with cloud_in(tmp_path, config) as cloud:
        yield cloud


async def test_locations_by_patch(open_cloud: Cloud, web: str, bucket: Any) -> None:
    cloud = open_cloud
    image = await cloud.image()
    place = {"url": f"{web}/data", "metadata": {"note": "x"}}
    add = [{"op": "add", "path": "/locations/-", "value": place}]
    assert (await cloud.patch(image["id"], add)).status_code == 200
    now = await cloud.show(image["id"])
    assert now["status"] == "active" and now["stores"] == "web" and now["size"] == len(DATA)
    assert now["locations"] == [{"url": place["url"], "metadata": {"note": "x", "store": "web"}}]
    assert (await cloud.ask("GET", image["file"])).content == DATA
    ranged = await cloud.ask("GET", image["file"], headers={"range": "bytes=3-9"})
    assert ranged.content == DATA[3:10]
    again = {"url": f"{web}/data#2", "metadata": {}, "validation_data": {"checksum": "0" * 32}}
    more = [{"op": "add", "path": "/locations/-", "value": again}]
    assert (await cloud.patch(image["id"], more)).status_code == 409
    remove = [{"op": "remove", "path": "/locations/0"}]
    assert (await cloud.patch(image["id"], remove)).status_code == 403
    assert (await cloud.patch(image["id"], remove, "admin")).status_code == 403
    empty = [{"op": "replace", "path": "/locations", "value": []}]
    assert (await cloud.patch(image["id"], empty, "admin")).status_code == 403
    assert (await cloud.show(image["id"]))["status"] == "active"


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://x/y", "http://10.0.0.1/data", "s3://images/none", "nothing", ""],
)
async def test_locations_that_are_refused(open_cloud: Cloud, url: str) -> None:
    image = await open_cloud.image()
    add = [{"op": "add", "path": "/locations/-", "value": {"url": url, "metadata": {}}}]
    assert (await open_cloud.patch(image["id"], add)).status_code == 400
    path = f"/v2/images/{image['id']}/locations"
    assert (await open_cloud.ask("POST", path, json={"url": url})).status_code == 400
    assert (await open_cloud.show(image["id"]))["status"] == "queued"


async def test_nobody_takes_the_data_of_another_image(open_cloud: Cloud) -> None:
    theirs = await open_cloud.image("other")
    driver = open_cloud.glance.stores
    headers = {"content-type": "application/octet-stream", "x-image-meta-store": "far"}
    sent = await open_cloud.ask("PUT", theirs["file"], "other", content=DATA, headers=headers)
    assert sent.status_code == 204
    for store in ("far", "file"):
        image = await open_cloud.image()
        url = driver.get(store).url(theirs["id"])
        path = f"/v2/images/{image['id']}/locations"
        assert (await open_cloud.ask("POST", path, json={"url": url})).status_code == 400
        add = [{"op": "add", "path": "/locations/-", "value": {"url": url, "metadata": {}}}]
        assert (await open_cloud.patch(image["id"], add)).status_code == 400


async def test_locations_of_their_own(cloud: Cloud, bucket: Any) -> None:
    image = await cloud.image()
    place = [{"op": "add", "path": "/locations/-", "value": {"url": "s3://images/x"}}]
    assert (await cloud.patch(image["id"], place)).status_code == 403
    bucket.put_object(Key="snapshot", Body=DATA)
    path = f"/v2/images/{image['id']}/locations"
    wrong = {"os_hash_algo": "sha512", "os_hash_value": "0" * 128}
    body = {"url": "s3://images/snapshot", "validation_data": wrong}
    assert (await cloud.ask("POST", path, json=body)).status_code == 202
    assert (await cloud.show(image["id"]))["status"] == "importing"
    await cloud.settled()
    now = await cloud.show(image["id"])
    assert now["status"] == "queued" and "stores" not in now
    assert _objects(bucket) == ["snapshot"]
    right = {"os_hash_algo": "sha512", "os_hash_value": hashlib.sha512(DATA).hexdigest()}
    body["validation_data"] = right
    assert (await cloud.ask("POST", path, "reader", json=body)).status_code == 403
    assert (await cloud.ask("POST", path, json=body)).status_code == 202
    await cloud.settled()
    now = await cloud.show(image["id"])
    assert now["status"] == "active" and now["stores"] == "far"
    assert now["os_hash_value"] == right["os_hash_value"]
    assert (await cloud.ask("POST", path, json=body)).status_code == 409
    assert (await cloud.ask("GET", path)).status_code == 403
    assert (await cloud.ask("GET", path, "admin")).status_code == 200
    shown = (await cloud.ask("GET", path, "service")).json()
    assert shown == [{"url": "s3://images/snapshot", "metadata": {"store": "far"}}]


@pytest.mark.parametrize(
    "said",
    [
        {"os_hash_value": "0" * 128},
        {"os_hash_algo": "none", "os_hash_value": "0" * 128},
        {"os_hash_algo": "sha512", "os_hash_value": "0" * 12},
        {"os_hash_algo": "sha512", "os_hash_value": "z" * 128},
        {"checksum": "no"},
        {"other": "x"},
    ],
)
async def test_claims_that_make_no_sense(cloud: Cloud, bucket: Any, said: dict[str, str]) -> None:
    image = await cloud.image()
    bucket.put_object(Key="snapshot", Body=DATA)
    body = {"url": "s3://images/snapshot", "validation_data": said}
    path = f"/v2/images/{image['id']}/locations"
    assert (await cloud.ask("POST", path, json=body)).status_code == 400


async def test_without_claims_it_is_active_at_once(cloud: Cloud, bucket: Any) -> None:
    image = await cloud.image()
    bucket.put_object(Key="snapshot", Body=DATA)
    path = f"/v2/images/{image['id']}/locations"
    body = {"url": "s3://images/snapshot"}
    assert (await cloud.ask("POST", path, json=body)).status_code == 202
    now = await cloud.show(image["id"])
    assert (now["status"], now["os_hash_algo"]) == ("active", "sha512")
    await cloud.settled()
    assert (await cloud.show(image["id"]))["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert (await cloud.ask("DELETE", image["self"])).status_code == 204
    assert _objects(bucket) == []


async def test_operators_are_told_of_stores(tmp_path: Path) -> None:
    async with cloud_in(tmp_path) as cloud:
        (store,) = (await cloud.ask("GET", "/v2/info/stores/detail", "admin")).json()["stores"]
        assert store["properties"]["data_dir"] == str(cloud.images)

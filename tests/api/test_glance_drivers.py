"""One suite for every driver of a store: file, S3 (moto's), RBD and Swift (real ones)."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from glance_cloud import cloud_in
from moto.server import ThreadedMotoServer
from msgspec.structs import replace
from tests.servers import server
from tests.whole_cloud import PASSWORD, WholeCloud

from aerostat.assembly.ceph import POOL, USER, Ceph
from aerostat.assembly.image_stores import open_stores
from aerostat.assembly.swift import Swift
from aerostat.kit.clock import SystemClock
from aerostat.kit.errors import Fault, NotFound, Unsupported
from aerostat.kit.http.serve import HttpServer
from aerostat.kit.ids import new_uuid
from aerostat.kit.log import Secret
from aerostat.services.glance.config import (
    FileStore,
    GlanceConfig,
    RbdStore,
    S3Store,
    StoreConfig,
    SwiftStore,
)
from aerostat.services.glance.drivers.rbd import RbdDriver
from aerostat.services.glance.model.store import Store

KINDS = ("file", "s3", "rbd", "swift")
PART = 5 << 20
SIZE = 2 * PART + 4099


@pytest.fixture(scope="session")
def ceph() -> Ceph:
    try:
        found = server("ceph")
    except Unsupported as why:
        pytest.skip(why.message)
    assert isinstance(found, Ceph)
    return found


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    made = ThreadedMotoServer("127.0.0.1", 0)
    made.start()
    host, port = made.get_host_and_port()
    client = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=f"http://{host}:{port}", **client).create_bucket(Bucket="suite")
    yield f"http://{host}:{port}"
    made.stop()


def rbd_store(ceph: Ceph) -> RbdStore:
    return RbdStore(rbd_store_pool=POOL, rbd_store_user=USER, rbd_store_ceph_conf=str(ceph.config))


@pytest.fixture(scope="session")
def swift_server() -> Swift:
    try:
        found = server("swift")
    except Unsupported as why:
        pytest.skip(why.message)
    assert isinstance(found, Swift)
    return found


@pytest.fixture
async def swift(swift_server: Swift, tmp_path: Path) -> AsyncIterator[SwiftStore]:
    """Swift behind a keystone of ours: its users, its tokens, its catalogue."""
    cloud = WholeCloud(tmp_path / "cloud", hosts=0)
    offset = swift_server.keystone_port - 5000  # Swift asks where the catalogue says.
    cloud.settings = replace(cloud.settings, port_offset=offset)
    await cloud.start()
    keystone = HttpServer(cloud.plane.apps["keystone"], "127.0.0.1", swift_server.keystone_port)
    await keystone.start()
    await cloud.user("glance", "member", "services")
    admin = await cloud.admin()
    named = {"service": {"type": "object-store", "name": "swift"}}
    made = (await admin.post("keystone", "/v3/services", named)).json()["service"]["id"]
    url = f"http://127.0.0.1:{swift_server.port}/v1/AUTH_$(project_id)s"
    endpoint = {"service_id": made, "interface": "public", "region_id": "RegionOne", "url": url}
    reply = await admin.post("keystone", "/v3/endpoints", {"endpoint": endpoint})
    assert reply.status_code == 201, reply.text
    yield SwiftStore(
        swift_store_auth_address=f"http://127.0.0.1:{swift_server.keystone_port}/v3",
        swift_store_user="services:glance",
        swift_store_key=Secret(PASSWORD),
        swift_store_create_container_on_put=True,
        swift_store_large_object_size=PART >> 20,
        swift_store_large_object_chunk_size=PART >> 20,
    )
    await keystone.stop()
    await cloud.stop()


@pytest.fixture(params=KINDS)
def wanted(request: pytest.FixtureRequest) -> StoreConfig:
    if request.param == "swift":
        return cast(SwiftStore, request.getfixturevalue("swift"))
    if request.param == "rbd":
        return rbd_store(request.getfixturevalue("ceph"))
    if request.param == "s3":
        return S3Store(
            s3_store_host=request.getfixturevalue("s3"),
            s3_store_bucket="suite",
            s3_store_access_key="k",
            s3_store_secret_key="s",
            s3_store_large_object_size=PART,
            s3_store_large_object_chunk_size=PART,
        )
    return FileStore()


@pytest.fixture
async def store(wanted: StoreConfig, tmp_path: Path) -> AsyncIterator[Store]:
    config = GlanceConfig(enabled_backends={"one": wanted}, default_backend="one")
    stores = open_stores(config, tmp_path / "state", SystemClock())
    yield stores.get("one")
    await stores.close()


def _file(folder: Path, data: bytes) -> Path:
    path = folder / new_uuid()
    path.write_bytes(data)
    return path


async def _read(store: Store, url: str, start: int, length: int) -> bytes:
    return b"".join([piece async for piece in await store.read(url, start, length)])


@pytest.mark.parametrize("size", [1, 4096, SIZE])
async def test_data_goes_in_and_comes_out(store: Store, tmp_path: Path, size: int) -> None:
    data, image_id = os.urandom(size), new_uuid()
    url = store.url(image_id)
    assert store.owns(url) and not store.owns("cinder://x") and store.writable
    await store.add(image_id, _file(tmp_path, data))
    assert await store.size(url) == size
    assert await _read(store, url, 0, size) == data
    if size > 1:
        assert await _read(store, url, size - 1, 1) == data[-1:]
        assert await _read(store, url, 1, size // 2) == data[1 : size // 2 + 1]
    assert not await store.in_use(url)
    await store.remove(url)
    with pytest.raises(NotFound):
        await store.size(url)


async def test_many_read_at_once(store: Store, tmp_path: Path) -> None:
    data, image_id = os.urandom(SIZE), new_uuid()
    url = store.url(image_id)
    await store.add(image_id, _file(tmp_path, data))
    spans = [(at, min(SIZE - at, 1 << 21)) for at in range(0, SIZE, 1 << 20)]
    read = await asyncio.gather(*(_read(store, url, at, length) for at, length in spans))
    assert read == [data[at : at + length] for at, length in spans]
    for at in range(0, SIZE, SIZE // 20):  # librbd once ended the process while it opened images
        bits = await asyncio.gather(*(_read(store, url, at, 16) for _ in range(16)))
        assert set(bits) == {data[at : at + 16]}
    await store.remove(url)


async def test_a_reader_who_leaves(store: Store, tmp_path: Path) -> None:
    data, image_id = os.urandom(SIZE), new_uuid()
    url = store.url(image_id)
    await store.add(image_id, _file(tmp_path, data))
    stream = await store.read(url, 0, SIZE)
    assert data.startswith(await anext(stream))
    with suppress(AttributeError):
        await stream.aclose()  # type: ignore[attr-defined]
    await store.remove(url)


async def test_once_more(store: Store, tmp_path: Path) -> None:
    """Whoever does not know whether it was done does it again."""
    image_id = new_uuid()
    url = store.url(image_id)
    await store.add(image_id, _file(tmp_path, b"a" * SIZE))
    await store.add(image_id, _file(tmp_path, b"b" * 5))
    assert await store.size(url) == 5 and await _read(store, url, 0, 5) == b"b" * 5
    await store.remove(url)
    await store.remove(url)


async def test_nothing_is_there(store: Store) -> None:
    url = store.url(new_uuid())
    for asked in (store.size(url), store.read(url, 0, 1)):
        with pytest.raises(NotFound):
            await asked
    assert not await store.in_use(url)
    await store.remove(url)


async def test_zeros_come_back(store: Store, tmp_path: Path) -> None:
    data, image_id = bytearray(SIZE), new_uuid()
    data[3 << 20] = data[-1] = 1
    await store.add(image_id, _file(tmp_path, bytes(data)))
    assert await _read(store, store.url(image_id), 0, SIZE) == data
    await store.remove(store.url(image_id))


async def test_half_an_image_is_none(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if store.kind == "file":
        pytest.skip("a file is linked, at once")
    image_id = new_uuid()
    source = _file(tmp_path, os.urandom(SIZE))
    real, reads = Path.open, 0

    class Short:
        """A file that ends after its first piece."""

        def __init__(self, file: Any) -> None:
            self._file = file

        def __enter__(self) -> "Short":
            return self

        def __exit__(self, *_why: object) -> None:
            self._file.close()

        def read(self, length: int) -> bytes:
            nonlocal reads
            reads += 1
            if reads > 20:
                raise OSError("the disk broke")
            return bytes(self._file.read(min(length, 1 << 18)))

        def seek(self, at: int) -> None:
            self._file.seek(at)

    monkeypatch.setattr(Path, "open", lambda self, *a, **k: Short(real(self, *a, **k)))
    with pytest.raises((OSError, Fault)):
        await store.add(image_id, source)
    monkeypatch.undo()
    with pytest.raises(NotFound):
        await store.size(store.url(image_id))


async def test_rbd_looks_like_upstream(ceph: Ceph, tmp_path: Path) -> None:
    """A protected snapshot that others clone; who deletes the image meanwhile gets a 409."""
    config = GlanceConfig(enabled_backends={"ceph": rbd_store(ceph)}, default_backend="ceph")
    async with cloud_in(tmp_path, config) as cloud:
        image = await cloud.image()
        name = f"{POOL}/{image['id']}"
        data = bytes(9 << 20) + os.urandom(4096)
        assert (await cloud.upload(image["id"], data)).status_code == 204
        assert "protected: True" in ceph.rbd("info", f"{name}@snap")
        assert "order 23" in ceph.rbd("info", name)
        written = [line.split() for line in ceph.rbd("diff", name).splitlines()[1:]]
        assert [int(at) for at, *_ in written] == [8 << 20]  # The first object is not there.
        assert (await cloud.ask("GET", image["file"])).content == data
        ranged = await cloud.ask("GET", image["file"], headers={"range": "bytes=9437184-9437190"})
        assert ranged.content == data[9437184:9437191]
        ceph.rbd("clone", f"{name}@snap", f"{POOL}/clone")
        assert (await cloud.ask("DELETE", image["self"])).status_code == 409
        assert (await cloud.show(image["id"]))["status"] == "active"
        ceph.rbd("rm", f"{POOL}/clone")
        assert (await cloud.ask("DELETE", image["self"])).status_code == 204
        assert image["id"] not in ceph.rbd("ls", POOL)


async def test_swift_large_objects(swift: SwiftStore, swift_server: Swift, tmp_path: Path) -> None:
    """Segments go with the image, whether it was finished or not."""
    config = GlanceConfig(enabled_backends={"swift": swift}, default_backend="swift")
    before = swift_server.objects()
    async with cloud_in(tmp_path / "glance", config) as cloud:
        image, data = await cloud.image(), os.urandom(SIZE)
        assert (await cloud.upload(image["id"], data)).status_code == 204
        assert len(swift_server.objects()) == len(before) + 4  # Three segments, one manifest.
        assert (await cloud.ask("GET", image["file"])).content == data
        across = {"range": f"bytes={PART - 2}-{PART + 2}"}
        ranged = await cloud.ask("GET", image["file"], headers=across)
        assert ranged.content == data[PART - 2 : PART + 3]
        driver: Any = cloud.glance.stores.get("swift")
        driver._session._opened = replace(await driver._session.opened(), token="ended")
        assert (await cloud.ask("DELETE", image["self"])).status_code == 204
        assert swift_server.objects() == before


async def test_librbd_ends_a_process(ceph: Ceph, tmp_path: Path) -> None:
    """What a process was about that librbd ended is done by another."""
    driver, image_id = RbdDriver(rbd_store(ceph)), new_uuid()
    data, url = os.urandom(SIZE), driver.url(image_id)

    def kill() -> None:
        worker = driver._idle.get_nowait()
        worker._process.kill()
        driver._idle.put(worker)

    try:
        kill()
        await driver.add(image_id, _file(tmp_path, data))
        pieces = []
        async for piece in await driver.read(url, 0, SIZE):
            pieces.append(piece)
            kill()
        assert b"".join(pieces) == data
        await driver.remove(url)
    finally:
        await driver.close()


async def test_ceph_goes_and_comes(ceph: Ceph, tmp_path: Path) -> None:
    config = GlanceConfig(enabled_backends={"ceph": rbd_store(ceph)}, default_backend="ceph")
    async with cloud_in(tmp_path, config) as cloud:
        image = await cloud.image()
        assert (await cloud.upload(image["id"], b"x" * 100_000)).status_code == 204
        ceph.kill()
        ceph.start()
        assert (await cloud.ask("GET", image["file"])).content == b"x" * 100_000
        assert (await cloud.ask("DELETE", image["self"])).status_code == 204

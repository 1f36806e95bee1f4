"""Image data over real sockets: sendfile, TLS, ranges, bodies of unknown length, lost clients."""

import asyncio
import hashlib
import os
import ssl
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from glance_cloud import OCTETS, Cloud, cloud_in

from aerostat.assembly.joining import Authority
from aerostat.kit.http.serve import HttpServer, Tls

SIZE = 24 << 20
DATA = os.urandom(1 << 20) * (SIZE >> 20)


@dataclass
class Place:
    """A glance that listens, and how to reach it."""

    cloud: Cloud
    port: int
    http: httpx.AsyncClient


@pytest.fixture(params=["http", "https"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    tls, verify = None, ssl.create_default_context()
    if request.param == "https":
        cert, key = Authority(tmp_path / "pki").issue("localhost", "127.0.0.1")
        (tmp_path / "cert.pem").write_text(cert)
        (tmp_path / "key.pem").write_text(key)
        verify.load_verify_locations(tmp_path / "pki" / "ca.pem")
        tls = Tls(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    async with cloud_in(tmp_path / "glance") as cloud:
        server = HttpServer(cloud.app, "127.0.0.1", 0, tls)
        port = await server.start()
        base = f"{request.param}://127.0.0.1:{port}"
        headers = {"x-auth-token": "member"}
        async with httpx.AsyncClient(base_url=base, verify=verify, headers=headers) as http:
            yield Place(cloud, port, http)
        await server.stop()


async def _uploaded(place: Place) -> str:
    image = await place.cloud.image()
    reply = await place.http.put(image["file"], content=DATA, headers=OCTETS)
    assert reply.status_code == 204, reply.text
    return str(image["file"])


async def test_data_comes_back_and_the_connection_goes_on(place: Place) -> None:
    path = await _uploaded(place)
    for _ in range(2):
        reply = await place.http.get(path)
        assert reply.status_code == 200 and reply.content == DATA
        assert reply.headers["content-length"] == str(SIZE)
        assert reply.headers["content-md5"] == hashlib.md5(DATA).hexdigest()


async def test_ranges(place: Place) -> None:
    path = await _uploaded(place)
    for asked, start, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=5000001-6000000", 5_000_001, 6_000_001),
        (f"bytes={SIZE - 3}-", SIZE - 3, SIZE),
        ("bytes=-7", SIZE - 7, SIZE),
    ):
        reply = await place.http.get(path, headers={"range": asked})
        assert reply.status_code == 206 and reply.content == DATA[start:end], asked
        assert reply.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert (await place.http.get(path, headers={"range": f"bytes={SIZE}-"})).status_code == 416


async def test_a_body_of_unknown_length(place: Place) -> None:
    image = await place.cloud.image()

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, SIZE, 100_003):
            yield DATA[at : at + 100_003]

    sent = await place.http.put(image["file"], content=pieces(), headers=OCTETS)
    assert sent.status_code == 204, sent.text
    shown = await place.cloud.show(image["id"])
    assert shown["size"] == SIZE and shown["os_hash_value"] == hashlib.sha512(DATA).hexdigest()


async def test_a_client_that_leaves_costs_nothing(place: Place) -> None:
    path = await _uploaded(place)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        async with place.http.stream("GET", path) as reply:
            await anext(reply.aiter_raw(1000))
    assert (await place.http.get(path)).content == DATA
    while len(os.listdir("/proc/self/fd")) > before:
        assert (await place.http.get(path, headers={"range": "bytes=0-9"})).status_code == 206


async def test_readers_who_do_not_read_cost_no_memory(place: Place) -> None:
    path = await _uploaded(place)
    if place.http.base_url.scheme == "https":
        pytest.skip("TLS is done in this process")
    head = f"GET {path} HTTP/1.1\r\nhost: x\r\nx-auth-token: member\r\n\r\n".encode()
    tracemalloc.start()
    pairs = [await asyncio.open_connection("127.0.0.1", place.port, limit=4096) for _ in range(16)]
    for reader, writer in pairs:
        writer.write(head)
        assert b" 200 " in await reader.readline()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
    for _, writer in pairs:
        writer.transport.abort()

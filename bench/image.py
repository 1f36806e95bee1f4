"""Image data through glance over a socket: rates and the server's memory.

One upload, one download, then many downloads of this one image and many uploads at once (each of
`--each-mib`). Memory is the greatest that
the server's process had in each part (VmHWM), beside what it had before. "limit" is what this
machine does without glance: writing a file with fsync while MD5 and SHA-512 are taken, and a
thread that does nothing but sendfile for the same client.

usage: ./aerostat bench image [--gib=N] [--many=N] [--each-mib=N]
"""

import argparse
import asyncio
import hashlib
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

from aerostat.assembly.image_stores import open_stores
from aerostat.kit.clock import SystemClock
from aerostat.kit.context import Context
from aerostat.kit.db.migrate import upgrade
from aerostat.kit.db.sqlite import SqliteDatabase
from aerostat.kit.http.edge import Api
from aerostat.kit.http.policy import Policy
from aerostat.kit.http.serve import HttpServer
from aerostat.services.glance import runtime
from aerostat.services.glance.config import GlanceConfig
from aerostat.services.glance.domain import images
from aerostat.services.glance.model.image import Image
from aerostat.services.glance.service import manifest

GIB, PIECE = 1 << 30, 1 << 20
ID = "5f0e7f5c-7f2f-4b71-9d4c-{:012d}"
TEMP = "/var/tmp"
"""Where the images lie: on a disk."""


async def _authenticate(_token: str, *, late: bool = False) -> Context:
    return Context("", user_id="u", project_id="p", roles=("admin", "member", "reader"))


async def serve(folder: Path, many: int) -> None:
    """Serve until the parent closes our standard input; the port is the first line of output."""
    db = SqliteDatabase(folder / "db")
    await upgrade(db, "glance", manifest.migrations)
    config = GlanceConfig()
    stores = open_stores(config, folder, SystemClock())
    glance = runtime.build(db, folder, stores, config, keys=folder)
    for number in range(many + 1):
        image_id = ID.format(number)
        image = Image(id=image_id, owner="p", disk_format="raw", container_format="bare")
        await images.create(glance, image)
    server = HttpServer(
        Api(manifest.api, glance, Policy(manifest.rules), _authenticate), "127.0.0.1", 0
    )
    print(await server.start(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()
    await glance.close()
    await db.close()


async def upload(port: int, size: int, number: int = 0) -> None:
    """Send `size` bytes, the data of image `number`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"PUT /v2/images/{ID.format(number)}/file HTTP/1.1\r\nhost: x\r\nx-auth-token: t\r\n"
    head += f"content-type: application/octet-stream\r\ncontent-length: {size}\r\n\r\n"
    writer.write(head.encode())
    piece = os.urandom(PIECE)
    for _ in range(size // PIECE):
        writer.write(piece)
        await writer.drain()
    status = await reader.readline()
    assert b" 204 " in status, status
    writer.close()


async def download(port: int, size: int) -> None:
    """Receive the first `size` bytes of image 0."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET /v2/images/{ID.format(0)}/file HTTP/1.1\r\nhost: x\r\nx-auth-token: t\r\n"
    writer.write(f"{head}range: bytes=0-{size - 1}\r\n\r\n".encode())
    status = await reader.readuntil(b"\r\n\r\n")
    assert b" 206 " in status, status
    left = size
    while left:
        piece = await reader.read(PIECE)
        assert piece, "cut off"
        left -= len(piece)
    writer.close()


def limit(folder: Path, size: int) -> float:
    """Return the seconds that writing and hashing takes without anything else."""
    piece, md5, sha = os.urandom(PIECE), hashlib.md5(usedforsecurity=False), hashlib.sha512()

    def each(work: object) -> None:
        for _ in range(size // PIECE):
            work(piece)  # type: ignore[operator]

    started = time.perf_counter()
    with (folder / "limit").open("wb", buffering=0) as file:
        threads = [
            threading.Thread(target=each, args=(fn,)) for fn in (file.write, md5.update, sha.update)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os.fsync(file.fileno())
    return time.perf_counter() - started


def plain(file: Path, size: int) -> int:
    """Serve `file` once, by nothing but a thread and sendfile; return the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with listener, listener.accept()[0] as conn, file.open("rb") as data:
            conn.recv(4096)
            conn.sendall(b"HTTP/1.1 206 Partial Content\r\n\r\n")
            conn.sendfile(data, 0, size)

    threading.Thread(target=answer, daemon=True).start()
    return int(listener.getsockname()[1])


def peak_mib(pid: int) -> int:
    """Return the greatest memory since the last time this was asked, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return found >> 10


async def main(gib: float, many: int, each: int) -> None:
    """Measure and print."""
    size = int(gib * GIB) // PIECE * PIECE
    with tempfile.TemporaryDirectory(dir=TEMP) as name:
        probe = min(size, GIB)
        seconds = limit(Path(name), probe)
        print(f"limit (write, MD5, SHA-512)  {probe / seconds / PIECE:8.0f} MiB/s")
        started = time.perf_counter()
        await download(plain(Path(name) / "limit", probe), probe)
        seconds = time.perf_counter() - started
        print(f"limit (sendfile)             {probe / seconds / PIECE:8.0f} MiB/s")
        (Path(name) / "limit").unlink()
        child = await asyncio.create_subprocess_exec(
            sys.executable, __file__, f"--serve={name}", f"--many={many}",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert child.stdout is not None and child.stdin is not None
        port = int(await child.stdout.readline())
        print(f"server before                {peak_mib(child.pid):17d} MiB of memory")
        for what, work, total in (
            ("upload", upload(port, size), size),
            ("download", download(port, size), size),
            (f"{many} downloads", _many(many, lambda _: download(port, each)), each * many),
            (f"{many} uploads", _many(many, lambda n: upload(port, each, n)), each * many),
        ):
            started = time.perf_counter()
            await work
            seconds = time.perf_counter() - started
            rate, memory = total / seconds / PIECE, peak_mib(child.pid)
            print(f"{what:28} {rate:8.0f} MiB/s {memory:8d} MiB of memory")
        child.stdin.close()
        await child.wait()


async def _many(many: int, work: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*(work(number + 1) for number in range(many)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=2.0)
    parser.add_argument("--many", type=int, default=100)
    parser.add_argument("--each-mib", type=int, default=64)
    parser.add_argument("--serve", type=Path)
    asked = parser.parse_args()
    each_bytes = asked.each_mib * PIECE
    work = (
        serve(asked.serve, asked.many) if asked.serve else main(asked.gib, asked.many, each_bytes)
    )
    uvloop.run(work) if asked.serve else asyncio.run(work)

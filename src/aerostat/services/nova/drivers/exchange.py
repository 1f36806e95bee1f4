"""Disks between hosts: one serves a guest's files to whoever holds the ticket, the other pulls.

HTTP, or HTTPS with certificates on both sides where the host has a key pair. A file travels as
its size and then as pieces (offset, length, data), holes left out, ended by an empty piece.
"""

import asyncio
import os
import secrets
import ssl
import struct
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from msgspec import Struct

from aerostat.kit.errors import NotFound, Unavailable
from aerostat.kit.log import Logger

log = Logger("nova.exchange")
PIECE = struct.Struct(">QI")
SIZE = struct.Struct(">Q")
PIECE_BYTES = 1 << 20
HEAD_BYTES_MAX = 8192
IDLE_S = 60.0
BROKEN = (OSError, asyncio.IncompleteReadError, TimeoutError, ssl.SSLError)


class ExchangeConfig(Struct, frozen=True):
    """Where a host serves its disks. `pki` holds ca.pem, cert.pem and key.pem, for HTTPS."""

    address: str = "127.0.0.1"
    port: int = 8799
    pki: Path = Path("/nonexistent")

    @property
    def tls(self) -> bool:
        """Whether both sides have to show certificates."""
        return all((self.pki / f"{name}.pem").exists() for name in ("ca", "cert", "key"))


class Exchange:
    """Both ends. It listens from the first offer on; an offer is replaced by the next one."""

    def __init__(self, config: ExchangeConfig, pool: Executor) -> None:
        self._config, self._pool = config, pool
        self._server: asyncio.Server | None = None
        self._lock = asyncio.Lock()
        self._offers: dict[str, Mapping[str, Path]] = {}
        self._tickets: dict[str, str] = {}

    async def offer(self, key: str, files: Mapping[str, Path]) -> str:
        """Serve `files` to the holder of the URL that is returned. Raises: Unavailable."""
        await self._listen()
        self.withdraw(key)
        ticket = secrets.token_urlsafe(32)
        self._tickets[key], self._offers[ticket] = ticket, dict(files)
        scheme = "https" if self._config.tls else "http"
        host = self._config.address
        host = f"[{host}]" if ":" in host else host
        return f"{scheme}://{host}:{self._config.port}/{ticket}"

    def withdraw(self, key: str) -> None:
        """Serve nothing more of an offer."""
        self._offers.pop(self._tickets.pop(key, ""), None)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def fetch(self, url: str, name: str, path: Path) -> None:
        """Write a file of an offer to `path`. Raises: NotFound (no such offer), Unavailable."""
        at = urlsplit(url)
        context = self._context(ssl.Purpose.SERVER_AUTH) if at.scheme == "https" else None
        try:
            reader, writer = await asyncio.open_connection(at.hostname, at.port, ssl=context)
        except OSError as why:
            raise Unavailable("The other host does not serve its disks.", detail=str(why)) from why
        try:
            writer.write(f"GET {at.path}/{name} HTTP/1.1\r\nHost: {at.netloc}\r\n\r\n".encode())
            await writer.drain()
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), IDLE_S)
            if b" 200 " not in head.split(b"\r\n")[0] + b" ":
                raise NotFound(f"The other host does not offer {name}.", code="no_such_offer")
            with path.open("wb") as file:
                await self._receive(reader, file)
        except BROKEN as why:
            raise Unavailable("The disk did not arrive whole.", detail=repr(why)) from why
        finally:
            writer.close()

    async def _receive(self, reader: asyncio.StreamReader, file: BinaryIO) -> None:
        loop = asyncio.get_running_loop()
        (size,) = SIZE.unpack(await asyncio.wait_for(reader.readexactly(SIZE.size), IDLE_S))
        file.truncate(size)
        while True:
            head = await asyncio.wait_for(reader.readexactly(PIECE.size), IDLE_S)
            offset, length = PIECE.unpack(head)
            if not length:
                break
            data = await asyncio.wait_for(reader.readexactly(length), IDLE_S)
            await loop.run_in_executor(self._pool, os.pwrite, file.fileno(), data, offset)
        await loop.run_in_executor(self._pool, os.fsync, file.fileno())

    async def _listen(self) -> None:
        async with self._lock:
            if self._server is not None:
                return
            context = self._context(ssl.Purpose.CLIENT_AUTH) if self._config.tls else None
            address, port = self._config.address, self._config.port
            try:
                self._server = await asyncio.start_server(
                    self._serve, address, port, ssl=context, limit=HEAD_BYTES_MAX
                )
            except OSError as why:
                raise Unavailable(
                    f"cannot listen on {address}:{port} for migrations", detail=str(why)
                ) from why

    def _context(self, purpose: ssl.Purpose) -> ssl.SSLContext:
        """Both sides trust our authority alone; hosts are not told apart by their names."""
        pki = self._config.pki
        context = ssl.create_default_context(purpose, cafile=str(pki / "ca.pem"))
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(pki / "cert.pem", pki / "key.pem")
        return context

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), IDLE_S)
            path = self._asked(head)
            if path is None:
                writer.write(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n")
            else:
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                    b"Connection: close\r\n\r\n"
                )
                await self._send(writer, path)
            await writer.drain()
        except (*BROKEN, asyncio.LimitOverrunError) as why:
            log.warning("exchange.broken", reason=repr(why))
        finally:
            writer.close()

    def _asked(self, head: bytes) -> Path | None:
        words = head.split(b"\r\n")[0].decode("latin-1").split(" ")
        if len(words) != 3 or words[0] != "GET":
            return None
        ticket, _, name = words[1].removeprefix("/").partition("/")
        path = self._offers.get(ticket, {}).get(name)
        return path if path is not None and path.is_file() else None

    async def _send(self, writer: asyncio.StreamWriter, path: Path) -> None:
        loop = asyncio.get_running_loop()
        with path.open("rb") as file:
            fd = file.fileno()
            writer.write(SIZE.pack(os.fstat(fd).st_size))
            for offset, length in pieces(fd):
                data = await loop.run_in_executor(self._pool, os.pread, fd, length, offset)
                writer.write(PIECE.pack(offset, len(data)) + data)
                await writer.drain()
            writer.write(PIECE.pack(0, 0))


def pieces(fd: int) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) of what a file holds, without its holes."""
    end, at = os.fstat(fd).st_size, 0
    while at < end:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            return  # nothing but a hole up to the end
        at = min(os.lseek(fd, start, os.SEEK_HOLE), end)
        for offset in range(start, at, PIECE_BYTES):
            yield offset, min(PIECE_BYTES, at - offset)

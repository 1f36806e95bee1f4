"""The screen of guests that have none: a VNC server that shows black. Source: RFC 6143."""

import asyncio
import struct

from aerostat.services.nova.model.guest import VncAddress

VERSION = b"RFB 003.008\n"
NO_SECURITY = b"\x01"
OK = bytes(4)
WIDTH, HEIGHT = 16, 16
CHUNK = 65536
PIXELS = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
SIZES = {0: 19, 3: 9, 4: 7, 5: 5}
"""Bytes of a client's messages after their first; those of SetEncodings and ClientCutText vary."""

SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST, CUT_TEXT = 0, 2, 3, 6


class FakeScreen:
    """Listens on loopback from the first time somebody looks; one screen for every guest."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None

    async def address(self) -> VncAddress:
        """Return where it is to be seen."""
        if self._server is None:
            self._server = await asyncio.start_server(_show, "127.0.0.1", 0)
        return VncAddress("127.0.0.1", self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Let nobody look any more."""
        if self._server is not None:
            self._server.close()
            self._server = None


async def _show(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await _greet(reader, writer)
        pixel_bytes = 4
        while True:
            kind = (await reader.readexactly(1))[0]
            body = await _body(reader, kind)
            if kind == SET_PIXEL_FORMAT:
                pixel_bytes = body[3] // 8
            elif kind == UPDATE_REQUEST and body[0] == 0:  # all of it, not what has changed
                writer.write(struct.pack(">BxH", 0, 1))
                writer.write(struct.pack(">HHHHi", 0, 0, WIDTH, HEIGHT, 0))
                writer.write(bytes(WIDTH * HEIGHT * pixel_bytes))
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, KeyError):
        pass  # who looked has gone, or speaks something else
    finally:
        writer.close()


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(VERSION)
    await reader.readexactly(len(VERSION))
    writer.write(bytes([len(NO_SECURITY)]) + NO_SECURITY)
    await reader.readexactly(1)
    writer.write(OK)
    await reader.readexactly(1)
    name = b"fake"
    writer.write(struct.pack(">HH", WIDTH, HEIGHT) + PIXELS + struct.pack(">I", len(name)) + name)
    await writer.drain()


async def _body(reader: asyncio.StreamReader, kind: int) -> bytes:
    """Return a message's bytes. Raises: KeyError (no kind that there is)."""
    if kind == SET_ENCODINGS:
        (count,) = struct.unpack(">xH", await reader.readexactly(3))
        return await reader.readexactly(4 * count)
    if kind == CUT_TEXT:
        (size,) = struct.unpack(">3xI", await reader.readexactly(7))
        while size:
            size -= len(await reader.readexactly(min(size, CHUNK)))
        return b""
    return await reader.readexactly(SIZES[kind])

"""How answers leave: small ones in one piece, files past this process.

uvicorn hands head and body to the socket one after the other, which costs two system calls and
wakes the client twice; here they go together. Files go from the page cache to the socket, so a
reader costs no memory. Source: ASGI, extension "Zero Copy Send" (http.response.zerocopysend);
uvicorn has none. TLS is this process's work, so there the extension is not offered and files go
out in pieces.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.protocols.utils import is_ssl

from aerostat.kit.files import ZERO_COPY

SPAN_BYTES = 1 << 20
"""What one call of sendfile is asked for; the socket takes what it has room for."""

THREADS = 4
"""Where sendfile waits for the disk."""


class Sending:
    """Sends what `app` answers, and offers it the extension on connections without TLS."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._pool = ThreadPoolExecutor(THREADS, "sendfile")

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        cycle = getattr(send, "__self__", None)
        if not isinstance(cycle, RequestResponseCycle):
            await self._app(scope, receive, send)
            return
        head: Any = None

        async def sending(message: Any) -> None:
            nonlocal head
            if message["type"] == "http.response.start":
                head = message
                return
            parts, head = [head, message] if head else [message], None
            if message["type"] != ZERO_COPY:
                await _together(cycle, parts)
                return
            await _together(cycle, parts[:-1])
            await self._copy(cycle, message["file"].fileno(), message["offset"], message["count"])
            await send({"type": "http.response.body", "body": b""})

        if not is_ssl(cycle.transport):
            scope["extensions"] = {**scope.get("extensions", {}), ZERO_COPY: {}}
        await self._app(scope, receive, sending)

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown(wait=False)

    async def _copy(self, cycle: RequestResponseCycle, file: int, offset: int, count: int) -> None:
        """Send `count` bytes behind what the transport has been given. Raises: OSError."""
        await _emptied(cycle)
        if cycle.disconnected:
            return
        # A descriptor of our own: the transport may close its one at any time.
        sock = os.dup(cycle.transport.get_extra_info("socket").fileno())
        try:
            while count and not cycle.disconnected:
                try:
                    sent = await self._in_thread(sock, file, offset, min(count, SPAN_BYTES))
                except BlockingIOError:
                    await _writable(sock)
                    continue
                if not sent:
                    raise OSError("The file is shorter than was said.")
                offset, count = offset + sent, count - sent
                cycle.expected_content_length -= sent
        except ConnectionError:
            cycle.transport.abort()
            cycle.disconnected = True
        finally:
            os.close(sock)

    async def _in_thread(self, sock: int, file: int, offset: int, count: int) -> int:
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._pool, os.sendfile, sock, file, offset, count)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])  # The descriptors are in use until it is done.
            raise


class _Joined:
    """Stands for a transport while messages are written that shall leave together."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._parts, self._closing = transport, list[bytes](), False

    def write(self, data: bytes) -> None:
        self._parts.append(data)

    def close(self) -> None:
        self._closing = True

    def flush(self) -> None:
        self._transport.write(b"".join(self._parts))
        if self._closing:
            self._transport.close()


async def _together(cycle: RequestResponseCycle, messages: list[Any]) -> None:
    transport = cycle.transport
    joined: Any = _Joined(transport)
    cycle.transport = joined
    try:
        for message in messages:
            await cycle.send(message)
    finally:
        cycle.transport = transport
        joined.flush()


async def _emptied(cycle: RequestResponseCycle) -> None:
    """Return once the transport has sent all it was given."""
    cycle.transport.set_write_buffer_limits(high=0)
    while cycle.transport.get_write_buffer_size() and not cycle.disconnected:
        await cycle.flow.drain()
        await asyncio.sleep(0)
    if not cycle.disconnected:
        cycle.transport.set_write_buffer_limits()


async def _writable(sock: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def tell() -> None:
        loop.remove_writer(sock)
        if not ready.done():
            ready.set_result(None)

    loop.add_writer(sock, tell)
    try:
        await ready
    finally:
        loop.remove_writer(sock)

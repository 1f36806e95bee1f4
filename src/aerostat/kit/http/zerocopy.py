"""Sends files from the page cache to the socket, past this process: a reader costs no memory.

Source: ASGI, extension "Zero Copy Send" (http.response.zerocopysend); uvicorn has none. TLS is
this process's work, so there the extension is not offered and files go out in pieces.
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


class ZeroCopy:
    """Offers the extension to `app`, on connections that uvicorn serves without TLS."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._pool = ThreadPoolExecutor(THREADS, "sendfile")

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        cycle = getattr(send, "__self__", None)
        if not isinstance(cycle, RequestResponseCycle) or is_ssl(cycle.transport):
            await self._app(scope, receive, send)
            return

        async def sending(message: Any) -> None:
            if message["type"] != ZERO_COPY:
                await send(message)
                return
            await self._copy(cycle, message["file"].fileno(), message["offset"], message["count"])
            await send({"type": "http.response.body", "body": b""})

        scope["extensions"] = {ZERO_COPY: {}}
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

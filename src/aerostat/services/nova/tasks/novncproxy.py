"""nova-novncproxy: the noVNC page, and a websocket that leads to one guest's VNC server.

The token in the URL is checked before a byte goes either way. A browser's page must come from
this proxy itself (OSSA-2015-005: cross-site websockets).
"""

import asyncio
import mimetypes
import ssl
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from weakref import WeakKeyDictionary

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from aerostat.kit.errors import Fault
from aerostat.kit.http.serve import Tls
from aerostat.kit.log import Logger
from aerostat.services.nova.domain import consoles
from aerostat.services.nova.model.guest import VncAddress
from aerostat.services.nova.runtime import Nova

log = Logger("nova.novncproxy")

WEB = Path("/usr/share/novnc")
"""Where Debian's novnc package has the page."""

CHUNK = 65536
CONSOLES_MAX = 256
"""Open consoles; further ones wait."""


class NovncProxy:
    """Serves `web` and the websocket on one address."""

    def __init__(
        self, nova: Nova, host: str, port: int, *, web: Path = WEB, tls: Tls | None = None
    ) -> None:
        self._nova, self._host, self._port = nova, host, port
        self._tls = tls
        self._web = web
        self._server: Server | None = None
        self._guests: WeakKeyDictionary[ServerConnection, VncAddress] = WeakKeyDictionary()
        self._room = asyncio.Semaphore(CONSOLES_MAX)

    async def start(self) -> None:
        """Listen. Raises: OSError."""
        self._server = await serve(
            self._console,
            self._host,
            self._port,
            process_request=self._page,
            select_subprotocol=_subprotocol,
            max_size=1 << 22,
            compression=None,
            ssl=_context(self._tls) if self._tls else None,
        )

    async def stop(self) -> None:
        """Close every console and stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _page(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer plain requests with a file; let websockets of our own page through."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._admit(connection, request)
        path = unquote(urlsplit(request.path).path).lstrip("/") or "vnc_auto.html"
        file = (self._web / path).resolve()
        if not file.is_relative_to(self._web.resolve()) and not file.is_relative_to(WEB_LINKED):
            return connection.respond(HTTPStatus.NOT_FOUND, "Not Found\n")
        if not file.is_file():
            return connection.respond(HTTPStatus.NOT_FOUND, "Not Found\n")
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        body = file.read_bytes()
        headers = Headers(
            {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"}
        )
        return Response(HTTPStatus.OK, "OK", headers, body)

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse foreign pages and tokens that open nothing, before the websocket is there."""
        origin = request.headers.get("Origin")
        if origin and urlsplit(origin).netloc != request.headers.get("Host", ""):
            return connection.respond(HTTPStatus.FORBIDDEN, "Origin header does not match\n")
        token = parse_qs(urlsplit(request.path).query).get("token", [""])[0]
        try:
            self._guests[connection] = await consoles.connect(self._nova, token)
        except Fault as why:
            log.info("novncproxy.refused", reason=why.message)
            return connection.respond(HTTPStatus.FORBIDDEN, "")
        return None

    async def _console(self, browser: ServerConnection) -> None:
        address = self._guests.pop(browser)
        try:
            reader, writer = await asyncio.open_connection(address.host, address.port)
        except OSError as why:
            log.info("novncproxy.unreachable", reason=str(why))
            await browser.close(1011, "The console is not available.")
            return
        async with self._room:
            log.info("novncproxy.connected", port=address.port)
            await _relay(browser, reader, writer)


BINARY = Subprotocol("binary")

WEB_LINKED = Path("/usr/share/javascript")
"""Where Debian's package links some of its scripts to."""


def _subprotocol(
    _connection: ServerConnection, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    return BINARY if BINARY in offered else None


async def _relay(
    browser: ServerConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async def to_guest() -> None:
        async for message in browser:
            writer.write(message if isinstance(message, bytes) else message.encode())
            await writer.drain()

    async def to_browser() -> None:
        while data := await reader.read(CHUNK):
            await browser.send(data)

    tasks = [asyncio.create_task(to_guest()), asyncio.create_task(to_browser())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        writer.close()
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, ConnectionClosed | OSError):
                log.error("novncproxy.broke", why=result)
        await browser.close()


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.cert, tls.key)
    return context

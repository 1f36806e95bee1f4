"""Guests' requests to 169.254.169.254: one small HTTP server behind a socket per namespace."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from aerostat.contracts.compute import MetadataReply
from aerostat.kit.bus.endpoint import Bus
from aerostat.kit.errors import Fault
from aerostat.kit.log import Logger
from aerostat.services.neutron.agent.endpoint import MetadataRequest, network_control
from aerostat.services.neutron.config import NetworkAgentConfig
from aerostat.services.neutron.drivers.base import Listener

log = Logger("neutron.metadata")
HEAD_MAX = 8192
HEAD_TIMEOUT_S = 10.0


class MetadataServer:
    """Serves any number of listeners; a namespace that goes closes its own."""

    def __init__(self, bus: Bus, host: str, config: NetworkAgentConfig) -> None:
        self._control = network_control.at(bus, timeout_s=config.metadata_timeout_s)
        self._host = host
        self._config = config
        self._servers: dict[str, tuple[asyncio.Server, Listener]] = {}

    def namespaces(self) -> set[str]:
        return set(self._servers)

    async def add(self, listener: Listener) -> None:
        """Serve a namespace's socket from now on."""
        room = asyncio.Semaphore(self._config.metadata_connections)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            async with room:
                await self._connection(reader, writer, listener)

        server = await asyncio.start_server(serve, sock=listener.socket, limit=HEAD_MAX)
        self._servers[listener.namespace] = (server, listener)

    def keep(self, good: Callable[[Listener], bool]) -> None:
        """Close those that are not `good`."""
        for server, listener in list(self._servers.values()):
            if not good(listener):
                server.close()
                del self._servers[listener.namespace]

    def close(self) -> None:
        self.keep(lambda _listener: False)

    async def _connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener: Listener
    ) -> None:
        address = str(writer.get_extra_info("peername")[0])
        try:
            async with asyncio.timeout(HEAD_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
            await self._answer(head, writer, listener, address)
            async with asyncio.timeout(HEAD_TIMEOUT_S):
                await writer.drain()
        except asyncio.LimitOverrunError:
            writer.write(_response(_plain(431)))
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _answer(
        self, head: bytes, writer: asyncio.StreamWriter, listener: Listener, address: str
    ) -> None:
        method, _, rest = head.decode("latin-1").partition("\r\n")[0].partition(" ")
        path, _, version = rest.rpartition(" ")
        if not version.startswith("HTTP/1.") or not path.startswith("/"):
            writer.write(_response(_plain(400)))
        elif method not in ("GET", "HEAD"):
            writer.write(_response(_plain(405)))
        else:
            reply = await self._ask(path, listener, address)
            writer.write(_response(reply, body=method == "GET"))

    async def _ask(self, path: str, listener: Listener, address: str) -> MetadataReply:
        request = MetadataRequest(address, path, listener.network_id, listener.router_id)
        try:
            return await self._control.metadata(host=self._host, request=request)
        except Fault as why:
            status = {"not_found": 404, "bad_request": 400}.get(why.code, 503)
            log.warning("metadata.failed", address=address, path=path, reason=why.message)
            return _plain(status)


def _plain(status: int) -> MetadataReply:
    text = f"{status} {HTTPStatus(status).phrase}\n"
    return MetadataReply(status, "text/plain; charset=UTF-8", text.encode())


def _response(reply: MetadataReply, *, body: bool = True) -> bytes:
    head = (
        f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\n"
        f"Content-Type: {reply.content_type}\r\nContent-Length: {len(reply.body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (reply.body if body else b"")

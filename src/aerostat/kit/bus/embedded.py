"""The embedded bus: calls in this process, and over a Unix socket to the processes beside it.

Both ways every argument and result travels as msgpack, as it would over RabbitMQ. A stream
socket, unlike a broker, says at once when the other side dies: its unanswered calls then fail
with Unavailable instead of waiting for their deadlines. Why not ZeroMQ: docs/rfd/0002-bus.md.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from aerostat.kit.bus.endpoint import Method, late, nobody
from aerostat.kit.bus.link import Link, Listener, call_local
from aerostat.kit.errors import Unavailable
from aerostat.kit.log import Logger

log = Logger("bus")

RECONNECT_S = (0.02, 1.0)
"""First and longest wait before connecting again."""

PeerSeen = Callable[[list[str], bool], None]
"""Told the addresses a peer serves, and whether it came (True) or went (False)."""


class EmbeddedBus:
    """One per process. The control process listens, the others connect to it."""

    def __init__(self) -> None:
        self._local: dict[str, dict[str, Method]] = {}
        self._links: set[Link] = set()
        self._remote: dict[str, Link] = {}
        self._server: asyncio.Server | None = None
        self._connector: asyncio.Task[None] | None = None
        self._watchers: list[PeerSeen] = []
        self._arrived = asyncio.Event()

    def serve(self, address: str, methods: dict[str, Method], *, passing: bool = False) -> None:
        """Answer calls to `address`, from here and from every peer."""
        assert address not in self._local, address
        self._local[address] = methods
        for link in self._links:
            link.announce(list(self._local))

    async def served(self, address: str) -> bool:
        """Tell whether this process or a peer answers at `address`."""
        return address in self._local or address in self._remote

    def watch(self, seen: PeerSeen) -> None:
        """Be told when peers come and go."""
        self._watchers.append(seen)

    async def call(
        self, address: str, method: str, args: dict[str, Any], result: Any, timeout_s: float
    ) -> Any:
        """Call `method` at `address`. Raises: Unavailable, DeadlineExceeded, the callee's Fault."""
        if address not in self._local and address not in self._remote:
            raise nobody(address)
        payload = msgspec.msgpack.encode(args)
        try:
            async with asyncio.timeout(timeout_s):
                raw = await self._carry(address, method, payload, timeout_s)
        except TimeoutError as why:
            raise late(address, method, timeout_s) from why
        return None if result in (None, type(None)) else msgspec.msgpack.decode(raw, type=result)

    async def _carry(self, address: str, method: str, payload: bytes, timeout_s: float) -> bytes:
        if address in self._local:
            return await call_local(self._local, address, method, payload)
        return await self._remote[address].call(address, method, payload, timeout_s)

    async def listen(self, path: Path) -> None:
        """Accept peers at `path`; only this user and root may connect."""
        path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._accept, str(path))
        finally:
            os.umask(mask)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._run_link(reader, writer)

    def connect(self, path: Path) -> None:
        """Stay connected to the process that listens at `path`, from now on."""
        self._connector = asyncio.create_task(self._stay_connected(path), name="bus-connect")

    async def connected(self) -> None:
        """Wait until a peer is there."""
        await self._arrived.wait()

    async def probe(self) -> None:
        """Raises: Unavailable (the process that this one connects to is away)."""
        if self._connector is not None and not self._links:
            raise Unavailable("Nobody is at the other end of the bus.")

    async def _stay_connected(self, path: Path) -> None:
        wait = RECONNECT_S[0]
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_unix_connection(str(path))
                wait = RECONNECT_S[0]
                await self._run_link(reader, writer)
            await asyncio.sleep(wait)
            wait = min(wait * 2, RECONNECT_S[1])

    async def _run_link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(writer, self._local, Listener(self._announced))
        self._links.add(link)
        link.announce(list(self._local))
        try:
            await link.run(reader)
        finally:
            self._links.discard(link)
            self._lost(link)

    def _announced(self, link: Link, addresses: list[str]) -> None:
        for address in addresses:
            self._remote[address] = link
        self._arrived.set()
        for seen in self._watchers:
            seen(addresses, True)

    def _lost(self, link: Link) -> None:
        gone = [a for a, owner in self._remote.items() if owner is link]
        for address in gone:
            del self._remote[address]
        if not self._links:
            self._arrived.clear()
        for seen in self._watchers:
            seen(gone, False)

    async def close(self) -> None:
        """Stop listening and connecting; unanswered calls fail."""
        if self._connector is not None:
            self._connector.cancel()
        if self._server is not None:
            self._server.close()
        for link in list(self._links):
            link.close()

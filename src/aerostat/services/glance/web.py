"""Fetches a URL that a tenant gave: resolved once, to a public address only, no redirects.

Source: OSSN-0094 and CVE-2025 reports on import filtering; RFC 6890 for special addresses.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from aerostat.kit.errors import BadRequest, NotFound, Unavailable

CHUNK_BYTES = 1 << 18
NOT_FOUND = 404
DEFAULT_PORTS = {"http": 80, "https": 443}
Address = IPv4Address | IPv6Address


class Target(Struct, frozen=True):
    """Where a URL leads, decided once."""

    scheme: str
    host: str
    address: str
    port: int
    path: str


class Web:
    """Resolves, checks and fetches."""

    def __init__(self, ports: tuple[int, ...], networks: tuple[str, ...], timeout_s: float) -> None:
        self._ports, self._timeout_s = ports, timeout_s
        self._networks = [ip_network(network) for network in networks]

    async def target(self, url: str) -> Target:
        """Return where `url` leads. Raises: BadRequest (it is not one that may be fetched)."""
        parts = _split(url)
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        if port not in self._ports:
            raise _refused(url)
        host = str(parts.hostname)
        for address in await _resolve(url, host, port):
            if not self._allowed(address):
                raise _refused(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(parts.scheme, host, str(address), port, path)

    async def trusted(self, url: str) -> Target:
        """Return where a URL leads that is the operator's, whatever address it has.

        Raises: BadRequest (it leads nowhere).
        """
        parts = _split(url)
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        found = await _resolve(url, str(parts.hostname), port)
        return Target(parts.scheme, str(parts.hostname), str(found[0]), port, parts.path or "/")

    def _allowed(self, address: Address) -> bool:
        inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
        if inner is not None:
            return self._allowed(inner)
        if any(address in network for network in self._networks):
            return True
        return address.is_global and not address.is_multicast

    async def fetch(
        self,
        target: Target,
        span: tuple[int, int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[bytes]:
        """Yield what the target serves; `span`: the first byte wanted, and how many.

        Raises: NotFound, BadRequest (it serves nothing), Unavailable.
        """
        extra = dict(headers or {})
        if span is not None:
            extra["range"] = f"bytes={span[0]}-{span[0] + span[1] - 1}"
        async with self._opened("GET", target, extra) as reply:
            if reply.status_code == NOT_FOUND:
                raise NotFound("There is nothing at the URL.")
            if reply.status_code not in _wanted(span):
                raise BadRequest(f"The URL answered with status {reply.status_code}.")
            left = span[1] if span else None
            async for chunk in reply.aiter_raw(CHUNK_BYTES):
                piece = chunk if left is None else chunk[:left]
                left = None if left is None else left - len(piece)
                if piece:
                    yield piece
            if left:
                raise Unavailable("The data at the URL is cut off.")

    async def size(self, target: Target) -> int:
        """Return how many bytes the target serves. Raises: NotFound, BadRequest, Unavailable."""
        async with self._opened("HEAD", target, {}) as reply:
            length = reply.headers.get("content-length", "")
            if reply.status_code == NOT_FOUND:
                raise NotFound("There is nothing at the URL.")
            if reply.status_code != 200 or not length.isdecimal():
                raise BadRequest(f"The URL answered with status {reply.status_code}.", field="url")
            return int(length)

    @asynccontextmanager
    async def _opened(
        self, method: str, target: Target, extra: dict[str, str]
    ) -> AsyncIterator[Any]:
        import httpx  # heavy: only what comes from the web needs it

        literal = f"[{target.address}]" if ":" in target.address else target.address
        url = f"{target.scheme}://{literal}:{target.port}{target.path}"
        headers = {**extra, "host": _host_header(target), "accept-encoding": "identity"}
        limits, names = httpx.Timeout(30.0, read=60.0), {"sni_hostname": target.host}
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                httpx.AsyncClient(trust_env=False, timeout=limits) as client,
                client.stream(method, url, headers=headers, extensions=names) as reply,
            ):
                yield reply
        except (httpx.HTTPError, TimeoutError) as why:
            raise Unavailable("The URL could not be fetched.", detail=repr(why)) from why


def _wanted(span: tuple[int, int] | None) -> tuple[int, ...]:
    """A server that knows no ranges sends everything: of use if the start is wanted."""
    if span is None:
        return (200,)
    return (206,) if span[0] else (200, 206)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in DEFAULT_PORTS and parts.hostname and parts.port != 0
    except ValueError as why:
        raise _refused(url) from why
    if not known or parts.username is not None or any(ord(c) < 33 for c in url):
        raise _refused(url)
    return parts


async def _resolve(url: str, host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as why:
        raise _refused(url) from why
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _host_header(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host if target.port == DEFAULT_PORTS[target.scheme] else f"{host}:{target.port}"


def _refused(url: str) -> BadRequest:
    return BadRequest(f"Invalid URI: {url[:200]!r} does not pass filtering.", field="uri")

"""SAML identity providers as their metadata describe them: in a file, or at a URL.

Providers change their certificates from time to time and say so in advance at the URL, which is
read once an hour, and at once when an answer is signed by nobody known.
"""

import ssl
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from msgspec import Struct

from aerostat.kit.errors import Unavailable
from aerostat.kit.log import Logger
from aerostat.services.keystone.federation_config import SamlPeer
from aerostat.services.keystone.saml import xml
from aerostat.services.keystone.saml.peer import Peer, peer
from aerostat.services.keystone.saml.xml import Refused

log = Logger("keystone")

PUBLISHED_S = 3600
"""How long metadata of a URL are relied on."""

AGAIN_S = 10
"""How soon a URL is read again, at the soonest; also after it was out of reach."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class _Read(Struct, frozen=True):
    """What a URL said last, until when that counts, when it was asked (seconds, as `now`)."""

    peer: Peer
    until: float
    asked_at: float


class HttpPeers:
    """`saml.peer.Peers`."""

    def __init__(self) -> None:
        self._read: dict[SamlPeer, _Read] = {}

    async def __call__(self, config: SamlPeer, now: float, *, again: bool = False) -> Peer:
        if not config.metadata_url:
            return _of_file(config)
        known = self._read.get(config)
        if known is not None and now < (known.asked_at + AGAIN_S if again else known.until):
            return known.peer
        try:
            found = peer(await _fetch(config), config.idp_entity_id)
        except (httpx.HTTPError, OSError, Refused) as why:
            log.warning("federation.metadata_failed", url=config.metadata_url, reason=repr(why))
            found = self._instead(config, why)
            self._read[config] = _Read(found, now + AGAIN_S, now)
        else:
            self._read[config] = _Read(found, now + PUBLISHED_S, now)
        return found

    def _instead(self, config: SamlPeer, why: Exception) -> Peer:
        """Return what was said before, or what the file says. Raises: Unavailable (nothing)."""
        if config in self._read:
            return self._read[config].peer
        if config.metadata_file:
            return _of_file(config)
        raise _unusable(why) from why


def _of_file(config: SamlPeer) -> Peer:
    try:
        return peer(Path(config.metadata_file).read_bytes(), config.idp_entity_id)
    except (OSError, Refused) as why:
        raise _unusable(why) from why


def _unusable(why: Exception) -> Unavailable:
    return Unavailable("The identity provider cannot be used.", detail=str(why))


async def _fetch(config: SamlPeer) -> bytes:
    """Return what is at the URL. Raises: httpx.HTTPError, OSError, Refused."""
    parts = urlsplit(config.metadata_url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise Refused("metadata_url is no https: anybody on the way could say who signs")
    tls = ssl.create_default_context(cafile=config.ca_file or None)
    async with (
        httpx.AsyncClient(verify=tls, timeout=config.timeout_s, trust_env=False) as client,
        client.stream("GET", config.metadata_url) as reply,
    ):
        reply.raise_for_status()
        raw = b""
        async for chunk in reply.aiter_bytes():
            raw += chunk
            if len(raw) > xml.SIZE_MAX:
                raise Refused("the metadata are too long")
        return raw

"""A token of keystone for an object store, and the URL of the account that it opens.

Source: identity API v3, "Password authentication with scoped authorization"; object store API v1.
"""

import asyncio
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from aerostat.kit.clock import Clock
from aerostat.kit.errors import Unavailable
from aerostat.services.glance.config import SwiftStore
from aerostat.services.glance.drivers.web_client import Client, once

SPARE_S = 60.0
"""A token that ends within this time is not used for anything new."""

INTERFACES = {"publicURL": "public", "internalURL": "internal", "adminURL": "admin"}


class Opened(Struct, frozen=True):
    """A token, the account's URL, and when the token ends (seconds since the epoch)."""

    token: str
    url: str
    expires_at: float


class Session:
    """Logs in when it must; everybody uses the same token meanwhile."""

    def __init__(self, config: SwiftStore, clock: Clock) -> None:
        self._config, self._clock = config, clock
        address = config.swift_store_auth_address.rstrip("/").removesuffix("/v3")
        self._client = Client(address, config.timeout_s, config.swift_store_cacert)
        self._opened: Opened | None = None
        self._lock = asyncio.Lock()

    async def opened(self) -> Opened:
        """Return what opens the account. Raises: Unavailable."""
        async with self._lock:
            now = self._clock.now()
            if self._opened is None or self._opened.expires_at - SPARE_S < now:
                self._opened = await self._log_in()
            return self._opened

    def refused(self, opened: Opened) -> None:
        """Use a token no more."""
        if self._opened is opened:
            self._opened = None

    async def _log_in(self) -> Opened:
        body = msgspec.json.encode({"auth": self._credentials()})
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        reply = await self._client.open("POST", "/v3/auth/tokens", headers, body=once(body))
        answer = await reply.whole()
        if answer.status != 201:
            raise Unavailable("The object store's keystone refuses.", detail=str(answer.status))
        token = msgspec.json.decode(answer.body)["token"]
        ends = datetime.fromisoformat(token["expires_at"].replace("Z", "+00:00"))
        url = self._config.swift_store_endpoint or self._endpoint(token["catalog"])
        return Opened(answer.headers["x-subject-token"], url.rstrip("/"), ends.timestamp())

    def _credentials(self) -> dict[str, Any]:
        config = self._config
        project, _, user = config.swift_store_user.partition(":")
        domain = {"id": config.project_domain_id}
        named = {"name": user, "domain": {"id": config.user_domain_id}}
        password = {"user": {**named, "password": str(config.swift_store_key)}}
        return {
            "identity": {"methods": ["password"], "password": password},
            "scope": {"project": {"name": project, "domain": domain}},
        }

    def _endpoint(self, catalog: list[Any]) -> str:
        config = self._config
        wanted = INTERFACES.get(config.swift_store_endpoint_type, config.swift_store_endpoint_type)
        for service in catalog:
            for one in service["endpoints"]:
                here = config.swift_store_region in ("", one.get("region_id"))
                kind = service["type"] == config.swift_store_service_type
                if kind and here and one["interface"] == wanted:
                    return str(one["url"])
        raise Unavailable("The catalogue has no object store.", detail=wanted)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

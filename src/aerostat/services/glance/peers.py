"""Asks another copy of glance-api, whose staging folder has what a request is about.

Source: glance documentation, `worker_self_reference_url`.
"""

import ssl
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from aerostat.kit.errors import Fault

TIMEOUT_S = 60.0
PASSED_ON = ("x-auth-token", "x-service-token", "x-image-meta-store", "content-type")
"""Headers that go along: the caller's own credentials, as if they had asked there."""


class Answer(Struct, frozen=True):
    """What the other copy said."""

    status: int
    content_type: str
    body: bytes


class Peers:
    """The other copies of glance-api; `cacert` is a PEM file with who signed their certificates.

    Without it those count whom the system trusts.
    """

    def __init__(self, cacert: str = "") -> None:
        self._cacert = cacert
        self._http: Any = None

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """Raises: Fault (gateway_timeout: it is not there; bad_gateway: it broke off)."""
        import httpx  # heavy: only copies with staging folders of their own need it

        if self._http is None:
            trusted = ssl.create_default_context(cafile=self._cacert) if self._cacert else True
            self._http = httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_S, verify=trusted)
        sent = {name: headers[name] for name in PASSED_ON if name in headers}
        try:
            reply = await self._http.request(method, url, headers=sent, content=body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as why:
            raise _unavailable("gateway_timeout", why) from why
        except httpx.HTTPError as why:
            raise _unavailable("bad_gateway", why) from why
        kind = reply.headers.get("content-type", "application/json")
        return Answer(reply.status_code, kind, reply.content)

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()


def _unavailable(code: str, why: Exception) -> Fault:
    return Fault("Stage host is unavailable", code=code, detail=repr(why))

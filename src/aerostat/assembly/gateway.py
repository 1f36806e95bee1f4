"""One port for all APIs: /identity, /compute, ... lead to what the standard ports serve."""

from collections.abc import Mapping
from typing import Any

import msgspec


class Gateway:
    """Dispatches by the first path segment."""

    def __init__(self, mounts: Mapping[str, Any]) -> None:
        self._mounts = dict(mounts)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        prefix = "/" + path.lstrip("/").split("/", 1)[0]
        app = self._mounts.get(prefix)
        if app is None:
            await _say(send, 200 if path == "/" else 404, {"services": sorted(self._mounts)})
            return
        await app({**scope, "root_path": prefix}, receive, send)


async def _say(send: Any, status: int, doc: Any) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(doc)})

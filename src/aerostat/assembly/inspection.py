"""What a process tells those who watch over it: GET /healthz and GET /metrics."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from aerostat.kit.errors import Fault
from aerostat.kit.metrics import CONTENT_TYPE, Metrics

Probe = Callable[[], Awaitable[None]]
"""Returns if a part is well. Raises: a Fault that says what is wrong with it."""


class Inspection:
    """An ASGI application; a part that is not well makes /healthz a 503 that names it."""

    def __init__(self, metrics: Metrics, parts: Callable[[], Mapping[str, Probe]]) -> None:
        self._metrics, self._parts = metrics, parts

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] == "/metrics":
            await _say(send, 200, CONTENT_TYPE, self._metrics.text())
        elif scope["path"] == "/healthz":
            found = {name: await _state(probe) for name, probe in self._parts().items()}
            status = 200 if set(found.values()) <= {"ok"} else 503
            await _say(send, status, "application/json", msgspec.json.encode(found))
        else:
            await _say(send, 404, "text/plain", b"/healthz and /metrics are here.\n")


async def _state(probe: Probe) -> str:
    try:
        await probe()
    except Fault as why:
        return why.message
    return "ok"


async def _say(send: Any, status: int, kind: str, body: bytes) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

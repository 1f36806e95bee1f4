"""One HTTP request to an ASGI application, without a socket."""

import json
from typing import Any

import msgspec


class Answer(msgspec.Struct, frozen=True):
    """What came back; `doc` is the decoded body, None for none."""

    status: int
    headers: dict[str, str]
    doc: Any


async def ask(
    app: Any, method: str, url: str, body: Any = None, headers: dict[str, str] | None = None
) -> Answer:
    """Send `body` (JSON, or bytes as they are) and return the answer."""
    path, _, query = url.partition("?")
    raw = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
    sent = {"host": "cloud", "content-length": str(len(raw)), **(headers or {})}
    if body is not None:
        sent.setdefault("content-type", "application/json")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in sent.items()],
        "client": ("127.0.0.1", 1),
        "scheme": "http",
    }
    started: dict[str, Any] = {}
    parts: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": raw, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            started.update(message)
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    got = {k.decode(): v.decode("latin-1") for k, v in started["headers"]}
    whole = b"".join(parts)
    return Answer(started["status"], got, json.loads(whole) if whole else None)

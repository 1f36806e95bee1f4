"""The ASGI application of one API: from bytes to a handler's arguments and back again.

In order: request id, route, token, version, policy, body, handler, response conversion. A fault
anywhere becomes the service's own error envelope; anything else is a 500 that says nothing.
"""

import base64
import dataclasses
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec.structs import replace

from aerostat.kit.context import Context
from aerostat.kit.errors import BadRequest, Fault, NotFound, TooLarge, Unauthorized
from aerostat.kit.files import ZERO_COPY, FileSpan
from aerostat.kit.http import schema
from aerostat.kit.http.access import permitted
from aerostat.kit.http.errors import Envelope, MethodNotAllowed, UnsupportedMediaType, status_of
from aerostat.kit.http.microversion import Version, Versions
from aerostat.kit.http.policy import Policy
from aerostat.kit.http.route import Reply, Request, Route, Routes
from aerostat.kit.http.router import Router, choose
from aerostat.kit.ids import request_id
from aerostat.kit.log import Logger, bound

S = TypeVar("S")
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Authenticate(Protocol):
    """Returns the identity behind a token; `late`: also for a while after its end.

    Raises: Unauthorized.
    """

    async def __call__(self, token: str, *, late: bool = False) -> Context: ...


SERVICE_ROLE = "service"
"""Who holds it may go on with what a user began whose token has expired meanwhile."""


log = Logger("http")

MAX_BODY = 114_688
"""Bytes of a JSON body. Source: oslo.middleware, max_request_body_size."""

NO_VERSION = Version(0, 0)
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True)
class ApiSpec:
    """What makes an API: its mounts (prefix and routes), envelope, versions and limits.

    `statuses` overrides the status of fault codes. `strict_media` refuses bodies that do not
    say they are JSON (415), as nova and placement do. `service_type` is what access rules call
    this API; without one, credentials that are limited by such rules get nowhere here.
    `late_tokens`: a service (X-Service-Token) may bring a user's token that has expired.
    `admit` raises Forbidden if an identity, good as it is, gets nowhere here.
    `expected_bodies`: a body where there should be none is a 400, as in glance.
    `exact_paths`: /servers/ is not /servers (the server without a name is not there), as in nova.
    """

    name: str
    mounts: Sequence[tuple[str, Sequence[Routes[Any]]]]
    envelope: Envelope
    versions: Versions | None = None
    statuses: Mapping[str, int] = field(default_factory=dict)
    strict_media: bool = False
    max_body: int = MAX_BODY
    request_id_header: str = "x-openstack-request-id"
    service_type: str = ""
    late_tokens: bool = True
    exact_paths: bool = False
    admit: Callable[[Context], None] | None = None
    expected_bodies: bool = False

    def routes(self) -> list[Route]:
        """Return every route with its full path."""
        return [
            dataclasses.replace(route, path=prefix + route.path)
            for prefix, nouns in self.mounts
            for noun in nouns
            for route in noun.routes
        ]


class Api(Generic[S]):
    """Serves `spec` over ASGI with `service` as the handlers' first argument."""

    def __init__(
        self, spec: ApiSpec, service: S, policy: Policy, authenticate: Authenticate
    ) -> None:
        self.spec, self.policy = spec, policy
        self._service, self._authenticate = service, authenticate
        self._router = Router(exact=spec.exact_paths)
        for route in spec.routes():
            self._router.add(route)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        call = _Call(scope, receive)
        token = bound.set({"request_id": call.request_id, "api": self.spec.name})
        started = time.perf_counter()
        try:
            reply = await self._answer(call)
        except Exception as why:  # The edge: nothing may pass.
            reply = self._failure(call, why)
        await self._send(call, reply, send)
        self._account(call, reply, time.perf_counter() - started)
        bound.reset(token)

    async def _answer(self, call: "_Call") -> Reply:
        found = self._router.find(call.path)
        routes = found[0] if found else {}
        candidates = routes.get(call.method) or (
            routes.get("GET") if call.method == "HEAD" else None
        )
        if not (candidates and candidates[0].public):
            call.ctx = await self._identify(call)
        if found is None or "\0" in call.path:
            raise NotFound("The resource could not be found.")
        if candidates is None:
            raise _method_not_allowed(routes)
        call.version = self._version(call)
        route = choose(candidates, call.version) if self.spec.versions else candidates[0]
        if route is None:
            raise NotFound("The resource could not be found.")
        call.route = route
        if route.policy is not None:
            self.policy.enforce(call.ctx, route.policy)
        if self.spec.expected_bodies and not (route.body or route.stream) and call.has_body:
            raise BadRequest("A body is not expected with this request.", field="body")
        request: Request[Any] = Request(
            ctx=call.ctx,
            method=call.method,
            path=found[1],
            query=schema.Query(call.query()),
            body=None,
            version=call.version,
            headers=call.headers,
            url=call.url,
            base=call.base,
            policy=self.policy,
            chunks=call.chunks,
            identify=partial(self._identified, call),
            certificate=call.certificate,
            raw_query=call.raw_query,
        )
        if route.body is not None:
            request.body = await self._body(call, route)
        return self._reply(call, route, await route.handler(self._service, request), request)

    async def _identified(self, call: "_Call") -> Context:
        call.ctx = await self._identify(call)
        return call.ctx

    async def _identify(self, call: "_Call") -> Context:
        token = call.headers.get("x-auth-token", "")
        if not token:
            raise _unauthorized(call)
        try:
            service = await self._service_of(call)
            if service is not None and self.spec.late_tokens:
                who = await self._authenticate(token, late=True)
            else:
                who = await self._authenticate(token)
        except Unauthorized as why:
            raise _unauthorized(call) from why
        if self.spec.admit is not None:
            self.spec.admit(who)
        if service is not None:
            who = replace(who, extra={**who.extra, "service_roles": list(service.roles)})
        rules = who.extra.get("access_rules")
        bound_to = rules if service is None else None  # A service passes on what was let in.
        if bound_to is not None and not permitted(
            bound_to, self.spec.service_type, call.method, call.path
        ):
            raise _unauthorized(call)
        thumbprint = who.extra.get("certificate_thumbprint")
        if thumbprint is not None and service is None and thumbprint != call.thumbprint:
            raise _unauthorized(call)
        return replace(
            who,
            token=token,
            request_id=call.request_id,
            global_request_id=call.global_request_id,
            remote_address=call.ctx.remote_address,
        )

    async def _service_of(self, call: "_Call") -> Context | None:
        """Return the service that passes a user's request on. Raises: Unauthorized (forged)."""
        token = call.headers.get("x-service-token", "")
        if not token:
            return None
        service = await self._authenticate(token)
        return service if SERVICE_ROLE in service.roles else None

    def _version(self, call: "_Call") -> Version:
        versions = self.spec.versions
        if versions is None:
            return NO_VERSION
        legacy = call.headers.get(versions.legacy_header, "") if versions.legacy_header else ""
        return versions.requested(call.headers.get("openstack-api-version", ""), legacy)

    async def _body(self, call: "_Call", route: Route) -> Any:
        media = call.headers.get("content-type", "")
        raw = await call.read(route.max_body or self.spec.max_body)
        if self.spec.strict_media and media and "json" not in media:
            raise UnsupportedMediaType(f"Unsupported Content-Type {media}")
        if not raw:
            raise BadRequest("The request has no body.", field="body")
        versions = self.spec.versions
        if versions is None:
            return schema.read(raw, route.body)
        doc = schema.decode(raw)
        schema.check_since(doc, route.body, call.version)
        for change in versions.newer(route.tags, call.version):
            if change.request is not None and isinstance(doc, dict):
                doc = change.request(doc)
        return schema.convert(doc, route.body)

    def _reply(self, call: "_Call", route: Route, result: Any, request: Request[Any]) -> Reply:
        reply = result if isinstance(result, Reply) else Reply(result)
        reply.status = reply.status or route.status
        reply.headers.update(request.reply_headers)
        versions = self.spec.versions
        if versions is None or reply.body is None or call.version >= versions.newest:
            return reply
        changes = [c for c in versions.newer(route.tags, call.version) if c.response is not None]
        if changes:
            doc = reply.body if isinstance(reply.body, dict) else msgspec.to_builtins(reply.body)
            for change in reversed(changes):
                assert change.response is not None
                doc = change.response(doc)
            reply.body = doc
        return reply

    def _failure(self, call: "_Call", why: Exception) -> Reply:
        fault = why if isinstance(why, Fault) else Fault(UNEXPECTED, detail=repr(why))
        status = status_of(fault, self.spec.statuses)
        if status >= 500:
            log.error("http.failed", why=why, method=call.method, path=call.path)
        content_type, document = self.spec.envelope(status, fault, call.request_id)
        return Reply(document, status, dict(fault.headers), content_type=content_type)

    async def _send(self, call: "_Call", reply: Reply, send: Send) -> None:
        headers = [(k.lower().encode(), v.encode("latin-1")) for k, v in reply.headers.items()]
        headers.append((b"x-openstack-request-id", call.request_id.encode()))
        if self.spec.request_id_header != "x-openstack-request-id":
            headers.append((self.spec.request_id_header.encode(), call.request_id.encode()))
        if self.spec.versions is not None:
            headers += _version_headers(self.spec.versions, call.version)
        raw = reply.raw
        if raw is None:
            raw = b"" if reply.body is None else _encode(reply.body)
        if raw or reply.raw is not None:
            headers.append((b"content-type", reply.content_type.encode()))
        if reply.stream is None and reply.status != 204:
            headers.append((b"content-length", str(len(raw)).encode()))
        start = {"type": "http.response.start", "status": reply.status, "headers": headers}
        if reply.stream is not None and call.method != "HEAD":
            headers.append((b"content-type", reply.content_type.encode()))
            await _send_stream(start, reply.stream, send, call.scope.get("extensions", {}))
            return
        await send(start)
        await send({"type": "http.response.body", "body": b"" if call.method == "HEAD" else raw})

    def _account(self, call: "_Call", reply: Reply, took_s: float) -> None:
        quiet = call.method in ("GET", "HEAD") and (reply.status or 0) < 400 and took_s < 1
        emit = log.debug if quiet else log.info
        emit(
            "http.request",
            method=call.method,
            path=call.path,
            status=reply.status,
            took_ms=round(took_s * 1000, 2),
            user_id=call.ctx.user_id,
            project_id=call.ctx.project_id,
        )


UNEXPECTED = "An unexpected error occurred. The request id tells the operator more."


class _Call:
    """One ASGI request, decoded no further than needed."""

    __slots__ = (
        "_receive",
        "base",
        "ctx",
        "global_request_id",
        "headers",
        "method",
        "path",
        "request_id",
        "route",
        "scope",
        "version",
    )

    def __init__(self, scope: dict[str, Any], receive: Receive) -> None:
        self.scope, self._receive = scope, receive
        self.method: str = scope["method"]
        self.headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        root = scope.get("root_path", "")
        self.path: str = scope["path"].removeprefix(root) if root else scope["path"]
        self.base = f"{scope.get('scheme', 'http')}://{self.headers.get('host', 'localhost')}{root}"
        self.request_id = request_id()
        given = self.headers.get("x-openstack-request-id", "")
        self.global_request_id = given if _plausible(given) else ""
        client = scope.get("client")
        self.ctx = Context(self.request_id, remote_address=client[0] if client else "")
        self.version = NO_VERSION
        self.route: Route | None = None

    @property
    def url(self) -> str:
        return f"{self.base}{self.path}"

    @property
    def has_body(self) -> bool:
        """Whether the request says that there is a body."""
        return self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers

    @property
    def certificate(self) -> str:
        """What the client showed to TLS, in PEM; "" for none."""
        chain = self.scope.get("extensions", {}).get("tls", {}).get("client_cert_chain")
        return chain[0] if chain else ""

    @property
    def thumbprint(self) -> str:
        return certificate_thumbprint(self.certificate)

    @property
    def raw_query(self) -> str:
        raw: bytes = self.scope["query_string"]
        return raw.decode("latin-1")

    def query(self) -> dict[str, list[str]]:
        """Return the values of the query string by name. Raises: BadRequest (no UTF-8)."""
        values: dict[str, list[str]] = {}
        if raw := self.raw_query:
            try:
                pairs = parse_qsl(raw, keep_blank_values=True, errors="strict")
            except UnicodeDecodeError as why:
                raise BadRequest("The query string is not UTF-8.", field="query") from why
            for name, value in pairs:
                values.setdefault(name, []).append(value)
        return values

    async def read(self, limit: int) -> bytes:
        """Return the whole body. Raises: TooLarge."""
        if int(self.headers.get("content-length", "0") or 0) > limit:
            raise TooLarge("Request is too large.")
        parts, size, more = list[bytes](), 0, True
        while more:
            part, more = await self._part()
            size += len(part)
            if size > limit:
                raise TooLarge("Request is too large.")
            parts.append(part)
        return b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises: BadRequest (the client went away)."""
        more = True
        while more:
            part, more = await self._part()
            if part:
                yield part

    async def _part(self) -> tuple[bytes, bool]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The client disconnected.")
        return message.get("body", b""), message.get("more_body", False)


def certificate_thumbprint(pem: str) -> str:
    """Return what a token is bound to, as upstream and keystonemiddleware write it.

    SHA-256 of the PEM text in base64url; RFC 8705 has it of the DER bytes.
    """
    return base64.urlsafe_b64encode(hashlib.sha256(pem.encode()).digest()).decode()


def _plausible(given: str) -> bool:
    return given.startswith("req-") and len(given) == 40


def _unauthorized(call: _Call) -> Unauthorized:
    fault = Unauthorized("The request you have made requires authentication.")
    fault.headers["WWW-Authenticate"] = f'Keystone uri="{call.base}"'
    return fault


def _method_not_allowed(routes: Mapping[str, Any]) -> MethodNotAllowed:
    fault = MethodNotAllowed("The method is not allowed for this resource.")
    fault.headers["Allow"] = ", ".join(sorted(routes))
    return fault


def _version_headers(versions: Versions, version: Version) -> list[tuple[bytes, bytes]]:
    shown = version if version != NO_VERSION else versions.least
    headers = [
        (b"openstack-api-version", f"{versions.service_type} {shown}".encode()),
        (b"vary", b"OpenStack-API-Version"),
    ]
    if versions.legacy_header:
        headers.append((versions.legacy_header.encode(), str(shown).encode()))
        headers.append((b"vary", versions.legacy_header.encode()))
    return headers


async def _send_stream(
    start: dict[str, Any], stream: AsyncIterator[bytes], send: Send, extensions: Mapping[str, Any]
) -> None:
    if isinstance(stream, FileSpan) and ZERO_COPY in extensions:
        with stream.path.open("rb") as file:
            await send(start)
            span = {"file": file, "offset": stream.start, "count": stream.length}
            await send({"type": ZERO_COPY, **span})
        return
    await send(start)
    async for chunk in stream:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})

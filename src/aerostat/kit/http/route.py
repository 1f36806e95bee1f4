"""Routes: one declaration gives URL, schema, policy rule, version range and status code."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aerostat.kit.context import Context
from aerostat.kit.http.microversion import Version
from aerostat.kit.http.policy import Policy, Rule
from aerostat.kit.http.schema import Query

S = TypeVar("S")
B = TypeVar("B")

Handler = Callable[..., Awaitable[Any]]


@dataclass(slots=True)
class Request(Generic[B]):
    """One request as a handler sees it: identity, parameters, and the body as declared.

    `url` is what the client called (scheme, host and path), `base` the root of this API as the
    client sees it. `chunks()` streams the body of a route declared with `stream=True`.
    `identify()` checks the token where the route is public, but not to everybody.
    `certificate` is what the client showed to TLS, in PEM; "" for none. `raw_query` is the query
    as it was written, for what was signed that way.
    """

    ctx: Context
    method: str
    path: dict[str, str]
    query: Query
    body: B
    version: Version
    headers: Mapping[str, str]
    url: str
    base: str
    policy: Policy
    chunks: Callable[[], AsyncIterator[bytes]]
    identify: Callable[[], Awaitable[Context]]
    certificate: str = ""
    raw_query: str = ""
    reply_headers: dict[str, str] = field(default_factory=dict)

    def enforce(self, rule: Rule, target: Mapping[str, Any] | None = None) -> None:
        """Raises: Forbidden."""
        self.policy.enforce(self.ctx, rule, target)

    def allows(self, rule: Rule, target: Mapping[str, Any] | None = None) -> bool:
        """Tell whether the caller passes `rule` for `target`."""
        return self.policy.allows(self.ctx, rule, target)


@dataclass(slots=True)
class Reply:
    """A response that is more than a document: other status, headers, raw or streamed body."""

    body: Any = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    content_type: str = "application/json"
    stream: AsyncIterator[bytes] | None = None


@dataclass(frozen=True)
class Route:
    """A URL with a method. `{name}` in the path is a parameter; `tags` select version changes.

    `policy` None: any authenticated caller, the handler enforces for itself what it needs.
    `public`: no token needed. `stream`: the handler reads the body itself, of any size.
    """

    method: str
    path: str
    handler: Handler
    policy: Rule | None
    status: int
    body: Any = None
    tags: frozenset[str] = frozenset()
    since: Version | None = None
    until: Version | None = None
    public: bool = False
    stream: bool = False
    max_body: int | None = None


class Routes(Generic[S]):
    """The routes of one noun; handlers take the service and the request.

    @routes.post("/servers", policy=policies.CREATE, body=ServerCreate, status=202)
    async def create(nova: Nova, req: Request[ServerCreate]) -> Document: ...
    """

    def __init__(self, *tags: str) -> None:
        self.tags = frozenset(tags)
        self.routes: list[Route] = []

    def add(
        self, method: str, path: str, *, policy: Rule | None, status: int = 200, **options: Any
    ) -> Callable[[Handler], Handler]:
        """Declare a route; `options` are the further fields of Route."""
        for edge in ("since", "until"):
            if isinstance(options.get(edge), str):
                options[edge] = Version.parse(options[edge])
        tags = self.tags | frozenset(options.pop("tags", ()))

        def declare(handler: Handler) -> Handler:
            self.routes.append(Route(method, path, handler, policy, status, tags=tags, **options))
            return handler

        return declare

    def get(
        self, path: str, *, policy: Rule | None, status: int = 200, **options: Any
    ) -> Callable[[Handler], Handler]:
        """Declare a GET; HEAD is answered by the same handler, without the body."""
        return self.add("GET", path, policy=policy, status=status, **options)

    def post(
        self, path: str, *, policy: Rule | None, status: int = 201, **options: Any
    ) -> Callable[[Handler], Handler]:
        return self.add("POST", path, policy=policy, status=status, **options)

    def put(
        self, path: str, *, policy: Rule | None, status: int = 200, **options: Any
    ) -> Callable[[Handler], Handler]:
        return self.add("PUT", path, policy=policy, status=status, **options)

    def patch(
        self, path: str, *, policy: Rule | None, status: int = 200, **options: Any
    ) -> Callable[[Handler], Handler]:
        return self.add("PATCH", path, policy=policy, status=status, **options)

    def delete(
        self, path: str, *, policy: Rule | None, status: int = 204, **options: Any
    ) -> Callable[[Handler], Handler]:
        return self.add("DELETE", path, policy=policy, status=status, **options)

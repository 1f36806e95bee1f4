"""One connection to RabbitMQ: what is declared, published and consumed on it, until it breaks.

Calls go to durable quorum queues with publisher confirms and expire with their caller's patience;
answers go to a queue that dies with the connection. A node may write to two exchanges only,
`aerostat.control` (calls to those endpoints that are there for nodes) and `aerostat.replies`, and
has no other queues than those that end in its host's name. Source: RabbitMQ manual: queues,
quorum queues, access control, validated user-id.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar

import aiormq
import msgspec
from aiormq.abc import DeliveredMessage
from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from aiormq.exceptions import AMQPError
from pamqp.commands import Basic
from yarl import URL

from aerostat.kit.bus.endpoint import nobody
from aerostat.kit.errors import Unavailable
from aerostat.kit.log import Logger
from aerostat.kit.sockets import notice_silence

T = TypeVar("T")

log = Logger("bus")

PREFIX = "aerostat."
CONTROL, REPLIES = "aerostat.control", "aerostat.replies"
HEARTBEAT_S = 5
CONNECT_TIMEOUT_S = 5.0
PREFETCH = 64
"""Calls of one queue that a process works on at once."""

NACKED_S = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Waits before a call that RabbitMQ would not take is published again on a new channel."""

IDLE_LOOK_S = 0.2

EXPIRES_MS = 3_600_000
"""A queue that nobody has consumed from for this long is deleted, with what is in it."""

LASTING: dict[str, Any] = {
    "durable": True,
    "arguments": {"x-queue-type": "quorum", "x-expires": EXPIRES_MS},
}
"""A queue whose calls outlive the broker's nodes and wait for whoever serves it."""

PASSING: dict[str, Any] = {"auto_delete": True}
"""A queue that ends with the connection which consumes from it, or with that one's node.

A quorum queue goes on counting consumers whose node went away, for they may come back.
"""

BROKEN = (AMQPError, OSError, RuntimeError, asyncio.InvalidStateError)
"""What aiormq raises when a connection breaks under an operation."""


async def outliving(work: "asyncio.Task[T]") -> T:
    """Return what comes of something that aiormq does.

    When a connection breaks, aiormq cancels what waits for it: whoever asked must not take that
    for its own end. Raises: ConnectionError (cancelled), and what `work` raises.
    """
    await asyncio.wait({work})
    if work.cancelled():
        raise ConnectionError("The connection broke.")
    return work.result()


OnMessage = Callable[["Session", DeliveredMessage], Awaitable[None]]


class Request(msgspec.Struct, frozen=True):
    """A call on its way out."""

    id: str
    address: str
    method: str
    payload: bytes
    bound: dict[str, Any]
    timeout_s: float


def queue_of(address: str) -> str:
    """Return the name of the queue of an address."""
    return PREFIX + address


class Session:
    """A live connection. Every method raises one of BROKEN when it is gone."""

    def __init__(self, connection: Any, user: str, *, node: bool) -> None:
        self._connection, self._user, self._node = connection, user, node
        self._calls: Any = None
        self._answers: Any = None
        self._looks: Any = None
        self._consumers: list[str] = []
        self._renewing = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self.reply_queue = ""

    @property
    def closed(self) -> "asyncio.Future[Any]":
        """Done when the connection is gone."""
        closing: asyncio.Future[Any] = self._connection.closing
        return closing

    async def open(self, name: str, on_reply: OnMessage) -> None:
        """Declare the exchanges and this process's reply queue."""
        self._calls = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        self._answers = await self._connection.channel(publisher_confirms=False)
        await self._answers.basic_qos(prefetch_count=PREFETCH)
        self._looks = await self._connection.channel(publisher_confirms=False)
        self.reply_queue = PREFIX + name
        await self._answers.queue_declare(self.reply_queue, exclusive=True, auto_delete=True)
        if not self._node:
            for exchange in (CONTROL, REPLIES):
                await self._answers.exchange_declare(exchange, exchange_type="direct", durable=True)
            await self._answers.queue_bind(self.reply_queue, REPLIES, routing_key=self.reply_queue)

        async def received(message: DeliveredMessage) -> None:
            await on_reply(self, message)

        await self._answers.basic_consume(self.reply_queue, received, no_ack=True)

    async def consume(
        self, address: str, on_call: OnMessage, *, for_nodes: bool, kind: dict[str, Any]
    ) -> None:
        """Receive the calls to an address from now on; `kind` is LASTING or PASSING."""
        queue = queue_of(address)
        await self._answers.queue_declare(queue, **kind)
        if for_nodes and not self._node:
            await self._answers.queue_bind(queue, CONTROL, routing_key=address)

        async def received(message: DeliveredMessage) -> None:
            await on_call(self, message)

        found = await self._answers.basic_consume(queue, received)
        self._consumers.append(found.consumer_tag)

    async def call(self, request: Request) -> None:
        """Publish a call; return once the broker has it on disk.

        Raises: Unavailable (there is no such queue).
        """
        properties = Basic.Properties(
            message_id=request.id,
            reply_to=self.reply_queue,
            message_type=request.method,
            expiration=str(max(1, int(request.timeout_s * 1000))),
            user_id=self._user,
            delivery_mode=2,
            headers={
                "address": request.address,
                "bound": msgspec.json.encode(request.bound).decode(),
            },
        )
        exchange = CONTROL if self._node else ""
        key = request.address if self._node else queue_of(request.address)
        for wait_s in NACKED_S:
            channel = self._calls
            try:
                await channel.basic_publish(
                    request.payload,
                    exchange=exchange,
                    routing_key=key,
                    properties=properties,
                    mandatory=True,
                )
                return
            except aiormq.exceptions.PublishError as why:
                raise nobody(request.address) from why
            except aiormq.exceptions.DeliveryError as why:
                log.info("bus.nacked", address=request.address, wait_s=wait_s, reason=repr(why))
                await asyncio.sleep(wait_s)
                await self._renew(channel)
        raise Unavailable("RabbitMQ takes no calls.", detail=request.address)

    async def _renew(self, channel: Any) -> None:
        """Publish on another channel from now on.

        One that was opened while a queue changed leaders may refuse all calls to it for good
        (seen with RabbitMQ 3.10).
        """
        async with self._renewing:
            if self._calls is channel:
                made = await self._connection.channel(
                    publisher_confirms=True, on_return_raises=True
                )
                self._calls, former = made, self._calls
                self._closing.add(task := asyncio.create_task(_close_idle(former)))
                task.add_done_callback(self._closing.discard)

    async def reply(self, to: DeliveredMessage, kind: str, payload: bytes) -> None:
        """Publish the answer to a call, then take the call off its queue."""
        asked = to.header.properties
        await self._answers.basic_publish(
            payload,
            exchange=REPLIES if self._node else "",
            routing_key=asked.reply_to or "",
            properties=Basic.Properties(correlation_id=asked.message_id, message_type=kind),
        )
        assert to.delivery_tag is not None
        await self._answers.basic_ack(to.delivery_tag)

    async def consumers(self, address: str) -> int:
        """Return how many processes consume from the queue of an address."""
        try:
            found = await self._looks.queue_declare(queue_of(address), passive=True)
        except aiormq.exceptions.ChannelNotFoundEntity:
            self._looks = await self._connection.channel(publisher_confirms=False)
            return 0
        return int(found.consumer_count)

    async def stop_consuming(self) -> None:
        """Take no more calls."""
        for tag in self._consumers:
            await self._answers.basic_cancel(tag)

    async def close(self) -> None:
        """Hang up."""
        await self._connection.close()


async def _close_idle(channel: Any) -> None:
    """Close a channel when nothing that was published on it is unconfirmed any more."""
    while channel.confirmations and not channel.is_closed:  # noqa: ASYNC110
        await asyncio.sleep(IDLE_LOOK_S)
    if not channel.is_closed:
        await channel.close()


class _Watched(TransportFactory):
    """Connections that end when the server's machine is gone."""

    def __init__(self, *, secure: bool) -> None:
        self._factory = TLSTransportFactory() if secure else TCPTransportFactory()

    async def create(
        self, url: URL, **kwargs: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await self._factory.create(url, **kwargs)
        notice_silence(writer.get_extra_info("socket"))
        return reader, writer


async def connect(url: str, name: str, *, node: bool, on_reply: OnMessage) -> Session:
    """Return a session with a server. Raises: one of BROKEN, TimeoutError."""
    parsed = URL(url).update_query(heartbeat=str(HEARTBEAT_S))
    context = None
    if parsed.scheme == "amqps" and "cafile" in parsed.query:
        context = ssl.create_default_context(cafile=parsed.query["cafile"])
        if "certfile" in parsed.query:
            context.load_cert_chain(parsed.query["certfile"], parsed.query.get("keyfile"))
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        watched = _Watched(secure=parsed.scheme == "amqps")
        connection = await aiormq.connect(parsed, context=context, transport_factory=watched)
        session = Session(connection, parsed.user or "guest", node=node)
        try:
            await session.open(name, on_reply)
        except BaseException:
            await connection.close()
            raise
    return session


def node_user(host: str) -> str:
    """Return the RabbitMQ user of a host."""
    return f"node-{host}"


def node_permissions(host: str) -> tuple[str, str, str]:
    """Return what the user of a host may configure, write and read, as RabbitMQ's patterns."""
    name = "".join(c if c.isalnum() else f"\\{c}" for c in host)
    own = rf"aerostat\.[^@]+@{name}"
    return f"^{own}$", rf"^(aerostat\.(control|replies)|{own})$", f"^{own}$"


def speaker(message: DeliveredMessage, control: Collection[str]) -> str | None:
    """Return the host that a call comes from, "" for the control plane, None if nobody says so.

    RabbitMQ refuses a message whose user-id is not that of its connection.
    """
    user = message.header.properties.user_id or ""
    if user in control:
        return ""
    return user.removeprefix("node-") if user.startswith("node-") else None

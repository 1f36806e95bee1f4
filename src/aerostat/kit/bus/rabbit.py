"""The bus over RabbitMQ: typed calls between any number of processes on any number of hosts.

At least once, and not twice: a call that was sent when the connection broke is sent again with the
same id, and a process answers an id that it knows with the answer it gave. A callee that died is
noticed by its queue having no consumer, long before the deadline. Measured in docs/rfd/0005.
"""

import asyncio
import contextlib
import random
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from aiormq.abc import DeliveredMessage
from yarl import URL

from aerostat.kit.bus import amqp
from aerostat.kit.bus.endpoint import Method, late, nobody
from aerostat.kit.bus.link import Failure, call_local, failure_of, fault_of
from aerostat.kit.errors import Fault, Forbidden, Unavailable
from aerostat.kit.ids import new_hex
from aerostat.kit.log import Logger, bound

log = Logger("bus")

RECONNECT_S = (0.05, 1.0)
"""First and longest wait before connecting again, before jitter."""

LOOK_S = 1.0
"""A call without an answer looks this often whether anybody is there to answer."""

LOOKS = 3
"""Looks in a row that found nobody before a call fails: a callee may be just coming back."""

AWAY_S = 10.0
"""How long a call waits for a connection to any server."""

CONSUME_S = 10.0
"""A quorum queue that cannot be consumed from within this time has no leader."""

REMEMBERED = 10_000
"""Answers that are kept in case their calls come again."""

CLOSE_S = 5.0

Answer = tuple[str, bytes]


@dataclass(slots=True)
class _Pending:
    request: amqp.Request
    answer: "asyncio.Future[bytes]"


class RabbitBus:
    """One per process. `host` is set on a node: it speaks as that host and for it alone.

    `urls` are of one cluster; the processes spread over its servers. `for_nodes` names the
    endpoints that nodes may call.
    """

    def __init__(
        self, urls: Sequence[str], *, host: str = "", for_nodes: Collection[str] = ()
    ) -> None:
        self._urls = random.sample(urls, len(urls))
        self._host, self._for_nodes = host, frozenset(for_nodes)
        self._users = {URL(url).user or "guest" for url in urls}
        self._name = f"reply-{new_hex()}" + (f"@{host}" if host else "")
        self._local: dict[str, dict[str, Method]] = {}
        self._passing: set[str] = set()
        self._pending: dict[str, _Pending] = {}
        self._answers: OrderedDict[tuple[str, str], asyncio.Task[Answer]] = OrderedDict()
        self._looks: dict[str, asyncio.Task[int]] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._session: amqp.Session | None = None
        self._ready = asyncio.Event()
        self._connector: asyncio.Task[None] | None = None
        self._closing = False

    def serve(self, address: str, methods: dict[str, Method], *, passing: bool = False) -> None:
        """Answer calls to `address`, from here and from every process that is connected."""
        assert address not in self._local, address
        self._local[address] = methods
        if passing:
            self._passing.add(address)
        if self._session is not None:
            self._soon(self._also_consume(self._session, address))

    def connect(self) -> None:
        """Stay connected to one of the servers, from now on."""
        self._connector = asyncio.create_task(self._stay_connected(), name="bus-connect")

    async def connected(self) -> None:
        """Wait until calls can be made, and are received."""
        await self._ready.wait()

    async def probe(self) -> None:
        """Raises: Unavailable (no server is connected)."""
        if self._session is None:
            raise Unavailable("RabbitMQ is out of reach.")

    async def call(
        self, address: str, method: str, args: dict[str, Any], result: Any, timeout_s: float
    ) -> Any:
        """Call `method` at `address`. Raises: Unavailable, DeadlineExceeded, the callee's Fault."""
        payload = msgspec.msgpack.encode(args)
        try:
            async with asyncio.timeout(timeout_s):
                if address in self._local:
                    raw = await call_local(self._local, address, method, payload)
                else:
                    raw = await self._ask(address, method, payload, timeout_s)
        except TimeoutError as why:
            raise late(address, method, timeout_s) from why
        return None if result in (None, type(None)) else msgspec.msgpack.decode(raw, type=result)

    async def _ask(self, address: str, method: str, payload: bytes, timeout_s: float) -> bytes:
        request = amqp.Request(new_hex(), address, method, payload, bound.get(), timeout_s)
        pending = _Pending(request, asyncio.get_running_loop().create_future())
        self._pending[request.id] = pending
        try:
            if self._session is not None:
                self._soon(self._send(self._session, pending))
            await self._answered(pending)
            return pending.answer.result()
        finally:
            del self._pending[request.id]

    async def _answered(self, pending: _Pending) -> None:
        """Wait for the answer. Raises: Unavailable (nobody is there who could give it)."""
        unserved, away_s = 0, 0.0
        while not (await asyncio.wait({pending.answer}, timeout=LOOK_S))[0]:
            try:
                there = await self.served(pending.request.address)
            except Unavailable:
                away_s += LOOK_S
                if away_s >= AWAY_S:
                    raise
                continue
            unserved, away_s = (0 if there else unserved + 1), 0.0
            if unserved == LOOKS:
                raise nobody(pending.request.address)

    async def served(self, address: str) -> bool:
        """Tell whether a process consumes the calls to `address`.

        While its queue changes leaders RabbitMQ says that nobody does.

        Raises: Unavailable (no server is connected).
        """
        if self._session is None:
            raise Unavailable("The message bus is out of reach.")
        if address not in self._looks:
            look = asyncio.create_task(self._session.consumers(address))
            self._looks[address] = look
            look.add_done_callback(lambda _: self._looks.pop(address, None))
        try:
            return await amqp.outliving(self._looks[address]) > 0
        except amqp.BROKEN as why:
            raise Unavailable("The message bus is out of reach.") from why

    async def _send(self, session: amqp.Session, pending: _Pending) -> None:
        try:
            await session.call(pending.request)
        except amqp.BROKEN as why:  # It is sent again on the next connection.
            log.debug("bus.unsent", address=pending.request.address, reason=repr(why))
        except Exception as why:  # Nobody consumes there, or it cannot be encoded.
            if not pending.answer.done():
                pending.answer.set_exception(why)

    async def _stay_connected(self) -> None:
        wait, turn = RECONNECT_S[0], 0
        while not self._closing:
            url = self._urls[turn % len(self._urls)]
            turn += 1
            opening = asyncio.create_task(self._open(url))
            try:
                session = await amqp.outliving(opening)
            except asyncio.CancelledError:
                opening.cancel()
                raise
            except (*amqp.BROKEN, TimeoutError) as why:
                log.warning("bus.unreachable", server=URL(url).host, reason=repr(why), wait_s=wait)
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))
                wait = min(wait * 2, RECONNECT_S[1])
                continue
            wait, turn = RECONNECT_S[0], turn - 1
            await self._use(session)
            turn += 1

    async def _open(self, url: str) -> amqp.Session:
        node = bool(self._host)
        session = await amqp.connect(url, self._name, node=node, on_reply=self._on_reply)
        for address in list(self._local):
            await self._consume(session, address)
        return session

    async def _use(self, session: amqp.Session) -> None:
        """Use a connection until it breaks; what was asked on the one before is asked again."""
        self._session = session
        for pending in list(self._pending.values()):
            self._soon(self._send(session, pending))
        self._ready.set()
        closed = session.closed
        await asyncio.wait({closed})
        self._session = None
        if not self._closing:
            why = None if closed.cancelled() else closed.exception()
            log.warning("bus.lost", reason=repr(why))

    async def _consume(self, session: amqp.Session, address: str) -> None:
        for_nodes = address.partition("@")[0] in self._for_nodes
        kind = amqp.PASSING if address in self._passing else amqp.LASTING
        async with asyncio.timeout(CONSUME_S):
            await session.consume(address, self._on_call, for_nodes=for_nodes, kind=kind)

    async def _also_consume(self, session: amqp.Session, address: str) -> None:
        try:
            await self._consume(session, address)
        except (*amqp.BROKEN, TimeoutError) as why:  # The next connection tries again.
            log.warning("bus.not_served", address=address, reason=repr(why))
            await session.close()

    async def _on_reply(self, _session: amqp.Session, message: DeliveredMessage) -> None:
        properties = message.header.properties
        pending = self._pending.get(properties.correlation_id or "")
        if pending is None or pending.answer.done():
            return
        if properties.message_type == "answer":
            pending.answer.set_result(message.body)
        else:
            failure = msgspec.msgpack.decode(message.body, type=Failure)
            pending.answer.set_exception(fault_of(failure))

    async def _on_call(self, session: amqp.Session, message: DeliveredMessage) -> None:
        properties = message.header.properties
        key = (properties.user_id or "", properties.message_id or "")
        if key not in self._answers:
            self._answers[key] = asyncio.create_task(self._answer(message))
            while len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)
        kind, payload = await asyncio.shield(self._answers[key])
        with contextlib.suppress(*amqp.BROKEN):  # It comes again, and is answered from memory.
            await session.reply(message, kind, payload)

    async def _answer(self, message: DeliveredMessage) -> Answer:
        properties = message.header.properties
        headers: Any = properties.headers or {}
        address, method = str(headers.get("address", "")), properties.message_type or ""
        bound.set(msgspec.json.decode(headers.get("bound", "{}")))
        try:
            self._admit(message)
            return "answer", await call_local(self._local, address, method, message.body)
        except Fault as why:
            return "failure", msgspec.msgpack.encode(failure_of(0, why))
        except Exception as why:  # The border: the caller learns that it failed, the log how.
            log.error("bus.call_failed", why=why, address=address, method=method)
            fault = Fault("An unexpected error occurred.", detail=repr(why))
            return "failure", msgspec.msgpack.encode(failure_of(0, fault))

    def _admit(self, message: DeliveredMessage) -> None:
        """Let a node speak for itself alone. Raises: Forbidden."""
        host = amqp.speaker(message, self._users)
        if host == "" or self._host:
            return
        args = msgspec.msgpack.decode(message.body)
        if host is None or not isinstance(args, dict) or args.get("host") != host:
            raise Forbidden("A node may only speak for itself.", detail=f"from {host}")

    def _soon(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def close(self) -> None:
        """Take no more calls, finish those under way (5 s at most), hang up."""
        self._closing = True
        session = self._session
        if session is not None:
            with contextlib.suppress(*amqp.BROKEN):
                await session.stop_consuming()
            running = [task for task in self._answers.values() if not task.done()]
            if running:
                await asyncio.wait(running, timeout=CLOSE_S)
        if self._connector is not None:
            self._connector.cancel()
            await asyncio.gather(self._connector, return_exceptions=True)
        if session is not None:
            with contextlib.suppress(*amqp.BROKEN):
                await session.close()

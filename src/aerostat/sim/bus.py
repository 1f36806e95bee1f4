"""The bus of a simulated cloud: msgpack between processes, late, twice, or never.

At least once, as a broker does it: a call may be delivered again, also after its caller gave up,
but never after its deadline. A process that has heard it before does not do it again; another
one, or the next start of this one, does. In the all-in-one shape a process calls itself directly,
and learns at once that another one died.
"""

import asyncio
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aerostat.kit.bus.endpoint import Method, late, nobody
from aerostat.kit.bus.link import call_local
from aerostat.kit.errors import BY_CODE, Fault, Unavailable, kind_of
from aerostat.kit.log import Logger, bound
from aerostat.sim.chance import Chance, Faults
from aerostat.sim.process import Process
from aerostat.sim.trace import Trace

log = Logger("bus")

Served = dict[str, dict[str, Method]]
Result = tuple[bytes | None, Fault | None]

HELD_MAX_S = 30.0
"""Mean seconds that a late second delivery comes after the first."""


@dataclass(eq=False)
class Message:
    """A call on its way. `expires_at` is in simulated seconds."""

    sender: Process
    address: str
    method: str
    payload: bytes
    expires_at: float
    answer: "asyncio.Future[bytes]"
    bound: dict[str, Any]

    @property
    def what(self) -> str:
        return f"{self.address} {self.method}"


@dataclass(eq=False)
class Network:
    """Carries messages between processes. `cut` are names of processes that nobody reaches."""

    faults: Faults
    chance: Chance
    trace: Trace
    cut: set[str] = field(default_factory=set)
    places: dict[str, list[tuple[Process, Served]]] = field(default_factory=dict)
    waiting: list[Message] = field(default_factory=list)
    heard: dict[Process, set[Message]] = field(default_factory=dict)

    def serve(self, process: Process, address: str, served: Served) -> None:
        """Let a process answer at an address, and give it what waits there."""
        self.places.setdefault(address, []).append((process, served))
        self.wake()

    def wake(self) -> None:
        """Try again to deliver what waits for a process or for the network."""
        held, self.waiting = self.waiting, []
        for message in held:
            self._carry(message)

    def send(self, message: Message) -> None:
        """Take a call on its way, once, twice or never."""
        self.trace(message.sender.name, "bus.call", message.what)
        if self.chance.happens(self.faults.lose_request):
            self.trace(message.sender.name, "bus.lost", message.what)
            return
        if self.chance.happens(self.faults.duplicate):
            self._carry(message)
        if self.chance.happens(self.faults.late_duplicate):
            self._carry(message, self.chance.about(HELD_MAX_S))
        self._carry(message)

    def _carry(self, message: Message, delay: float = 0.0) -> None:
        delay += self.chance.about(self.faults.latency_s)
        if self.chance.happens(self.faults.slow):
            delay += self.chance.about(3.0)
        # In a context of nobody: what is on the wire outlives its sender.
        loop = asyncio.get_running_loop()
        loop.call_later(delay, self._deliver, message, context=Context())

    def _deliver(self, message: Message) -> None:
        now = asyncio.get_running_loop().time()
        if now >= message.expires_at:
            self.trace("wire", "bus.expired", message.what)
            return
        if message.sender.name in self.cut:
            self.waiting.append(message)
            return
        there = [
            (p, served)
            for p, served in self.places.get(message.address, [])
            if p.alive and p.name not in self.cut
        ]
        if not there:
            self._undelivered(message)
            return
        process, served = self.chance.pick(there)
        if message in self.heard.setdefault(process, set()):
            self.trace(process.name, "bus.known", message.what)
            return
        self.heard[process].add(message)
        self.trace(process.name, "bus.delivered", message.what)
        if process.tick():
            process.spawn(self._answer(process, served, message), message.what)
        else:
            self._undelivered(message)

    def _undelivered(self, message: Message) -> None:
        self.trace("wire", "bus.nobody", message.what)
        if self.faults.split:
            self.waiting.append(message)
        elif not message.answer.done():
            message.answer.set_exception(nobody(message.address))

    async def _answer(self, process: Process, served: Served, message: Message) -> None:
        bound.set(message.bound)
        process.on_death.append(lost := self._lost(message))
        result: Result
        try:
            found = await call_local(served, message.address, message.method, message.payload)
            result = (found, None)
        except Fault as why:
            result = (None, _copied(why))
        except Exception as why:  # The border: as kit.bus.link has it.
            log.error("bus.call_failed", why=why, address=message.address, method=message.method)
            result = (None, Fault("An unexpected error occurred.", detail=repr(why)))
        process.on_death.remove(lost)
        if not process.tick():
            self._died(message)
            await asyncio.Future()
        code = "" if result[1] is None else result[1].code
        self.trace(process.name, "bus.answered", f"{message.what} {code}".rstrip())
        self._reply(message, result)

    def _lost(self, message: Message) -> Any:
        return lambda: self._died(message)

    def _died(self, message: Message) -> None:
        """A process died over a call: a broker delivers it again, a socket says so."""
        if self.faults.split:
            if self.chance.happens(0.5):
                self.waiting.append(message)
        elif not message.answer.done():
            message.answer.set_exception(Unavailable("The peer went away."))

    def _reply(self, message: Message, result: Result) -> None:
        if self.chance.happens(self.faults.lose_reply):
            self.trace("wire", "bus.reply_lost", message.what)
            return
        delay = self.chance.about(self.faults.latency_s)
        loop = asyncio.get_running_loop()
        loop.call_later(delay, _settle, message.answer, result, context=Context())


def _settle(answer: "asyncio.Future[bytes]", result: Result) -> None:
    if answer.done():
        return
    payload, fault = result
    if fault is not None:
        answer.set_exception(fault)
    else:
        assert payload is not None
        answer.set_result(payload)


def _copied(fault: Fault) -> Fault:
    """Return the fault as the caller gets it from the wire."""
    kind = BY_CODE.get(kind_of(fault), Fault)
    return kind(fault.message, code=fault.code, detail=fault.detail, field=fault.field)


class SimBus:
    """A process's end of the network (kit.bus.endpoint.Bus)."""

    def __init__(self, network: Network, process: Process) -> None:
        self._network, self._process = network, process
        self._local: Served = {}

    def serve(self, address: str, methods: dict[str, Method], *, passing: bool = False) -> None:
        """Answer calls to `address`."""
        assert address not in self._local, address
        self._local[address] = methods
        self._network.serve(self._process, address, self._local)

    async def served(self, address: str) -> bool:
        """Tell whether a process that can be reached answers at `address`."""
        network = self._network
        await asyncio.sleep(network.chance.about(network.faults.latency_s))
        if self._process.name in network.cut:
            raise Unavailable("The message bus is out of reach.")
        places = network.places.get(address, [])
        return any(p.alive and p.name not in network.cut for p, _ in places)

    async def call(
        self, address: str, method: str, args: dict[str, Any], result: Any, timeout_s: float
    ) -> Any:
        """Call `method` at `address`. Raises: Unavailable, DeadlineExceeded, the callee's Fault."""
        payload = msgspec.msgpack.encode(args)
        try:
            async with asyncio.timeout(timeout_s):
                raw = await self._carry(address, method, payload, timeout_s)
        except TimeoutError as why:
            raise late(address, method, timeout_s) from why
        return None if result in (None, type(None)) else msgspec.msgpack.decode(raw, type=result)

    async def _carry(self, address: str, method: str, payload: bytes, timeout_s: float) -> bytes:
        if address in self._local and not self._network.faults.split:
            return await call_local(self._local, address, method, payload)
        loop = asyncio.get_running_loop()
        message = Message(
            sender=self._process,
            address=address,
            method=method,
            payload=payload,
            expires_at=loop.time() + timeout_s,
            answer=loop.create_future(),
            bound=dict(bound.get()),
        )
        self._network.send(message)
        return await message.answer

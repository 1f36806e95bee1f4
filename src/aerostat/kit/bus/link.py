"""One connection of the embedded bus: frames, unanswered calls, and calls under way."""

import asyncio
import itertools
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from aerostat.kit.bus.endpoint import Method, nobody
from aerostat.kit.errors import BY_CODE, BadRequest, Fault, Unavailable, kind_of
from aerostat.kit.log import Logger, bound

log = Logger("bus")

FRAME_MAX = 64 << 20
"""Bytes of one message."""

CALLS_MAX = 512
"""Calls of one peer that are worked on at once; further ones wait in the socket."""

_LENGTH = struct.Struct("!I")


class Serves(msgspec.Struct, tag=0, array_like=True):
    """The addresses that the sender serves."""

    addresses: list[str]


class Call(msgspec.Struct, tag=1, array_like=True):
    """A call; `bound` carries request and saga ids for the callee's log."""

    id: int
    address: str
    method: str
    payload: bytes
    bound: dict[str, Any]


class Answer(msgspec.Struct, tag=2, array_like=True):
    """The result of call `id`."""

    id: int
    payload: bytes


class Failure(msgspec.Struct, tag=3, array_like=True):
    """The fault that call `id` ended in."""

    id: int
    kind: str
    code: str
    message: str
    detail: str
    field: str


_decode = msgspec.msgpack.Decoder(Serves | Call | Answer | Failure).decode
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True)
class Listener:
    """What the bus wants to hear from a link."""

    announced: "Callable[[Link, list[str]], None]"


async def call_local(
    served: dict[str, dict[str, Method]], address: str, method: str, payload: bytes
) -> bytes:
    """Let this process answer. Raises: Unavailable, BadRequest, the method's Fault."""
    if address not in served or method not in served[address]:
        raise nobody(address)
    began = time.monotonic()
    try:
        return await served[address][method].answer(payload)
    except msgspec.ValidationError as why:
        raise BadRequest(f"{method}: {why}", detail=address) from why
    finally:
        if bound.get():  # It is part of somebody's operation, which `aerostat trace` shows.
            took_ms = round((time.monotonic() - began) * 1000, 2)
            log.info("bus.call", address=address, method=method, took_ms=took_ms)


class Link:
    """A peer at the other end of a stream."""

    def __init__(
        self,
        writer: asyncio.StreamWriter,
        served: dict[str, dict[str, Method]],
        listener: Listener,
    ) -> None:
        self._writer, self._served, self._listener = writer, served, listener
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._ids = itertools.count(1)
        self._running: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(CALLS_MAX)

    def announce(self, addresses: list[str]) -> None:
        """Tell the peer what this process serves."""
        self._write(Serves(addresses))

    async def call(self, address: str, method: str, payload: bytes, _timeout_s: float) -> bytes:
        """Send a call and return its answer. Raises: Unavailable (the peer died), its Fault."""
        id_ = next(self._ids)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[id_] = future
        try:
            self._write(Call(id_, address, method, payload, bound.get()))
            await self._writer.drain()
            return await future
        except (ConnectionError, OSError) as why:
            raise Unavailable("The connection broke.", detail=address) from why
        finally:
            self._waiting.pop(id_, None)

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Read frames until the peer is gone, then fail what waits for it."""
        try:
            while True:
                (length,) = _LENGTH.unpack(await reader.readexactly(4))
                if length > FRAME_MAX:
                    raise ConnectionError(f"a frame of {length} bytes")
                await self._handle(_decode(await reader.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.DecodeError) as why:
            log.debug("bus.peer_lost", reason=repr(why))
        finally:
            self.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(Unavailable("The peer went away."))

    async def _handle(self, frame: Serves | Call | Answer | Failure) -> None:
        if isinstance(frame, Call):
            await self._room.acquire()
            task = asyncio.create_task(self._answer(frame))
            self._running.add(task)
            task.add_done_callback(self._finished)
        elif isinstance(frame, Answer):
            if (future := self._waiting.get(frame.id)) and not future.done():
                future.set_result(frame.payload)
        elif isinstance(frame, Failure):
            if (future := self._waiting.get(frame.id)) and not future.done():
                future.set_exception(fault_of(frame))
        else:
            self._listener.announced(self, frame.addresses)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._room.release()

    async def _answer(self, call: Call) -> None:
        bound.set(call.bound)
        reply: Answer | Failure
        try:
            payload = await call_local(self._served, call.address, call.method, call.payload)
            reply = Answer(call.id, payload)
        except Fault as why:
            reply = failure_of(call.id, why)
        except Exception as why:  # The border: the caller learns that it failed, the log how.
            log.error("bus.call_failed", why=why, address=call.address, method=call.method)
            reply = failure_of(call.id, Fault("An unexpected error occurred.", detail=repr(why)))
        self._write(reply)

    def _write(self, frame: Serves | Call | Answer | Failure) -> None:
        if not self._writer.is_closing():
            raw = _encode(frame)
            self._writer.write(_LENGTH.pack(len(raw)) + raw)
        elif isinstance(frame, Call):
            raise Unavailable("The peer went away.")

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


def failure_of(id_: int, why: Fault) -> Failure:
    """Return a fault as it travels."""
    return Failure(id_, kind_of(why), why.code, why.message, why.detail, why.field)


def fault_of(frame: Failure) -> Fault:
    """Return the fault that came."""
    kind = BY_CODE.get(frame.kind, Fault)
    return kind(frame.message, code=frame.code, detail=frame.detail, field=frame.field)

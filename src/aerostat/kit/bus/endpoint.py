"""Typed calls to named endpoints; the transport is chosen by assembly, not by callers."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec

from aerostat.kit.errors import DeadlineExceeded, Unavailable

T = TypeVar("T")

ANY = "any"
"""The host part of an address that whichever copy serves may answer."""

DEFAULT_TIMEOUT_S = 60.0


def nobody(address: str) -> Unavailable:
    """Return the fault about an address that nobody serves; users are told of no hosts."""
    return Unavailable(f"Nobody answers at {_endpoint(address)}.", detail=address)


def late(address: str, method: str, timeout_s: float) -> DeadlineExceeded:
    """Return the fault about an answer that did not come; users are told of no hosts."""
    said = f"{_endpoint(address)} did not answer {method} in {timeout_s} s"
    return DeadlineExceeded(said, detail=address)


def _endpoint(address: str) -> str:
    return address.partition("@")[0]


class Bus(Protocol):
    """A transport: carries calls to whoever serves an address."""

    async def call(
        self, address: str, method: str, args: dict[str, Any], result: Any, timeout_s: float
    ) -> Any:
        """Return what `method` at `address` returns, decoded as type `result`.

        Raises: Unavailable (nobody serves it), DeadlineExceeded, or the callee's Fault.
        """
        ...

    def serve(self, address: str, methods: "dict[str, Method]", *, passing: bool = False) -> None:
        """Answer calls to `address` from now on; an address is served once in a process.

        One that is `passing` ends with this process: no call waits for its return.
        """
        ...

    async def served(self, address: str) -> bool:
        """Tell whether anybody is there who would answer at `address`.

        Raises: Unavailable (nobody can tell).
        """
        ...


class Method:
    """One method of an endpoint: its argument types and result type, read from the Protocol.

    Releases run side by side during an upgrade: an argument that is not known here is ignored, and
    one that an older caller does not send takes the Protocol's default.
    """

    def __init__(self, contract: type, name: str, fn: Callable[..., Awaitable[Any]]) -> None:
        self.name = name
        self.fn = fn
        hints = _hints(contract, name)
        self.result = hints.pop("return", None)
        known = inspect.signature(getattr(contract, name)).parameters
        fields: list[Any] = [
            (n, kind)
            if known[n].default is inspect.Parameter.empty
            else (n, kind, known[n].default)
            for n, kind in hints.items()
        ]
        arguments = msgspec.defstruct(f"{name}_arguments", fields, kw_only=True)
        self._arguments = msgspec.msgpack.Decoder(arguments)

    async def answer(self, raw: bytes) -> bytes:
        """Call with the msgpack arguments in `raw`; return the result as msgpack.

        Raises: msgspec.ValidationError (the arguments do not fit), and what the method raises.
        """
        arguments = self._arguments.decode(raw)
        found = await self.fn(**{n: getattr(arguments, n) for n in arguments.__struct_fields__})
        return msgspec.msgpack.encode(found)


class Endpoint(Generic[T]):
    """The name of something that answers calls. `at()` returns a typed stand-in for it.

    `contract` is a Protocol whose methods are `async`, take keyword arguments only and use types
    that msgspec can carry (structs, lists, dicts, str, int, float, bool, bytes, None).
    """

    def __init__(self, name: str, contract: type[T]) -> None:
        self.name = name
        self.contract = contract

    def at(self, bus: Bus, host: str = ANY, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> T:
        """Return a stand-in for the endpoint on `host`; each call ends within `timeout_s`."""
        return cast(T, _Stub(bus, f"{self.name}@{host}", self.contract, timeout_s))

    def serve(self, bus: Bus, impl: T, host: str = ANY, *, passing: bool = False) -> None:
        """Let `impl` answer the calls to this endpoint on `host` (see Bus.serve)."""
        methods = {
            name: Method(self.contract, name, getattr(impl, name))
            for name in _methods(self.contract)
        }
        bus.serve(f"{self.name}@{host}", methods, passing=passing)


class _Stub:
    def __init__(self, bus: Bus, address: str, contract: type, timeout_s: float) -> None:
        self._bus, self._address = bus, address
        self._contract, self._timeout_s = contract, timeout_s

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        if method.startswith("__"):
            raise AttributeError(method)
        result = _hints(self._contract, method).get("return")

        async def call(**args: Any) -> Any:
            return await self._bus.call(self._address, method, args, result, self._timeout_s)

        setattr(self, method, call)
        return call


def _methods(contract: type) -> list[str]:
    return [n for n, v in vars(contract).items() if callable(v) and not n.startswith("_")]


_hint_cache: dict[tuple[type, str], dict[str, Any]] = {}


def _hints(contract: type, method: str) -> dict[str, Any]:
    from typing import get_type_hints

    key = (contract, method)
    if key not in _hint_cache:
        _hint_cache[key] = get_type_hints(getattr(contract, method))
    return dict(_hint_cache[key])

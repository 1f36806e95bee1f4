"""The embedded bus, over a real socket."""

import asyncio
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from aerostat.kit.bus.embedded import EmbeddedBus
from aerostat.kit.bus.endpoint import Endpoint
from aerostat.kit.errors import BadRequest, DeadlineExceeded, NotFound, Unavailable


class Thing(msgspec.Struct):
    name: str
    data: bytes = b""


class Echo(Protocol):
    async def echo(self, *, thing: Thing, times: int) -> list[Thing]: ...

    async def missing(self) -> None: ...

    async def hang(self) -> None: ...


class EchoImpl:
    async def echo(self, *, thing: Thing, times: int) -> list[Thing]:
        return [thing] * times

    async def missing(self) -> None:
        raise NotFound("no such thing", field="thing")

    async def hang(self) -> None:
        await asyncio.Event().wait()


echo: Endpoint[Echo] = Endpoint("echo", Echo)


async def _pair(tmp_path: Path) -> tuple[EmbeddedBus, EmbeddedBus]:
    control, node = EmbeddedBus(), EmbeddedBus()
    echo.serve(node, EchoImpl(), "h1")
    arrived = asyncio.Event()
    control.watch(lambda _a, up: arrived.set() if up else arrived.clear())
    await control.listen(tmp_path / "bus")
    node.connect(tmp_path / "bus")
    await arrived.wait()
    return control, node


async def test_call_and_faults_cross_the_socket(tmp_path: Path) -> None:
    control, node = await _pair(tmp_path)
    far = echo.at(control, "h1")
    assert await far.echo(thing=Thing("a", b"\x00"), times=2) == [Thing("a", b"\x00")] * 2
    with pytest.raises(NotFound, match="no such thing"):
        await far.missing()
    with pytest.raises(BadRequest):
        await far.echo(thing=Thing("a"), times="many")  # type: ignore[arg-type]
    with pytest.raises(Unavailable) as unserved:
        await echo.at(control, "h2").missing()
    with pytest.raises(DeadlineExceeded) as late:
        await echo.at(control, "h1", timeout_s=0.01).hang()
    for fault, host in ((unserved.value, "h2"), (late.value, "h1")):  # Users are told of no hosts.
        assert host in fault.detail and host not in fault.message
    await node.close()
    await control.close()


async def test_a_dead_peer_fails_its_calls_at_once(tmp_path: Path) -> None:
    control, node = await _pair(tmp_path)
    hanging = asyncio.create_task(echo.at(control, "h1", timeout_s=60).hang())
    await echo.at(control, "h1").echo(thing=Thing("x"), times=1)
    await node.close()
    with pytest.raises(Unavailable):
        await hanging
    await control.close()


class OldEcho(Protocol):
    async def say(self, *, text: str) -> str: ...


class NewEcho(Protocol):
    async def say(self, *, text: str, times: int = 1) -> str: ...


class OldImpl:
    async def say(self, *, text: str) -> str:
        return text


class NewImpl:
    async def say(self, *, text: str, times: int = 1) -> str:
        return text * times


async def test_releases_side_by_side(tmp_path: Path) -> None:
    old: Endpoint[OldEcho] = Endpoint("say", OldEcho)
    new: Endpoint[NewEcho] = Endpoint("say", NewEcho)
    bus = EmbeddedBus()
    old.serve(bus, OldImpl(), "old")
    new.serve(bus, NewImpl(), "new")
    assert await old.at(bus, "new").say(text="a") == "a"
    assert await new.at(bus, "old").say(text="a", times=3) == "a"
    await bus.close()

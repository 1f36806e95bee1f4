"""The bus of a process: a Unix socket on one machine, RabbitMQ between many."""

from typing import Protocol
from urllib.parse import urlsplit

from aerostat.assembly.settings import Settings
from aerostat.kit.bus.embedded import EmbeddedBus
from aerostat.kit.bus.endpoint import Bus

FOR_NODES = ("nova-conductor", "neutron-server")
"""Endpoints that nodes may call; a test compares them with what the agents use."""

NODE_USER = "node-"


class OpenBus(Bus, Protocol):
    """A bus that this process is on."""

    async def probe(self) -> None:
        """Raises: Unavailable (this process reaches nobody)."""
        ...

    async def close(self) -> None: ...


def make_bus(settings: Settings) -> OpenBus:
    """Return the bus, not connected yet: what is served now is served from the first moment."""
    if not settings.bus_urls:
        return EmbeddedBus()
    from aerostat.kit.bus.rabbit import RabbitBus

    user = urlsplit(settings.bus_urls[0]).username or ""
    host = user.removeprefix(NODE_USER) if user.startswith(NODE_USER) else ""
    return RabbitBus(settings.bus_urls, host=host, for_nodes=FOR_NODES)


async def connect(bus: OpenBus, settings: Settings, *, node: bool) -> None:
    """Be reachable, and reach the others; waits for them if they are not there yet."""
    if isinstance(bus, EmbeddedBus):
        if node:
            bus.connect(settings.bus_path)
            await bus.connected()
        else:
            await bus.listen(settings.bus_path)
        return
    from aerostat.kit.bus.rabbit import RabbitBus

    assert isinstance(bus, RabbitBus)
    bus.connect()
    await bus.connected()

"""Notifications: what happened, told to whoever listens. Source: CADF, DSP0262."""

import asyncio
from collections import deque
from typing import Any, Protocol

from msgspec import Struct

from aerostat.kit.bus.endpoint import Bus, Endpoint
from aerostat.kit.errors import Fault, Unavailable
from aerostat.kit.log import Logger

log = Logger("events")

QUEUE_MAX = 10_000
"""Events that wait for a listener; the further ones go to the log alone."""

TIMEOUT_S = 5.0
AWAY_S = 1.0
"""Seconds for which events go to the log alone after nobody was there to take one."""


class Event(Struct, frozen=True):
    """A notification as upstream's services send it; `payload` is a CADF event for keystone.

    `timestamp` is UTC, "YYYY-MM-DD hh:mm:ss.ffffff".
    """

    event_type: str
    publisher_id: str
    message_id: str
    timestamp: str
    payload: dict[str, Any]
    priority: str = "INFO"


class Notifier(Protocol):
    """Takes events; never waits and never fails."""

    def emit(self, event: Event) -> None: ...


class Listener(Protocol):
    """Whoever serves `notifications` gets every event, each at least once while it is there.

    Who comes is noticed after `AWAY_S` at the latest.
    """

    async def notify(self, *, event: Event) -> None: ...


notifications: Endpoint[Listener] = Endpoint("notifications", Listener)


class LogNotifier:
    """Writes events to the log, a JSON object a line."""

    def emit(self, event: Event) -> None:
        log.info(event.event_type, message_id=event.message_id, payload=event.payload)


class BusNotifier:
    """Sends events over the bus, in order; what nobody takes is written to the log."""

    def __init__(self, bus: Bus) -> None:
        self._listener = notifications.at(bus, timeout_s=TIMEOUT_S)
        self._log = LogNotifier()
        self._waiting: deque[Event] = deque()
        self._away_until = 0.0
        self.sending: asyncio.Task[None] | None = None

    def emit(self, event: Event) -> None:
        """Queue `event`; called in the event loop."""
        away = asyncio.get_running_loop().time() < self._away_until
        if away or len(self._waiting) >= QUEUE_MAX:
            self._log.emit(event)
            return
        self._waiting.append(event)
        if self.sending is None or self.sending.done():
            self.sending = asyncio.create_task(self._send(), name="notifications")

    async def _send(self) -> None:
        while self._waiting:
            event = self._waiting.popleft()
            try:
                await self._listener.notify(event=event)
            except Fault as why:
                if isinstance(why, Unavailable):
                    self._away_until = asyncio.get_running_loop().time() + AWAY_S
                self._log.emit(event)

"""Time, passed in rather than asked for, so that tests and the simulation own it."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time in seconds since the epoch, and a monotonic time for measuring."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


def iso(seconds: float | None, *, micros: bool = False, zone: str = "Z") -> str | None:
    """Return `seconds` since the epoch as ISO 8601 in UTC, with microseconds if asked."""
    if seconds is None:
        return None
    when = datetime.fromtimestamp(seconds, UTC)
    if micros:
        return when.isoformat(timespec="microseconds")[:26] + zone
    return when.isoformat(timespec="seconds")[:19] + zone


def parse_iso(text: str) -> float:
    """Return seconds since the epoch; a time without a zone is UTC. Raises: ValueError."""
    when = datetime.fromisoformat(text.strip())
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()

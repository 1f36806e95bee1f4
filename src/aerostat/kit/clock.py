"""Time, passed in rather than asked for, so that tests and the simulation own it."""

import time
from datetime import UTC, datetime
from functools import lru_cache
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
    whole, rest = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_second(whole)}.{rest:06d}{zone}" if micros else _second(whole) + zone


@lru_cache(256)
def _second(seconds: int) -> str:
    """Return the first part of a time, which many in a row have in common."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def parse_iso(text: str) -> float:
    """Return seconds since the epoch; a time without a zone is UTC. Raises: ValueError."""
    when = datetime.fromisoformat(text.strip())
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()

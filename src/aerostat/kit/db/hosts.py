"""Which of several database servers a connection goes to: the first of the list that will do.

All processes go down the same list, so that all use the same server while it is well: Galera
certifies what is written, not what was read, and a standby cannot be written to at all. A server
that failed is asked again after a while, and who uses a later one goes back to it.
"""

import re
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import URL, make_url

from aerostat.kit.errors import BadRequest

C = TypeVar("C")

AVOID_S = 20.0
"""A server that failed is tried after the others for this long."""

_PLACES = re.compile(r"^(?P<scheme>[^:/]+://(?:[^@/]*@)?)(?P<hosts>[^/?]*)(?P<rest>.*)$")


def urls_of(url: str) -> list[URL]:
    """Return one URL for each host of `scheme://user:password@host:port,host:port/name`.

    Raises: BadRequest (it is no such URL).
    """
    found = _PLACES.match(url)
    if found is None:
        raise BadRequest("This is no URL of a database.", field="database_url")
    hosts = found["hosts"].split(",")
    return [make_url(f"{found['scheme']}{host}{found['rest']}") for host in hosts]


class Hosts:
    """The servers of one database in the order of preference. For any thread."""

    def __init__(self, urls: list[URL]) -> None:
        self.urls = urls
        self._lock = threading.Lock()
        self._failed_at: dict[int, float] = {}

    def connect(self, connect: Callable[[URL], C], errors: type[Exception]) -> tuple[C, int]:
        """Return the first connection that can be had, and the number of its server.

        Raises: what the last one raised, if none can.
        """
        why: Exception | None = None
        for number in self._order():
            with self._lock:
                if number in self._failed_at:  # One is enough to find out that it is back.
                    self._failed_at[number] = time.monotonic()
            try:
                made = connect(self.urls[number])
            except errors as failed:
                why = failed
                with self._lock:
                    self._failed_at[number] = time.monotonic()
                continue
            with self._lock:
                self._failed_at.pop(number, None)
            return made, number
        assert why is not None
        raise why

    def preferred(self, number: int, since: float) -> bool:
        """Tell whether a connection to a server, made at `since`, is to be kept."""
        return number == 0 or time.monotonic() - since < AVOID_S

    def _order(self) -> list[int]:
        now = time.monotonic()
        with self._lock:
            shunned = {n for n, at in self._failed_at.items() if now - at < AVOID_S}
        return sorted(range(len(self.urls)), key=lambda n: (n in shunned, n))

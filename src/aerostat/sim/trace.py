"""What happened, line by line; two runs of one seed write the same lines."""

import hashlib
from collections.abc import Callable


class Trace:
    """Hashes every line; keeps or prints them only for `tell`."""

    def __init__(self, now: Callable[[], float], tell: Callable[[str], None] | None = None) -> None:
        self._now, self._tell = now, tell
        self._hash = hashlib.sha256()
        self.lines = 0

    def __call__(self, who: str, event: str, what: str = "") -> None:
        """Write that `event` happened to `who` now."""
        line = f"{self._now():12.6f} {who:<10} {event:<16} {what}".rstrip()
        self._hash.update(line.encode() + b"\n")
        self.lines += 1
        if self._tell is not None:
            self._tell(line)

    def digest(self) -> str:
        """Return the hash of all lines so far."""
        return self._hash.hexdigest()

"""When this machine came up."""

import time
from pathlib import Path


def booted_at() -> float:
    """Return when the machine came up, in seconds since the epoch."""
    return time.time() - float(Path("/proc/uptime").read_text().split()[0])

"""Our network namespaces: made, recorded in files before they exist, removed when not wanted."""

import os
import subprocess
from pathlib import Path

from pyroute2 import netns

TIMEOUT_S = 30


class Namespaces:
    """The record says which of the machine's namespaces are ours, even after a crash."""

    def __init__(self, directory: Path) -> None:
        self._record = directory
        directory.mkdir(parents=True, exist_ok=True)

    def ensure(self, name: str) -> bool:
        """Have the namespace; tell whether it was made now."""
        (self._record / name).touch()
        if exists(name):
            return False
        netns.create(name)
        return True

    def ours(self) -> list[str]:
        """Return the names of every namespace that we made or began to make."""
        return sorted(os.listdir(self._record))

    def remove(self, name: str) -> bool:
        """Remove the namespace and every process in it; tell whether it existed."""
        there = exists(name)
        if there:
            _end_processes(name)
            netns.remove(name)
        (self._record / name).unlink(missing_ok=True)
        return there


def exists(name: str) -> bool:
    return os.path.exists(f"/run/netns/{name}")


def inode(name: str) -> int:
    """Return what tells a namespace from a later one of its name; 0 if there is none."""
    try:
        return os.stat(f"/run/netns/{name}").st_ino
    except FileNotFoundError:
        return 0


def _end_processes(name: str) -> None:
    done = subprocess.run(
        ["ip", "netns", "pids", name],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    for pid in done.stdout.split():
        if int(pid) == os.getpid():
            continue  # a short-lived thread of this very process
        try:
            os.kill(int(pid), 15)
        except ProcessLookupError:
            pass

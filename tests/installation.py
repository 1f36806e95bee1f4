"""A cloud of its own in real processes, driven as a user drives it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from aerostat.assembly.settings import load
from aerostat.cli.cloud import Cloud
from aerostat.cli.credentials import cloud_of


class Installation:
    """A state directory with its ports; every command is `aerostat ...` in a process.

    With a `port_offset` of at most 20300 no port is one that engines.free_port gives away.
    """

    def __init__(self, folder: Path, port_offset: int, driver: str) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "AEROSTAT_STATE_DIR": str(folder),
            "AEROSTAT_PORT_OFFSET": str(port_offset),
            "AEROSTAT_COMPUTE_DRIVER": driver,
            "HOME": str(folder / "home"),
        }

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "aerostat.cli", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *words: str, code: int = 0) -> Any:
        """Run a command with --json; return the document."""
        return json.loads(self.run(*words, "--json", code=code))

    def kill(self, name: str) -> None:
        """kill -9 `control` or `node`; one that does not run is none to kill."""
        pid = int((self.folder / "run" / f"{name}.pid").read_text().split()[0])
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def admin(self) -> Cloud:
        """Return the APIs as the administrator sees them."""
        return cloud_of(load(self.folder, self.environment), "admin")

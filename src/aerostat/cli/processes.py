"""The cloud's two processes as the command line sees them: started, found by pid file, stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from aerostat.assembly.roles import CONTROL, roles_of
from aerostat.assembly.settings import Settings
from aerostat.cli.console import CliError
from aerostat.cli.places import Places, places, service_user
from aerostat.cli.published import source_for

NAMES = ("control", "node")
POLL_S = 0.02
LOG_BYTES_MAX = 64 * 2**20

Condition = Callable[[], bool]
"""Is asked again and again until it says True."""


class Process(Struct, frozen=True):
    """A process of the cloud that runs."""

    name: str
    pid: int


def running(settings: Settings) -> list[Process]:
    """Return the processes that run now."""
    at = places(settings)
    found = ((name, _pid(at.pid_file(name), name)) for name in NAMES)
    return [Process(name, pid) for name, pid in found if pid is not None]


def spawn(settings: Settings, name: str) -> Process:
    """Start a process that outlives this one; its output goes to its log file."""
    at = places(settings)
    log_file = at.log_file(name)
    if log_file.exists() and log_file.stat().st_size > LOG_BYTES_MAX:
        log_file.replace(log_file.with_suffix(".log.1"))
    with log_file.open("ab") as log:
        child = subprocess.Popen(
            command_of(settings, name),
            cwd="/",
            env=environment_of(settings, name),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _remember(at, name, child.pid)
    return Process(name, child.pid)


def command_of(settings: Settings, name: str) -> list[str]:
    """Return the command of a process; the control plane gives up every privilege first."""
    own = [sys.executable, "-m", "aerostat.cli", "--state-dir", str(settings.state_dir)]
    own += ["run", name]
    if not _unprivileged(name):
        return own
    user = service_user(settings)
    ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}"]
    return ["/usr/bin/setpriv", *ids, "--clear-groups", "--no-new-privs", "--", *own]


def environment_of(settings: Settings, name: str) -> dict[str, str]:
    """Return the environment of a process, with the sources that its user can read."""
    known = dict(os.environ)
    # Two arenas are enough for a few threads, and each further one costs memory.
    known.setdefault("MALLOC_ARENA_MAX", "2")
    if _unprivileged(name):
        known["HOME"] = "/nonexistent"
        if source := source_for(settings.service_user):
            known["PYTHONPATH"] = str(source)
    return known


def _unprivileged(roles: str) -> bool:
    """Tell whether a process with these roles has to give root up."""
    return os.geteuid() == 0 and roles_of(roles.split(",")) <= set(CONTROL)


def stop(settings: Settings, process: Process, timeout_s: float) -> bool:
    """Ask a process to stop, and wait; tell whether it did."""
    _signal(process.pid, signal.SIGTERM)
    gone = wait(lambda: not alive(process.pid), timeout_s)
    if gone:
        places(settings).pid_file(process.name).unlink(missing_ok=True)
    return gone


def kill(settings: Settings, process: Process) -> None:
    """End a process that does not stop when asked; what it was doing goes on at the next start."""
    _signal(process.pid, signal.SIGKILL)
    wait(lambda: not alive(process.pid), 5.0)
    places(settings).pid_file(process.name).unlink(missing_ok=True)


def wait(done: Condition, timeout_s: float) -> bool:
    """Wait for a condition; tell whether it came true in time."""
    end = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True


def alive(pid: int) -> bool:
    """Tell whether a process runs (one that nobody has waited for does not)."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
    return _started(pid) is not None


def last_lines(path: Path, count: int) -> str:
    """Return the end of a log."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64 * 1024))
        return b"\n".join(file.read().splitlines()[-count:]).decode(errors="replace")


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError as why:
        raise CliError(f"process {pid} is not yours to stop", "run this as root") from why


def _started(pid: int) -> str | None:
    """Return when a process started, in clock ticks: with its pid that names it for ever."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _remember(at: Places, name: str, pid: int) -> None:
    at.pid_file(name).unlink(missing_ok=True)
    at.pid_file(name).write_text(f"{pid} {_started(pid)}\n")


def _pid(path: Path, name: str) -> int | None:
    """Return the pid in a pid file if that very process still runs.

    `control` may write into the directory: only a file of root's (or ours) is believed.
    """
    try:
        if path.stat().st_uid not in (0, os.geteuid()):
            return None
        pid, _, started = path.read_text().strip().partition(" ")
    except OSError:
        return None
    return int(pid) if pid.isdigit() and _started(int(pid)) == started else None

"""Ends servers whose starter is gone: nothing of a killed test run or benchmark stays behind.

Whoever is killed runs no handlers (atexit), and a server that is told of its parent's death by the
kernel (PR_SET_PDEATHSIG) ends with the thread that started it. So a process beside the starter
reads from a pipe what runs; when the pipe ends, however that came about, it ends the rest.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

GROUP, GONE, FOLDER = "+", "-", "/"
"""What a line says: a process group runs, it is gone, a folder goes with its starter."""

_lock = threading.Lock()
_keeper: list[subprocess.Popen[str]] = []
_watched: set[int] = set()


def watch(process: "subprocess.Popen[bytes]") -> None:
    """Have a process, the leader of a group, and its group killed when this process is gone."""
    _watched.add(process.pid)
    _say(f"{GROUP}{process.pid}")


def watch_folder(folder: Path) -> None:
    """Have a folder removed when this process is gone."""
    _say(str(folder.absolute()))


def end(process: "subprocess.Popen[bytes]", number: signal.Signals, within_s: float) -> None:
    """End a watched process and its group by a signal, once: its number may soon be another's.

    Raises: subprocess.TimeoutExpired.
    """
    if process.pid in _watched:
        _signal(process.pid, number)
        process.wait(within_s)
        _watched.remove(process.pid)
        _say(f"{GONE}{process.pid}")


def _say(line: str) -> None:
    with _lock:
        if not _keeper:
            _keeper.append(
                subprocess.Popen(
                    [sys.executable, "-IS", __file__],
                    stdin=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            )
        pipe = _keeper[0].stdin
        assert pipe is not None
        pipe.write(f"{line}\n")
        pipe.flush()


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def _born(pid: int) -> str:
    """Return when a process began, in ticks; "" if there is none. Source: proc(5), stat."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def main() -> None:
    """Read until the starter is gone, then end what is left."""
    groups: dict[int, str] = {}
    folders: list[str] = []
    for line in map(str.strip, sys.stdin):
        if line.startswith(FOLDER):
            folders.append(line)
        elif line.startswith(GROUP):
            groups[int(line[1:])] = _born(int(line[1:]))
        else:
            groups.pop(int(line[1:]), None)
    for group, born in groups.items():
        if _born(group) in (born, ""):  # Else the number is somebody else's by now.
            _signal(group, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

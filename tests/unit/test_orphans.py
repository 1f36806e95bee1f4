"""Servers of a test run that is killed end with it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from aerostat.assembly import orphans

STARTER = """
import subprocess, sys
from pathlib import Path
from aerostat.assembly import orphans
folder = Path(sys.argv[1])
words = ["sh", "-c", "sleep 1000 & sleep 1000"]
processes = [subprocess.Popen(words, start_new_session=True, stdout=None) for _ in range(2)]
for process in processes:
    orphans.watch(process)
orphans.watch_folder(folder)
orphans.end(processes[0], 15, 10)
print("started", flush=True)
input()
"""


def test_what_a_killed_run_started_ends(tmp_path: Path) -> None:
    """Whoever has the writing end of the pipe is gone when there is an end to read."""
    folder = tmp_path / "data"
    folder.mkdir()
    reading, writing = os.pipe()
    with os.fdopen(reading) as said:
        starter = subprocess.Popen(
            [sys.executable, "-c", STARTER, str(folder)], stdin=subprocess.PIPE, stdout=writing
        )
        os.close(writing)
        assert said.readline() == "started\n"
        starter.send_signal(signal.SIGKILL)
        starter.wait()
        assert said.read() == ""  # Shells and what they started had that end too.
    assert not folder.exists()


def test_a_process_is_ended_once() -> None:
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    orphans.watch(process)
    orphans.end(process, signal.SIGKILL, 10)
    orphans.end(process, signal.SIGKILL, 10)
    assert process.returncode == -signal.SIGKILL

"""What a process logs is on its standard error, whole and in order, wherever it was said."""

import json
import subprocess
import sys
from typing import Any

SAID = """
import asyncio, logging, sys, threading
from aerostat.kit import log

log.setup()
ours, theirs = log.Logger("test"), logging.getLogger("library")


async def main() -> None:
    token = log.bound.set({"request_id": "req-1"})
    secret = log.Secret("hidden")
    ours.info("first", password=secret, kind=object, deep={"of": secret})
    ours.debug("silent")
    theirs.info("second %s", "of theirs")
    thread = threading.Thread(target=ours.info, args=("third",), kwargs={"of": "a thread"})
    thread.start()
    thread.join()
    try:
        raise ValueError("wrong")
    except ValueError as why:
        ours.error("fourth", why=why)
    log.bound.reset(token)
    ours.info("fifth", odd={("no", "name"): "of JSON"})


asyncio.run(main())
ours.info("sixth")
"""

BROKEN = """
import asyncio, os
from aerostat.kit import log

log.setup()
reading, writing = os.pipe()
os.close(reading)
os.dup2(writing, 2)


async def main() -> None:
    log.Logger("test").warning("nobody hears this")
    log.Logger("test").info("nor this")


asyncio.run(main())
print("went on")
"""


def _run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_lines() -> None:
    """Lines come from the event loop, threads and libraries."""
    ended = _run(SAID)
    assert ended.returncode == 0, ended.stderr
    lines = _lines(ended.stderr)
    assert [line["event"] for line in lines] == [
        "first",
        "second of theirs",
        "third",
        "fourth",
        "fifth",
        "sixth",
    ]
    assert lines == sorted(lines, key=lambda line: line["time"])
    first, theirs, _, fourth, fifth, _ = lines
    assert first["password"] == first["deep"]["of"] == "***" and first["kind"] == "<class 'object'>"
    assert first["request_id"] == theirs["request_id"] == fourth["request_id"] == "req-1"
    assert "request_id" not in fifth
    assert fourth["level"] == "error" and fourth["traceback"].endswith("ValueError: wrong")
    assert theirs["log"] == "library" and first["log"] == "aerostat.test"
    assert "hidden" not in ended.stderr


def test_nobody_hears() -> None:
    """What cannot be written troubles nobody who logs."""
    assert _run(BROKEN).stdout == "went on\n"

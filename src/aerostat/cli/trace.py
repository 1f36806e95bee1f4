"""`aerostat trace REQUEST_ID`: one operation from the API call through bus, saga steps and node.

Every process writes what it does for an operation with the id of the request that began it; this
puts the lines of all processes in order.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from aerostat.cli.command import Command
from aerostat.cli.console import CliError
from aerostat.cli.places import places

OWN = {"time", "level", "log", "event", "request_id", "saga_id", "saga", "took_ms", "process"}


def run(command: Command) -> int:
    """Print the events of an operation in order, with times."""
    wanted = command.options.request_id
    files = [Path(f) for f in command.options.log or []]
    files = files or sorted(places(command.settings).log.glob("*.log*"))
    events = sorted(_events(files, wanted), key=lambda event: str(event["time"]))
    if not events:
        where = ", ".join(map(str, files)) or "no log"
        raise CliError(f"nothing about {wanted} in {where}", "--log FILE looks elsewhere")
    if command.console.as_json:
        command.console.json({"events": events})
    else:
        began = _moment(events[0])
        command.console.table([_row(event, began) for event in events])
    return 0


def _events(files: Iterable[Path], wanted: str) -> Iterator[dict[str, Any]]:
    for path in files:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                event = _parsed(line) if wanted in line else {}
                if event.get("request_id") == wanted:
                    yield {**event, "process": path.name.partition(".log")[0]}


def _parsed(line: str) -> dict[str, Any]:
    try:
        event: dict[str, Any] = json.loads(line)
    except ValueError:  # Written by a library, not by us.
        return {}
    return event


def _moment(event: dict[str, Any]) -> float:
    """Return when what an event is about began, in seconds."""
    at = datetime.fromisoformat(event["time"]).timestamp()
    return at - float(event.get("took_ms", 0)) / 1000


def _row(event: dict[str, Any], began: float) -> tuple[str, ...]:
    what = {
        "http.request": "{method} {path} -> {status}",
        "bus.call": "{address} {method}",
        "saga.step": "{saga}: {step}",
    }.get(event["event"])
    if what is None:
        rest = " ".join(f"{k}={v}" for k, v in event.items() if k not in OWN)
        what = f"{event['event']} {rest}"[:100]
    else:
        what = what.format_map({"status": "", "saga": "", **event})
    took = f"{event['took_ms']:8.1f} ms" if "took_ms" in event else ""
    return f"{(_moment(event) - began) * 1000:8.1f} ms", took, str(event["process"]), what

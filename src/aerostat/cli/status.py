"""`aerostat status`: what runs, what answers, how many guests there are."""

from typing import Any

from aerostat.assembly.settings import Settings
from aerostat.cli import health, processes
from aerostat.cli.cloud import ApiError
from aerostat.cli.command import Command
from aerostat.cli.console import CliError, Console
from aerostat.cli.credentials import cloud_of

DOWN = 3
"""The exit code when not everything is well; as of init scripts. Source: LSB, `status`."""


def run(command: Command) -> int:
    """Show the cloud; 0 if all of it is well."""
    doc = look(command.settings)
    if command.console.as_json:
        command.console.json(doc)
    else:
        _show(command.console, doc)
    return 0 if doc["healthy"] else DOWN


def look(settings: Settings) -> dict[str, Any]:
    """Return the state of the cloud as a document."""
    found = processes.running(settings)
    services = health.services(settings)
    doc: dict[str, Any] = {
        "state_dir": str(settings.state_dir),
        "processes": [{"name": p.name, "pid": p.pid} for p in found],
        "services": health.document(services),
        "agents": [],
        "guests": None,
    }
    whole = {p.name for p in found} == set(processes.NAMES) and all(s.healthy for s in services)
    doc["healthy"] = whole and _look_inside(settings, doc)
    return doc


def _look_inside(settings: Settings, doc: dict[str, Any]) -> bool:
    """Add what only the admin sees, if we may read the admin's password."""
    try:
        admin = cloud_of(settings, "admin")
        doc["agents"] = [{"name": a.name, "host": a.host, "up": a.up} for a in health.agents(admin)]
        doc["guests"] = len(admin.list("compute", "servers", all_tenants=1, limit=1000))
    except ApiError as why:
        doc["error"] = why.message
        return False
    except CliError:
        return True
    return all(agent["up"] for agent in doc["agents"])


def _show(console: Console, doc: dict[str, Any]) -> None:
    if not doc["processes"]:
        console.say(f"The cloud in {doc['state_dir']} is down. ./aerostat up starts it.")
        return
    rows: list[tuple[object, ...]] = []
    for process in doc["processes"]:
        rows.append((process["name"], "runs", f"pid {process['pid']}"))
    missing = set(processes.NAMES) - {p["name"] for p in doc["processes"]}
    rows += [(name, "STOPPED", "./aerostat up starts it") for name in sorted(missing)]
    for service in doc["services"]:
        rows.append((service["name"], "ok" if service["healthy"] else "NO ANSWER", service["url"]))
    for agent in doc["agents"]:
        rows.append((agent["name"], "up" if agent["up"] else "DOWN", agent["host"]))
    if doc["guests"] is not None:
        rows.append(("servers", doc["guests"], ""))
    console.table(rows)
    if "error" in doc:
        console.say(f"  {doc['error']}")

"""The demo's server: made, given a floating address, waited for, talked to."""

import subprocess
import time
from pathlib import Path
from typing import Any

from msgspec import Struct

from aerostat.cli import processes
from aerostat.cli.cloud import ApiError, Cloud
from aerostat.cli.console import CliError
from aerostat.cli.demo import names
from aerostat.cli.demo.surroundings import Surroundings

ACTIVE_TIMEOUT_S = 180.0
SSH_TIMEOUT_S = 180.0
SSH_TRY_S = 15.0
CONSOLE_LINES = 25


class Phase(Struct, frozen=True):
    """An event of the server's creation, and how long it took."""

    name: str
    took_s: float


def create(demo: Cloud, around: Surroundings) -> Any:
    """Ask for the next server."""
    taken = {s["name"] for s in demo.list("compute", "servers")}
    numbers = range(1, len(taken) + 2)
    name = next(n for i in numbers if (n := f"{names.SERVER_PREFIX}{i}") not in taken)
    body = {
        "name": name,
        "imageRef": around.image,
        "flavorRef": around.flavor,
        "key_name": names.KEY,
        "networks": [{"uuid": around.network}],
        "security_groups": [{"name": names.GROUP}],
        "metadata": {"made-by": names.FLOATING_NOTE},
    }
    server = demo.post("compute", "/servers", {"server": body})["server"]
    return {**server, "name": name}


def await_active(demo: Cloud, server_id: str) -> Any:
    """Return the server once it is ACTIVE. Raises: CliError with its fault."""
    server: dict[str, Any] = {}

    def settled() -> bool:
        server.update(demo.get("compute", f"/servers/{server_id}")["server"])
        return server["status"] in ("ACTIVE", "ERROR")

    in_time = processes.wait(settled, ACTIVE_TIMEOUT_S)
    if in_time and server["status"] == "ACTIVE":
        return server
    fault = server.get("fault", {}).get("message", "no fault is recorded")
    state = f"{server['status']} ({server.get('OS-EXT-STS:task_state')})"
    raise CliError(
        f"server {server['name']} is {state}: {fault}{console_tail(demo, server_id)}",
        "./aerostat logs node -n 100\n./aerostat doctor --audit\n./aerostat demo --clean",
    )


def give_floating_address(demo: Cloud, server_id: str, public: str) -> str:
    """Return a floating address that leads to the server."""
    (port,) = demo.list("network", "ports", "/v2.0/ports", device_id=server_id)
    body = {
        "floating_network_id": public,
        "port_id": port["id"],
        "description": names.FLOATING_NOTE,
    }
    answer = demo.post("network", "/v2.0/floatingips", {"floatingip": body})
    return str(answer["floatingip"]["floating_ip_address"])


def ssh_command(address: str, key_file: Path) -> list[str]:
    """Return the command that logs in; hosts keys of guests that come and go are not kept."""
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    return ["ssh", "-i", str(key_file), *options, f"{names.GUEST_USER}@{address}"]


def await_ssh(demo: Cloud, server_id: str, login: list[str]) -> str:
    """Return what the guest says of itself, as soon as it lets us in. Raises: CliError."""
    quiet = ["-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=2"]
    command = [*login[:-1], *quiet, login[-1], "aerostat-info"]
    end = time.monotonic() + SSH_TIMEOUT_S
    said = ""
    while time.monotonic() < end:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=SSH_TRY_S, check=False
            )
        except subprocess.TimeoutExpired:
            continue
        if done.returncode == 0:
            return done.stdout
        said = done.stderr.strip()
        time.sleep(processes.POLL_S)  # refused at once while the guest boots: do not spin
    raise CliError(
        f"no login within {SSH_TIMEOUT_S:.0f} s: {said}{console_tail(demo, server_id)}",
        f"{' '.join(login)}\n./aerostat logs node -n 100\n./aerostat doctor --audit",
    )


def console_tail(demo: Cloud, server_id: str) -> str:
    """Return the end of the serial console, indented, or nothing."""
    path, body = f"/servers/{server_id}/action", {"os-getConsoleOutput": {"length": CONSOLE_LINES}}
    try:
        output = demo.post("compute", path, body)["output"]
    except ApiError:
        return ""
    lines = "".join(f"\n    | {line}" for line in output.splitlines())
    return f"\n  the end of its console:{lines}" if lines else ""


def console_url(demo: Cloud, server_id: str) -> str:
    """Return a URL that shows the screen in a browser."""
    body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
    answer = demo.post("compute", f"/servers/{server_id}/remote-consoles", body)
    return str(answer["remote_console"]["url"])


def phases(admin: Cloud, server_id: str) -> list[Phase]:
    """Return the events of the creation, in the order in which they began."""
    actions = f"/servers/{server_id}/os-instance-actions"
    found = admin.get("compute", actions)["instanceActions"]
    request = next(a["request_id"] for a in found if a["action"] == "create")
    events = admin.get("compute", f"{actions}/{request}")["instanceAction"]["events"]
    events = sorted(events, key=lambda e: str(e["start_time"]))
    return [Phase(e["event"], _seconds(e["start_time"], e["finish_time"])) for e in events]


def _seconds(start: str, finish: str | None) -> float:
    if not finish:
        return 0.0
    begin, end = (_moment(text) for text in (start, finish))
    return end - begin


def _moment(text: str) -> float:
    whole, _, fraction = text.rstrip("Z").partition(".")
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")

"""`aerostat up`: starts what does not run and waits until the whole cloud is well."""

import compileall
import os
import sys
import time
from pathlib import Path

from msgspec import Struct

from aerostat.assembly.roles import NODE, metrics_place
from aerostat.assembly.settings import Settings
from aerostat.cli import health, processes
from aerostat.cli.command import Command, repository
from aerostat.cli.console import CliError, Console
from aerostat.cli.credentials import (
    auth_url,
    cloud_of,
    ensure_demo,
    write_clouds_yaml,
)
from aerostat.cli.places import places, prepare
from aerostat.cli.processes import Condition, Process

CONTROL_TIMEOUT_S = 60.0
NODE_TIMEOUT_S = 120.0
LOG_LINES = 15
REFUSES = "aerostat: "
"""How a line begins by which a process refuses to start (cli/console.py)."""


def run(command: Command) -> int:
    """Start the cloud; say how to go on."""
    settings, console = command.settings, command.console
    if settings.roles == "node":
        start_node(settings, console)
        return 0
    took = start(settings, console)
    usual = write_clouds_yaml(settings)
    if console.as_json:
        found = processes.running(settings)
        doc = {"processes": [{"name": p.name, "pid": p.pid} for p in found], **took}
        console.json(doc)
    elif not took:
        console.say("The cloud runs already (./aerostat status shows it).")
    else:
        _say_how_to_go_on(console, settings, usual)
    return 0


def start(settings: Settings, console: Console) -> dict[str, float]:
    """Have the cloud run and be well; return seconds until the milestones, {} if it ran before.

    Raises: CliError with the end of a log when something does not start.
    """
    before = {p.name for p in processes.running(settings)}
    if before == set(processes.NAMES):
        return {}
    _check(settings, before)
    prepare(settings)
    compileall.compile_dir(repository() / "src", quiet=2)  # `control` may not write there
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    began = time.monotonic()
    started = [processes.spawn(settings, name) for name in processes.NAMES if name not in before]
    try:
        took = _wait_until_well(settings, console, _Start(started, since, began))
        ensure_demo(settings)
    except CliError:
        for process in started:
            processes.kill(settings, process)
        raise
    return took


def start_node(settings: Settings, console: Console) -> None:
    """Have the node of a host run that joined a cloud; return once it reaches the control plane."""
    prepare(settings)
    if any(p.name == "node" for p in processes.running(settings)):
        return
    started = [processes.spawn(settings, "node")]
    start_ = _Start(started, "", time.monotonic())
    port = settings.own_port(settings.metrics_port) + metrics_place(frozenset(NODE))
    url = f"http://{settings.metrics_listen}:{port}/healthz"
    with console.step("the control plane is reached"):
        _await(settings, start_, lambda: health.answers(url), NODE_TIMEOUT_S)


class _Start(Struct, frozen=True):
    """What was started, and when."""

    processes: list[Process]
    since: str
    began: float


def _wait_until_well(settings: Settings, console: Console, start: _Start) -> dict[str, float]:
    took: dict[str, float] = {}

    def reached(milestone: str) -> None:
        took[milestone] = round(time.monotonic() - start.began, 3)

    with console.step("identity API answers"):
        url = settings.url(*health.SERVICES[0][1:])
        _await(settings, start, lambda: health.answers(url, settings.tls_ca), CONTROL_TIMEOUT_S)
        reached("first_answer_s")
    with console.step("every API answers"):
        _await(settings, start, lambda: _all_answer(settings), CONTROL_TIMEOUT_S)
        reached("apis_s")
    admin = cloud_of(settings, "admin")
    with console.step("compute and network agents are up"):
        fresh = start.since if any(p.name == "node" for p in start.processes) else ""
        _await(settings, start, lambda: health.hosts_up(admin, fresh), NODE_TIMEOUT_S)
        reached("healthy_s")
    return took


def _all_answer(settings: Settings) -> bool:
    return all(service.healthy for service in health.services(settings))


def _check(settings: Settings, before: set[str]) -> None:
    """Refuse early what would fail late and obscurely."""
    if os.geteuid() != 0 and settings.compute_driver != "fake":
        raise CliError(
            "only root can start it: it makes networks and guests",
            "sudo ./aerostat up\nor, without guests: AEROSTAT_COMPUTE_DRIVER=fake ./aerostat up",
        )
    if "control" not in before and (taken := health.taken(settings)):
        raise CliError(
            f"ports in use by something else: {', '.join(map(str, taken))}",
            "stop it (ss -tnap shows which program), or use other ports: "
            "AEROSTAT_PORT_OFFSET=10000 ./aerostat up",
        )


def _await(settings: Settings, start: _Start, ready: Condition, timeout_s: float) -> None:
    """Wait for `ready`, but not for a process that has died."""

    def settled() -> bool:
        return ready() or any(not processes.alive(p.pid) for p in start.processes)

    in_time = processes.wait(settled, timeout_s)
    dead = [p.name for p in start.processes if not processes.alive(p.pid)]
    if in_time and not dead:
        return
    if dead and (said := [_last_words(settings, name) for name in dead]) and all(said):
        raise CliError("; ".join(said), "correct it there or in the environment")
    logs = {name: places(settings).log_file(name) for name in dead or processes.NAMES}
    tails = "\n".join(_tail(name, path) for name, path in logs.items())
    what = f"{' and '.join(dead)} ended" if dead else f"it is not well after {timeout_s:.0f} s"
    advice = "./aerostat doctor looks for the cause; the whole logs: "
    raise CliError(f"{what}\n{tails}", advice + " ".join(map(str, logs.values())))


def _last_words(settings: Settings, name: str) -> str:
    """Return what a process that ended said of a setting, "" if that was not why."""
    lines = processes.last_lines(places(settings).log_file(name), LOG_LINES).splitlines()
    while lines and lines[-1].startswith("  ->"):
        lines.pop()
    said = lines[-1] if lines else ""
    return said.removeprefix(REFUSES) if said.startswith(REFUSES) else ""


def _tail(name: str, path: Path) -> str:
    lines = processes.last_lines(path, LOG_LINES).splitlines()
    return "\n".join(f"    {name}: {line[:300]}" for line in lines)


def _say_how_to_go_on(console: Console, settings: Settings, usual: Path | None) -> None:
    clients = Path(sys.prefix) / "bin" / "openstack"
    found = usual or places(settings).clouds_yaml
    export = "" if usual else f"OS_CLIENT_CONFIG_FILE={found} "
    console.say(f"\nThe cloud is up after {console.elapsed_s:.1f} s: {auth_url(settings)}")
    console.table(
        [
            ("./aerostat demo", "boots a server and logs in to it"),
            ("eval $(./aerostat openrc demo)", "lets clients speak as the user demo (or: admin)"),
            (f"{export}openstack --os-cloud aerostat-admin server list", f"by {found}"),
            ("./aerostat status | down | doctor", "looks at it | stops it | checks the machine"),
        ]
    )
    if clients.exists():
        console.say(f"The openstack client, if you have none: {clients}")

"""`aerostat lab`: a cluster on one machine, to try what needs several hosts."""

import os
from pathlib import Path

from msgspec import structs

from aerostat.assembly.estate import remove_files
from aerostat.assembly.lab import BRIDGE, GATEWAY, Lab, entering
from aerostat.assembly.settings import DEFAULT_STATE_DIR, Settings, load
from aerostat.cli import health, processes
from aerostat.cli.cloud import Cloud
from aerostat.cli.command import Command
from aerostat.cli.console import CliError, Console
from aerostat.cli.credentials import auth_url, cloud_of, ensure_demo, write_clouds_yaml
from aerostat.cli.places import prepare
from aerostat.kit.errors import Unavailable

LAB_STATE_DIR = Path("/var/lib/aerostat-lab")
CONTROL_TIMEOUT_S = 60.0
HOSTS_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0


def run(command: Command) -> int:
    """Do what the verb says; return the exit code (of the command, for exec)."""
    settings, options = _settings(command), command.options
    if os.geteuid() != 0:
        raise CliError("only root can do it: hosts are namespaces", "sudo ./aerostat lab ...")
    lab = Lab(settings)
    try:
        if options.verb == "up":
            _up(settings, lab, command.console, options.hosts, options.share)
        elif options.verb == "exec":
            words = options.words or ["sh"]
            inside = [*entering(lab.host(options.host)), *words]
            os.execvp(inside[0], inside)
        elif options.verb == "kill":
            count = lab.kill(lab.host(options.host))
            command.console.say(f"lab-{options.host} is off: {count} processes were killed")
        else:
            _down(settings, lab)
    except Unavailable as why:
        raise CliError(why.message, "./aerostat lab down, and try again") from why
    return 0


def _settings(command: Command) -> Settings:
    """Return the settings of the laboratory: it has a state directory of its own."""
    settings = command.settings
    if settings.state_dir == Path(DEFAULT_STATE_DIR):
        settings = load(LAB_STATE_DIR)
    return structs.replace(settings, listen=GATEWAY)


def _up(settings: Settings, lab: Lab, console: Console, count: int, share: int) -> None:
    prepare(settings)
    os.environ["AEROSTAT_LISTEN"] = GATEWAY
    options = settings.state_dir / "aerostat.toml"
    said = options.read_text() if options.exists() else ""
    if "listen =" not in said:
        options.write_text(f'listen = "{GATEWAY}"\n{said}')
    with console.step(f"bridge {BRIDGE}"):
        lab.bridge()
    with console.step("control plane"):
        if not any(p.name == "control" for p in processes.running(settings)):
            processes.spawn(settings, "control")
        _await(lambda: all(s.healthy for s in health.services(settings)), CONTROL_TIMEOUT_S)
    ensure_demo(settings)
    write_clouds_yaml(settings)
    admin = cloud_of(settings, "admin")
    for number in range(1, count + 1):
        host = lab.host(number)
        if host.holder is None:
            lab.boot(host, sharing=share)
            lab.start_node(host)
    names = {lab.host(number).name for number in range(1, count + 1)}
    with console.step(f"{count} hosts"):
        _await(lambda: names <= _hosts_up(admin), HOSTS_TIMEOUT_S)
    console.say(f"The laboratory is up: {auth_url(settings)}, state in {settings.state_dir}")


def _hosts_up(admin: Cloud) -> set[str]:
    """Return the hosts whose compute and network agents are both up."""
    up = [a for a in health.agents(admin) if a.up]
    compute = {a.host for a in up if a.name == "nova-compute"}
    return compute & {a.host for a in up if a.name == "neutron-linuxbridge-agent"}


def _await(ready: processes.Condition, timeout_s: float) -> None:
    if not processes.wait(ready, timeout_s):
        raise CliError(
            f"it is not well after {timeout_s:.0f} s", "look at its logs: lab/*/node.log"
        )


def _down(settings: Settings, lab: Lab) -> None:
    lab.remove()
    for process in processes.running(settings):
        if not processes.stop(settings, process, STOP_TIMEOUT_S):
            processes.kill(settings, process)
    remove_files(settings)

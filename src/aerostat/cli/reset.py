"""`aerostat reset`: nothing is left of the cloud: processes, guests, networks, state."""

import os
import sys

from aerostat.assembly import estate
from aerostat.cli import down
from aerostat.cli.command import Command
from aerostat.cli.console import CliError
from aerostat.cli.credentials import forget_clouds_yaml


def run(command: Command) -> int:
    """Remove everything, after asking."""
    settings, console = command.settings, command.console
    if not command.options.yes:
        _ask(str(settings.state_dir))
    if os.geteuid() != 0 and settings.compute_driver != "fake":
        raise CliError("only root can remove guests and networks", "sudo ./aerostat reset")
    down.stop(settings, console)
    removed: list[str] = []
    with console.step("remove guests and networks") as step:
        estate.tear_down(settings, removed.append)
        step.note = f"{len(removed)} things" if removed else ""
    with console.step("remove state"):
        estate.remove_files(settings)
        forget_clouds_yaml()
    console.say(f"Nothing is left in {settings.state_dir}.")
    return 0


def _ask(state_dir: str) -> None:
    if not sys.stdin.isatty():
        raise CliError(f"this removes {state_dir} and every server in it", "say so: reset --yes")
    answer = input(f"This removes {state_dir} and every server in it. Go on? [y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        raise CliError("nothing was changed")

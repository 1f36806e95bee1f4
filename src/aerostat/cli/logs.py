"""`aerostat logs`: the ends of the logs, and what is added to them."""

import os

from aerostat.cli.command import Command
from aerostat.cli.console import CliError
from aerostat.cli.places import places
from aerostat.cli.processes import NAMES


def run(command: Command) -> int:
    """Hand over to tail(1)."""
    options = command.options
    at = places(command.settings)
    wanted = [options.process] if options.process else list(NAMES)
    files = [str(at.log_file(name)) for name in wanted if at.log_file(name).exists()]
    if not files:
        raise CliError(f"there are no logs in {at.log}", "start the cloud: ./aerostat up")
    follow = ["-F"] if options.follow else []
    os.execvp("tail", ["tail", "-n", str(options.lines), *follow, *files])

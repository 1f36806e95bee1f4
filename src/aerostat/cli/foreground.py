"""`aerostat run`: roles in this very process; what `up` starts in the background."""

import os

from aerostat.assembly.roles import CONTROL, roles_of
from aerostat.cli.command import Command
from aerostat.cli.console import CliError
from aerostat.cli.places import prepare
from aerostat.cli.processes import command_of, environment_of
from aerostat.kit.errors import BadRequest


def run(command: Command) -> int:
    """Run roles until SIGTERM or SIGINT. Those of the control plane give up root first."""
    names = command.options.roles
    try:
        roles = roles_of(names.split(","))
    except BadRequest as why:
        raise CliError(why.message, "./aerostat run --help", code=2) from why
    settings = command.settings
    if os.geteuid() == 0:
        prepare(settings)
        if roles <= set(CONTROL):
            argv = command_of(settings, names)
            os.execve(argv[0], argv, environment_of(settings, names))
    from aerostat.assembly import process

    process.run(roles, settings)
    return 0

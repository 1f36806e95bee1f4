"""`aerostat run`: roles in this very process; what `up` starts in the background."""

import os

from aerostat.cli.command import Command
from aerostat.cli.console import CliError
from aerostat.cli.places import prepare
from aerostat.cli.processes import command_of, environment_of

KNOWN = ("control", "node")


def run(command: Command) -> int:
    """Run roles until SIGTERM or SIGINT. `control` alone gives up root first."""
    roles = command.options.roles.split(",")
    unknown = [role for role in roles if role not in KNOWN]
    if unknown:
        raise CliError(f"no such role: {', '.join(unknown)}", f"roles: {', '.join(KNOWN)}", code=2)
    settings = command.settings
    if os.geteuid() == 0:
        prepare(settings)
        if roles == ["control"]:
            argv = command_of(settings, "control")
            os.execve(argv[0], argv, environment_of(settings, "control"))
    from aerostat.assembly import process

    process.run(roles, settings)
    return 0

"""`aerostat openrc`: the variables that OpenStack clients read, for `eval $(...)`."""

from aerostat.cli.command import Command
from aerostat.cli.credentials import exports, login_of


def run(command: Command) -> int:
    """Print export lines."""
    print(exports(login_of(command.settings, command.options.who)))
    return 0

"""`aerostat bench`: runs the programs of bench/, all or those named."""

import os
import subprocess
import sys

from aerostat.cli.command import Command, repository
from aerostat.cli.console import CliError


def run(command: Command) -> int:
    """Run benchmarks one after the other; without names, list them."""
    folder = repository() / "bench"
    known = {p.stem: p for p in sorted(folder.glob("*.py")) if not p.name.startswith("_")}
    names = [word for word in command.options.rest if not word.startswith("-")]
    options = [word for word in command.options.rest if word.startswith("-")]
    unknown = [name for name in names if name not in known]
    if unknown or not known:
        raise CliError(f"no such benchmark: {' '.join(unknown)}", f"known: {' '.join(known)}")
    if not names:
        command.console.say("./aerostat bench NAME...   (" + ", ".join(known) + ")")
        return 0
    environment = {**os.environ, "AEROSTAT_STATE_DIR": str(command.settings.state_dir)}
    for name in names:
        command.console.say(f"== {name}")
        code = subprocess.call([sys.executable, str(known[name]), *options], env=environment)
        if code:
            return code
    return 0

"""`aerostat down`: stops the processes; guests, networks and data stay as they are."""

from aerostat.assembly.settings import Settings
from aerostat.cli import processes
from aerostat.cli.command import Command
from aerostat.cli.console import Console

STOP_TIMEOUT_S = 15.0


def run(command: Command) -> int:
    """Stop the cloud."""
    if stop(command.settings, command.console):
        command.console.say("The cloud is down; guests go on running. ./aerostat up finds them.")
    else:
        command.console.say("Nothing runs.")
    return 0


def stop(settings: Settings, console: Console) -> bool:
    """Let no process of the cloud run; tell whether any did. `node` goes first: it calls back."""
    found = processes.running(settings)
    for process in reversed(found):
        with console.step(f"stop {process.name} (pid {process.pid})") as step:
            if not processes.stop(settings, process, STOP_TIMEOUT_S):
                processes.kill(settings, process)
                step.note = "killed: it did not stop when asked"
    return bool(found)

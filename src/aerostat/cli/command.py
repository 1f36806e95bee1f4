"""What every command is given."""

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from aerostat.assembly.settings import Settings
from aerostat.cli.console import Console


@dataclass(frozen=True)
class Command:
    """The settings of the installation, the options of the command line, and where to write."""

    settings: Settings
    options: Namespace
    console: Console


def repository() -> Path:
    """Return the checkout that this program runs from."""
    return Path(__file__).resolve().parents[3]

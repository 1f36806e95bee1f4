"""`python -m aerostat.cli`: reads the command line, runs one command, turns failures into advice.

Each command lives in a module of its own, imported only when it is asked for: `status` must not
pay for what `demo` needs.
"""

import os
import sys
from importlib import import_module

from aerostat.assembly.settings import load
from aerostat.cli.arguments import parse
from aerostat.cli.command import Command
from aerostat.cli.console import CliError, Console
from aerostat.kit.errors import BadRequest


def main(argv: list[str] | None = None) -> int:
    """Run a command; return the exit code."""
    options = parse(sys.argv[1:] if argv is None else argv)
    console = Console(as_json=getattr(options, "json", False))
    try:
        settings = load(options.state_dir)
        module = import_module(f"aerostat.cli.{options.module}")
        code: int = module.run(Command(settings, options, console))
        return code
    except CliError as why:
        console.failed(why)
        return why.code
    except BadRequest as why:
        console.failed(CliError(why.message, f"correct it in {why.field} or in the environment"))
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


if __name__ == "__main__":
    sys.exit(main())

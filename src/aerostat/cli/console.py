"""Writes to the person at the terminal: progress with times, tables, JSON, failures with advice."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class CliError(Exception):
    """A command cannot do what it was asked; `advice` says what to do next."""

    def __init__(self, message: str, advice: str = "", code: int = 1) -> None:
        super().__init__(message)
        self.message, self.advice, self.code = message, advice, code


class Step:
    """A line of progress; `note` is shown behind the time."""

    def __init__(self) -> None:
        self.note = ""


class Console:
    """Human text goes to standard output, unless that is for JSON: then to standard error."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._out = sys.stderr if as_json else sys.stdout
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Return the time since the command began."""
        return time.monotonic() - self._began

    def say(self, text: str = "") -> None:
        print(text, file=self._out, flush=True)

    def json(self, document: Any) -> None:
        """Write the answer of a `--json` command."""
        json.dump(document, sys.stdout, indent=2)
        print()

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show that something is being done, and how long it took."""
        step, began = Step(), time.monotonic()
        print(f"  {title:<34} ", end="", file=self._out, flush=True)
        try:
            yield step
        except BaseException:
            print(f"failed after {time.monotonic() - began:.1f} s", file=self._out, flush=True)
            raise
        print(
            f"{time.monotonic() - began:5.1f} s  {step.note}".rstrip(), file=self._out, flush=True
        )

    def table(self, rows: Sequence[Sequence[object]]) -> None:
        """Write rows with aligned columns."""
        cells = [[str(cell) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for row in cells:
            padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.say("  " + "  ".join(padded).rstrip())

    def failed(self, why: CliError) -> None:
        """Say what went wrong and what to do."""
        print(f"aerostat: {why.message}", file=sys.stderr)
        for line in why.advice.splitlines():
            print(f"  -> {line}", file=sys.stderr)

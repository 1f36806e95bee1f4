"""Structured logs: an event name and fields, one JSON object a line; secrets print as ***."""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import msgspec

from aerostat.kit.clock import iso

bound: ContextVar[dict[str, Any]] = ContextVar("bound", default={})  # noqa: B039 - never mutated


class Secret(str):
    """A string that neither logs nor repr show."""

    def __repr__(self) -> str:
        return "'***'"


Observer = Callable[..., None]
"""Told each event (its name, its fields, `trouble`: a warning or worse), shown or not."""

observers: list[Observer] = []


class Logger:
    """Writes events. `log.info("server.boot", server_id=..., took_ms=...)`.

    They go straight to the process's lines once it has some (`setup`), and until then to Python's
    logging, whose way from a logger to a handler costs more than the line.
    """

    def __init__(self, name: str) -> None:
        self._log = logging.getLogger(f"aerostat.{name}")

    def debug(self, event: str, **fields: Any) -> None:
        self._emit(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._emit(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._emit(logging.WARNING, event, fields)

    def error(self, event: str, *, why: BaseException | None = None, **fields: Any) -> None:
        self._emit(logging.ERROR, event, fields, why)

    def _emit(
        self, level: int, event: str, fields: dict[str, Any], why: BaseException | None = None
    ) -> None:
        said = {**bound.get(), **fields}
        for observer in observers:
            observer(event, said, trouble=level >= logging.WARNING)
        if not self._log.isEnabledFor(level):
            return
        if _lines is None:
            self._log.log(level, event, exc_info=why, extra={"fields": said})
        else:
            _lines.add(level, self._log.name, event, said, why)


class _Lines:
    """Standard error, on which each event is a line of JSON.

    Lines of one turn of the event loop leave together, after its answers: a write for each costs
    a request more than the line itself. What is a warning or worse does not wait.
    """

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._lock = threading.RLock()

    def add(
        self,
        level: int,
        name: str,
        event: str,
        fields: Mapping[str, Any],
        why: BaseException | None = None,
    ) -> None:
        """Write an event; what cannot be written troubles nobody who logs."""
        line = {
            "time": iso(time.time(), micros=True),
            "level": logging.getLevelName(level).lower(),
            "log": name,
            "event": event,
            **fields,
        }
        if why is not None:
            line["traceback"] = "".join(traceback.format_exception(why)).rstrip()
        try:
            with self._lock:
                self._waiting.append(_encode(line))
                first = len(self._waiting) == 1
                if level >= logging.WARNING or (first and not self._later()):
                    self.flush()
        except Exception as trouble:
            with suppress(Exception):
                traceback.print_exception(trouble)

    def _later(self) -> bool:
        """Tell whether an event loop is there to write the lines, and will."""
        try:
            asyncio.get_running_loop().call_soon(self.flush)
        except RuntimeError:
            return False
        return True

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            if self._waiting:
                sys.stderr.buffer.write(b"\n".join((*self._waiting, b"")))
                self._waiting.clear()
                sys.stderr.flush()


def _shown(value: object) -> str:
    return "***" if isinstance(value, Secret) else repr(value)


_encode = msgspec.json.Encoder(enc_hook=_shown).encode
_lines: _Lines | None = None


class _Others(logging.Handler):
    """Brings to the lines what libraries log."""

    def __init__(self, lines: _Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        why = record.exc_info[1] if record.exc_info else None
        try:
            self._lines.add(record.levelno, record.name, record.getMessage(), bound.get(), why)
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        self._lines.flush()


def setup(level: str = "INFO") -> None:
    """Send every log line of this process to standard error as JSON."""
    global _lines
    _lines = _Lines()
    root = logging.getLogger()
    root.handlers[:] = [_Others(_lines)]
    root.setLevel(level)
    # The bus says itself what became of a connection.
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
    for noisy in ("uvicorn.access", "oslo_policy", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

"""Structured logs: an event name and fields, one JSON object a line; secrets print as ***."""

import logging
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import msgspec

bound: ContextVar[dict[str, Any]] = ContextVar("bound", default={})  # noqa: B039 - never mutated


class Secret(str):
    """A string that neither logs nor repr show."""

    def __repr__(self) -> str:
        return "'***'"


Observer = Callable[..., None]
"""Told each event (its name, its fields, `trouble`: a warning or worse), shown or not."""

observers: list[Observer] = []


class Logger:
    """Writes events. `log.info("server.boot", server_id=..., took_ms=...)`."""

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
        for observer in observers:
            observer(event, {**bound.get(), **fields}, trouble=level >= logging.WARNING)
        if self._log.isEnabledFor(level):
            record = _Event(self._log.name, level, event, fields)
            if why is not None:
                record.exc_info = (type(why), why, why.__traceback__)
            self._log.handle(record)


_UNSAID: dict[str, Any] = dict.fromkeys(
    ("filename", "pathname", "module", "funcName", "processName"), ""
)
_UNSAID |= dict.fromkeys(("lineno", "process", "thread", "relativeCreated"), 0)
_UNSAID |= dict.fromkeys(("args", "exc_info", "exc_text", "stack_info", "threadName"))


class _Event(logging.LogRecord):
    """A record without what nobody reads of one: looking for the caller alone takes a third."""

    def __init__(self, name: str, level: int, event: str, fields: dict[str, Any]) -> None:
        self.__dict__.update(_UNSAID)
        self.name, self.levelno, self.msg, self.fields = name, level, event, fields
        self.levelname = logging.getLevelName(level)
        self.created = time.time()
        self.msecs = self.created % 1 * 1000


class _JsonLines(logging.Handler):
    """Writes a record as a line of JSON; what cannot be written troubles nobody who logs."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.buffer.write(self._line(record))
            sys.stderr.flush()
        except Exception:
            self.handleError(record)

    def _line(self, record: logging.LogRecord) -> bytes:
        when = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": when.isoformat(timespec="milliseconds")[:23] + "Z",
            "level": record.levelname.lower(),
            "log": record.name,
            "event": record.getMessage(),
            **bound.get(),
        }
        for key, value in getattr(record, "fields", {}).items():
            line[key] = "***" if isinstance(value, Secret) else value
        if record.exc_info:
            line["traceback"] = logging.Formatter().formatException(record.exc_info)
        return _encode(line) + b"\n"


_encode = msgspec.json.Encoder(enc_hook=repr).encode


def setup(level: str = "INFO") -> None:
    """Send every log line of this process to standard error as JSON."""
    handler = _JsonLines()
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # The bus says itself what became of a connection.
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
    for noisy in ("uvicorn.access", "oslo_policy", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

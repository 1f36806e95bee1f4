"""Structured logs: an event name and fields, one JSON object a line; secrets print as ***."""

import logging
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
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
            info = (type(why), why, why.__traceback__) if why else None
            self._log.log(level, event, extra={"fields": fields}, exc_info=info)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "log": record.name,
            "event": record.getMessage(),
            **bound.get(),
        }
        for key, value in getattr(record, "fields", {}).items():
            line[key] = "***" if isinstance(value, Secret) else value
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=repr).decode()


def setup(level: str = "INFO") -> None:
    """Send every log line of this process to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # The bus says itself what became of a connection.
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
    for noisy in ("uvicorn.access", "oslo_policy", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

"""Prometheus metrics of a process, taken from the events that it logs: one name for each thing.

Source: Prometheus' text exposition format, and its rules for names and units.
"""

from collections.abc import Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """Counts and times of requests, bus calls and saga steps."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._series: dict[tuple[object, ...], Histogram] = {}
        self._timed = {
            "http.request": (
                self._histogram("http_request", "HTTP requests", "api", "method", "status"),
                ("api", "method", "status"),
            ),
            "bus.call": (
                self._histogram("bus_call", "Calls answered", "endpoint", "method"),
                ("address", "method"),
            ),
            "saga.step": (
                self._histogram("saga_step", "Steps of operations", "saga", "step"),
                ("saga", "step"),
            ),
        }
        self._events = Counter(
            "aerostat_events",
            "Events logged at warning or above",
            ["event"],
            registry=self._registry,
        )

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        full = f"aerostat_{name}_seconds"
        return Histogram(full, text, labels, buckets=SECONDS, registry=self._registry)

    def observe(self, event: str, fields: Mapping[str, Any], *, trouble: bool) -> None:
        """Take an event into account."""
        if event in self._timed:
            histogram, names = self._timed[event]
            key = (event, *map(fields.get, names))
            series = self._series.get(key)
            if series is None:
                labels = (str(fields.get(name, "")).partition("@")[0] for name in names)
                series = self._series[key] = histogram.labels(*labels)
            series.observe(fields["took_ms"] / 1000)
        elif trouble:
            self._events.labels(event).inc()

    def text(self) -> bytes:
        """Return everything as Prometheus reads it."""
        return generate_latest(self._registry)

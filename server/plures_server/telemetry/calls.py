"""Metrics of calls, kept as they come."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .catalogue import BY_NAME

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600)


class CallMetrics:
    """Counts calls and errors in a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        calls, seconds, under_way, errors = (
            BY_NAME[f"plures_{name}"] for name in ("calls", "call_seconds", "calls_under_way", "errors")
        )
        self._calls = Counter(calls.name, calls.help, calls.labels, registry=registry)
        self._seconds = Histogram(seconds.name, seconds.help, seconds.labels, registry=registry, buckets=SECONDS)
        self._under_way = Gauge(under_way.name, under_way.help, under_way.labels, registry=registry)
        self._errors = Counter(errors.name, errors.help, errors.labels, registry=registry)

    @contextmanager
    def under_way(self, method: str) -> Iterator[None]:
        """A call, from its beginning to its end."""
        began, here = time.perf_counter(), self._under_way.labels(method)
        here.inc()
        try:
            yield
        finally:
            here.dec()
            self._seconds.labels(method).observe(time.perf_counter() - began)

    def ended(self, method: str, code: str) -> None:
        self._calls.labels(method, code).inc()

    def failed(self, code: str, reason: str) -> None:
        """A call, or a message of a stream, was refused or failed."""
        self._errors.labels(code, reason).inc()

"""Metrics on a port of their own, for Prometheus to fetch."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, start_http_server

from ..errors import InvalidArgument

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MetricsConfig:
    """Where metrics are told; port None: nowhere; 0: a free one, which is logged."""

    host: str = "127.0.0.1"
    port: int | None = None


@contextmanager
def exposed(config: MetricsConfig, registry: CollectorRegistry) -> Iterator[None]:
    """Tell the metrics meanwhile."""
    if config.port is None:
        yield
        return
    try:
        server, thread = start_http_server(config.port, config.host, registry)
    except OSError as error:
        raise InvalidArgument(f"metrics cannot be told at {config.host}:{config.port}: {error}") from error
    log.info("metrics are told at http://%s:%d/metrics", config.host, server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

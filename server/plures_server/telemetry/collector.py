"""Metrics of the engine, the pool and the queues, read when somebody asks for them: a step pays nothing for them."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ..engine import Engine
from ..errors import PluresError, UnknownQueue
from ..holdings import VISIBILITY_MS
from ..pool import Pool, PoolUsage
from ..queue.chunks import QueueStats
from ..queue.store import QueueStore
from .catalogue import BY_NAME
from .meter import Histogram, Meter

log = logging.getLogger(__name__)

Family = TypeVar("Family", GaugeMetricFamily, CounterMetricFamily)
PATIENCE_S = 5.0


@dataclass(frozen=True)
class _Queues:
    """All queues together, and the age of the oldest lease."""

    count: int
    stats: QueueStats
    lease_age_s: float


class ServerCollector(Collector):
    """What it cannot learn within seconds, it leaves out: a scrape must end also when the queues' store is away."""

    def __init__(self, engine: Engine, store: QueueStore, loop: asyncio.AbstractEventLoop, bandwidth: float) -> None:
        self._engine, self._store, self._loop, self._bandwidth = engine, store, loop, bandwidth

    def collect(self) -> Iterable[Metric]:
        yield _gauge("memory_bandwidth_bytes", {(): self._bandwidth})
        yield _gauge("requests_waiting", {(): self._engine.waiting})
        if (pool := _patiently(self._ask_pool)) is not None:
            yield from _of_pool(*pool)
        # When the engine has answered, it has counted the steps that it answered before.
        yield from _of_steps({"act": self._engine.meters.acts, "run": self._engine.meters.ticks})
        if (queues := _patiently(self._ask_queues)) is not None:
            yield from _of_queues(queues)

    def describe(self) -> Iterable[Metric]:
        """Nothing: else a registry would ask for everything when this is added to it."""
        return ()

    def _ask_pool(self) -> "Future[tuple[PoolUsage, int, int, int]]":
        return self._engine.ask(_facts)

    def _ask_queues(self) -> "Future[_Queues]":
        return asyncio.run_coroutine_threadsafe(self._queues(), self._loop)

    async def _queues(self) -> _Queues:
        total, count, age = QueueStats(0, 0, 0, 0, ""), 0, 0.0
        for name in await self._store.queues():
            # One that was deleted meanwhile is none.
            with contextlib.suppress(UnknownQueue):
                total = _sum(total, await self._store.stats(name))
                count += 1
                if (left_s := await self._store.oldest_lease_s(name)) is not None:
                    age = max(age, VISIBILITY_MS / 1e3 - left_s)
        return _Queues(count, total, age)


def _facts(pool: Pool) -> tuple[PoolUsage, int, int, int]:
    """Of the engine's thread: usage, agents at most, cohorts, journals that cannot be written."""
    closed = sum(journal.fenced is not None for journal in pool.journals.all())
    return pool.usage(), pool.config.max_agents, len(pool.all()), closed


def _patiently(ask: Any) -> Any:
    try:
        return ask().result(PATIENCE_S)
    except (PluresError, TimeoutError) as error:
        log.warning("some metrics are missing: %s", error or "no answer in time")
        return None


def _of_steps(meters: dict[str, Meter]) -> Iterable[Metric]:
    seconds = BY_NAME["plures_tick_seconds"]
    family = HistogramMetricFamily(seconds.name, seconds.help, labels=seconds.labels)
    for kind, meter in meters.items():
        family.add_metric([kind], _buckets(meter.seconds), meter.seconds.total)
    yield family
    yield _counter("agent_steps", {(kind,): meter.agents for kind, meter in meters.items()})
    yield _counter("tile_rows", {(kind,): meter.rows for kind, meter in meters.items()})
    yield _counter("state_bytes", {(kind,): meter.state_bytes for kind, meter in meters.items()})


def _of_pool(usage: PoolUsage, most: int, cohorts: int, closed: int) -> Iterable[Metric]:
    yield _gauge("agents", {(): usage.agents})
    yield _gauge("agents_most", {(): most})
    yield _gauge("cohorts", {(): cohorts})
    yield _gauge("journals_closed", {(): closed})
    yield _gauge("tier_states", {(tier.name,): tier.pages for tier in usage.tiers})
    yield _gauge("tier_bytes", {(tier.name,): tier.bytes_used for tier in usage.tiers})
    yield _gauge("tier_bytes_most", {(tier.name,): tier.bytes_capacity for tier in usage.tiers})


def _of_queues(queues: _Queues) -> Iterable[Metric]:
    stats = queues.stats
    yield _gauge("queues", {(): queues.count})
    yield _gauge("queue_items", {(state,): getattr(stats, state) for state in ("ready", "leased", "done", "dead")})
    yield _gauge("queue_lease_age_seconds", {(): queues.lease_age_s})


def _sum(one: QueueStats, other: QueueStats) -> QueueStats:
    states = ("ready", "leased", "done", "dead")
    return replace(one, **{state: getattr(one, state) + getattr(other, state) for state in states})


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Cumulative, as Prometheus wants them."""
    total, buckets = 0, []
    for bound, count in zip([*map(str, histogram.bounds), "+Inf"], histogram.counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets


def _gauge(name: str, values: Mapping[tuple[str, ...], float]) -> Metric:
    metric = BY_NAME[f"plures_{name}"]
    return _filled(GaugeMetricFamily(metric.name, metric.help, labels=metric.labels), values)


def _counter(name: str, values: Mapping[tuple[str, ...], float]) -> Metric:
    metric = BY_NAME[f"plures_{name}"]
    return _filled(CounterMetricFamily(metric.name, metric.help, labels=metric.labels), values)


def _filled(family: Family, values: Mapping[tuple[str, ...], float]) -> Family:
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family

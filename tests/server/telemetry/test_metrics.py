"""Every metric there is moves when what it counts happens."""

import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plures_client import Client, Items, PluresClientError
from plures_client.errors import ResourceExhausted, Unavailable
from plures_server.telemetry.catalogue import METRICS
from plures_server.telemetry.meter import Histogram, Meter
from plures_server.telemetry.page import table

from ..disk import files_of_at_most

Samples = dict[str, float]
ROOT = Path(__file__).parents[3]


def scraped(server: Any) -> Samples:
    """What a Prometheus would read now."""
    [where] = re.findall(r"metrics are told at (\S+)", (server.folder / "server.log").read_text())[-1:]
    with urllib.request.urlopen(where, timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    rows = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in rows}


def moved(server: Any, name: str, fact: Callable[[float], bool]) -> float:
    """The value of a sample once the fact holds of it."""
    deadline = time.monotonic() + 20
    while not fact(value := scraped(server).get(name, 0.0)):
        assert time.monotonic() < deadline, f"{name} is {value}"
        time.sleep(0.05)
    return value


@pytest.fixture(scope="module")
def measured(launch_server: Callable[..., Any]) -> Any:
    return launch_server(
        "--metrics-port", "0", "--log-format", "json", "--log-calls", "--memory-gb", "0.5", "--queue-max-items", "1000"
    )


@pytest.fixture(scope="module")
def client(measured: Any) -> Any:
    with Client(measured.address) as client:
        yield client


def test_every_metric_is_told_and_none_that_is_not_listed(measured: Any, client: Client) -> None:
    client.pool()
    cohort = client.cohorts.start("listed", student="bandit", count=1)
    cohort.act()
    with pytest.raises(PluresClientError):
        client.cohort("nobody").describe()
    told = {re.split(r"[{ ]", name)[0] for name in scraped(measured)}
    families = {re.sub(r"_(total|created|bucket|sum|count)$", "", name) for name in told}
    families = {re.sub(r"_(total|created)$", "", name) for name in families}
    assert families == {metric.name for metric in METRICS}
    cohort.retire()


def test_calls_and_errors_are_counted_by_their_codes(measured: Any, client: Client) -> None:
    before = scraped(measured)
    client.pool()
    cohort = client.cohorts.start("called", student="bandit", count=1)
    with pytest.raises(PluresClientError):
        client.cohort("nobody").describe()
    with pytest.raises(PluresClientError):
        cohort.act([7])
    after = scraped(measured)
    for sample, by in (
        ('plures_calls_total{code="OK",method="AgentService/GetPool"}', 1),
        ('plures_call_seconds_count{method="AgentService/GetPool"}', 1),
        ('plures_errors_total{code="NOT_FOUND",reason="UNKNOWN_COHORT"}', 1),
        ('plures_errors_total{code="NOT_FOUND",reason="UNKNOWN_AGENT"}', 1),
    ):
        assert after[sample] - before.get(sample, 0) == by, sample
    cohort.retire()


def test_a_submission_beyond_the_bound_that_was_set_is_refused_and_counted(measured: Any, client: Client) -> None:
    sample = 'plures_errors_total{code="RESOURCE_EXHAUSTED",reason="QUEUE_FULL"}'
    before = scraped(measured).get(sample, 0)
    items = Items.of("bandit", np.full((1001, 2), 0.5), steps=1, seed=0)
    with pytest.raises(ResourceExhausted, match="holds 0 of at most 1000 items"):
        client.queue("bounded").enqueue(items)
    assert scraped(measured)[sample] - before == 1


def test_steps_of_acts_and_runs_are_counted(measured: Any, client: Client) -> None:
    before = scraped(measured)
    cohort = client.cohorts.start("counted", student="bandit", count=100)
    cohort.act()
    cohort.act(range(3))
    cohort.run("bandit", [[0.5, 0.5]], steps=10).result()
    after = scraped(measured)
    page = client.students.get("bandit").page_bytes
    for kind, waves, agents in (("act", 2, 103), ("run", 10, 1000)):
        told = {
            name: after[f'{name}{{kind="{kind}"}}'] - before.get(f'{name}{{kind="{kind}"}}', 0)
            for name in ("plures_tick_seconds_count", "plures_agent_steps_total", "plures_tile_rows_total")
        }
        assert list(told.values())[:2] == [waves, agents]
        assert told["plures_tile_rows_total"] >= agents, "rows are agents and padding"
        moved_bytes = f'plures_state_bytes_total{{kind="{kind}"}}'
        assert after[moved_bytes] - before.get(moved_bytes, 0) == 2 * agents * page
        assert after[f'plures_tick_seconds_sum{{kind="{kind}"}}'] > before.get(
            f'plures_tick_seconds_sum{{kind="{kind}"}}', 0
        )
    cohort.retire()


def test_the_pool_is_told_by_tier(measured: Any, client: Client) -> None:
    before = scraped(measured)
    cohort = client.cohorts.start("pooled", student="bandit", count=10)
    cohort.act()
    after = scraped(measured)
    page = client.students.get("bandit").page_bytes
    for sample, by in (
        ("plures_agents", 10),
        ("plures_cohorts", 1),
        ('plures_tier_states{tier="device"}', 10),
        ('plures_tier_bytes{tier="device"}', 10 * page),
    ):
        assert after[sample] - before[sample] == by, sample
    assert after["plures_agents_most"] == 1 << 20
    assert 0.4 * 2**30 < after['plures_tier_bytes_most{tier="device"}'] <= 0.5 * 2**30
    assert after["plures_memory_bandwidth_bytes"] > 1e8
    cohort.retire()


def test_queues_are_told_by_the_state_of_their_items(measured: Any, client: Client) -> None:
    before = scraped(measured)
    queue = client.queue("told")
    queue.enqueue(Items.of("bandit", np.full((600, 2), 0.5), steps=1, seed=0))
    after = scraped(measured)
    assert after["plures_queues"] - before["plures_queues"] == 1
    assert after['plures_queue_items{state="ready"}'] - before['plures_queue_items{state="ready"}'] == 600
    client.cohorts.start("workers", student="bandit", count=4)
    forever = Items.of("bandit", np.full((4, 2), 0.5), steps=10**9, seed=0)
    endless = client.queue("endless")
    endless.enqueue(forever)
    endless.attach("workers", keep="nothing")
    moved(measured, 'plures_queue_items{state="leased"}', lambda value: value == 4)
    age = moved(measured, "plures_queue_lease_age_seconds", lambda value: value > 0)
    assert age < 30
    moved(measured, "plures_queue_lease_age_seconds", lambda value: value > age)
    endless.detach("workers")
    queue.attach("workers", keep="nothing")
    moved(measured, 'plures_queue_items{state="done"}', lambda value: value == 600)
    queue.detach("workers")


def test_journals_that_cannot_be_written_are_told(measured: Any, client: Client) -> None:
    cohort = client.cohorts.start("logged", student="bandit", count=1, durability="log")
    with files_of_at_most(1, measured.process.pid):
        with pytest.raises(Unavailable, match="the log could not be written"):
            cohort.act()
        moved(measured, "plures_journals_closed", lambda value: value == 1)
    moved(measured, "plures_journals_closed", lambda value: value == 0)
    cohort.retire()


def test_calls_that_go_on_are_told(measured: Any, client: Client) -> None:
    cohort = client.cohorts.start("going", student="bandit", count=1)
    with cohort.act_stream() as stream:
        stream.act()
        assert scraped(measured)['plures_calls_under_way{method="AgentService/Act"}'] == 1
    moved(measured, 'plures_calls_under_way{method="AgentService/Act"}', lambda value: value == 0)
    cohort.retire()


def test_the_page_lists_every_metric() -> None:
    assert table() in (ROOT / "docs" / "operations.md").read_text()


def test_a_histogram_counts_each_value_once() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.observe(value)
    assert (histogram.counts, histogram.total) == ([2, 1, 1], 12.0)


def test_what_steps_move_is_read_and_written() -> None:
    meter = Meter()
    meter.stepped(agents=3, rows=4, page_bytes=10, seconds=0.1)
    assert (meter.agents, meter.rows, meter.state_bytes) == (3, 4, 60)

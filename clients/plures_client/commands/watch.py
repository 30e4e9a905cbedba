"""`plures watch`: a server as it is now, again and again: pool, tiers, steps a second, cohorts, queues."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from .connect import connected
from .output import human_bytes, json_option, print_json_line

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..client import Client
    from ..records import CohortInfo, PoolInfo, QueueStats

MOST_SHOWN = 20
"""Cohorts and queues; the rest is counted."""


@dataclass(frozen=True)
class Sight:
    """A server at one moment; what it did in a second since the one before, None at the first."""

    at: float
    pool: "PoolInfo"
    cohorts: "tuple[CohortInfo, ...]"
    queues: "tuple[QueueStats, ...]"
    steps_per_second: float | None = None
    waves_per_second: float | None = None


@click.command()
@click.option("--every", type=click.FloatRange(0.1), default=1.0, help="Seconds from look to look.")
@click.option("--times", type=click.IntRange(1), default=None, help="How often.  [default: until interrupted]")
@click.option("--queue", "queues", multiple=True, metavar="NAME", help="Show this queue, too; may be repeated.")
@json_option
def watch(every: float, times: int | None, queues: Sequence[str], as_json: bool) -> None:
    """Watch a server: its pool, what it steps, its cohorts, and the queues that are named."""
    with connected() as client:
        sights = _sights(client, queues, every, times)
        if as_json:
            for sight in sights:
                print_json_line(sight)
            return
        _show(sights)


def _sights(client: "Client", queues: Sequence[str], every: float, times: int | None) -> Iterator[Sight]:
    before = None
    while times is None or times > 0:
        before = _look(client, queues, before)
        yield before
        times = None if times is None else times - 1
        if times != 0:
            time.sleep(every)


def _look(client: "Client", queues: Sequence[str], before: Sight | None) -> Sight:
    from ..errors import NotFound

    found = []
    for name in queues:
        # One that has had no item yet is shown as soon as it has one.
        try:
            found.append(client.queue(name).stats())
        except NotFound:
            continue
    pool, cohorts, now = client.pool(), tuple(client.cohorts.list()), time.monotonic()
    if before is None:
        return Sight(now, pool, cohorts, tuple(found))
    seconds = now - before.at
    steps, waves = pool.agent_steps - before.pool.agent_steps, pool.waves - before.pool.waves
    return Sight(now, pool, cohorts, tuple(found), steps / seconds, waves / seconds)


def _show(sights: Iterator[Sight]) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        for sight in sights:
            live.update(view(sight), refresh=True)


def view(sight: Sight) -> "RenderableType":
    """A sight for people."""
    from rich.console import Group

    parts: list[RenderableType] = [_pool(sight), _cohorts(sight)]
    return Group(*parts, *([_queues(sight)] if sight.queues else []))


def _pool(sight: Sight) -> "RenderableType":
    from rich.table import Table

    pool, table = sight.pool, Table(box=None, pad_edge=False, title="pool", title_justify="left")
    tiers = [f"{human_bytes(tier.bytes_used)} of {human_bytes(tier.bytes_capacity)}" for tier in pool.tiers]
    for name in ("agents", "free", "steps/s", "waves/s", "waiting", *(f"states, {tier.name}" for tier in pool.tiers)):
        table.add_column(name, justify="right")
    rates = ("-" if rate is None else f"{rate:,.0f}" for rate in (sight.steps_per_second, sight.waves_per_second))
    table.add_row(f"{pool.agents:,}", f"{pool.agents_free:,}", *rates, f"{pool.waiting:,}", *tiers)
    return table


def _cohorts(sight: Sight) -> "RenderableType":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title="cohorts", title_justify="left")
    for name in ("cohort", "student", "alive", "steps", "states", "horizon", "durability"):
        table.add_column(name, justify="right" if name in ("alive", "steps", "states") else "left", no_wrap=True)
    for cohort in sight.cohorts[:MOST_SHOWN]:
        steps, states = f"{cohort.min_step:,} to {cohort.max_step:,}", human_bytes(cohort.state_bytes)
        durability = cohort.durability.level or "none"
        table.add_row(
            cohort.name, cohort.student, f"{cohort.alive:,}", steps, states, cohort.horizon_policy, durability
        )
    if more := len(sight.cohorts) - MOST_SHOWN:
        table.caption = f"and {more:,} more" if more > 0 else None
    return table


def _queues(sight: Sight) -> "RenderableType":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title="queues", title_justify="left")
    for name in ("queue", "ready", "leased", "done", "dead", "worked by"):
        table.add_column(name, justify="left" if name in ("queue", "worked by") else "right")
    for queue in sight.queues[:MOST_SHOWN]:
        counts = (f"{count:,}" for count in (queue.ready, queue.leased, queue.done, queue.dead))
        table.add_row(queue.name, *counts, ", ".join(queue.attached) or "-")
    return table

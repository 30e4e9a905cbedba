"""The pool: what it costs that more agents live than memory holds.

Correctness first: what agents do and become when most of them are cold must be, bit for bit, what they do and become
when all are in memory. That is also the peer, in the same run.
"""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import torch
from common import machine, write_json
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from plures_server.act_request import ActRequest
from plures_server.engine import Engine, EngineConfig
from plures_server.pages import ColdConfig
from plures_server.pool import PoolConfig
from plures_server.runs import RunRequest, begin, put_back, run_to_end
from plures_server.students import ServedStudent, Students
from plures_students.config import StudentConfig
from plures_students.model import Student
from rich.console import Console
from rich.table import Table

SEED = 1
TIMES_MEMORY = 4
"""Agents for each state that memory holds."""
RATES = torch.tensor([[0.25, 0.05]])


@dataclass(frozen=True)
class Row:
    """One measurement. `of_peer`: steps a second, as a part of what the row's peer made."""

    what: str
    peer: str
    agents: int
    steps_per_second: float
    of_peer: float


# Engines


@contextlib.contextmanager
def engine_of(student: Student, device_pages: int, cold: ColdConfig, agents: int) -> Iterator[Engine]:
    """An engine without a network around it, with `agents` agents named joe."""
    served = ServedStudent("bench", student, {}, "0" * 64)
    pool = PoolConfig(2 * agents, device_pages * served.page_bytes, cold)
    engine = Engine(EngineConfig(), pool, Students([served]), torch.device("cpu"))
    engine.start()
    try:
        asyncio.run(_start(engine, agents))
        yield engine
    finally:
        engine.stop()


async def _start(engine: Engine, agents: int) -> None:
    await engine.call(lambda pool: pool.start("joe", "bench", agents, SEED))


@contextlib.contextmanager
def oversubscribed(student: Student, agents: int, on: str) -> Iterator[Engine]:
    """A quarter of the agents fit in memory, and the others on disk or, as beside a GPU, in a second, colder tensor."""
    page_bytes = 4 * student.config.page_floats
    with tempfile.TemporaryDirectory() as folder:
        others = 2 * agents * page_bytes
        cold = ColdConfig(host_bytes=others) if on == "host" else ColdConfig(disk_bytes=others, folder=Path(folder))
        with engine_of(student, agents // TIMES_MEMORY, cold, agents) as engine:
            yield engine


# Acts that favour some agents


@dataclass(frozen=True)
class Acted:
    """What a series of acts came to: agent-steps a second, and all actions."""

    rate: float
    actions: list[NDArray[np.int32]]


def zipf_selections(agents: int, rows: int, acts: int) -> list[NDArray[np.int64]]:
    """Agents to act, drawn without repeats; the r-th most popular one in proportion to 1/r."""
    generator = np.random.default_rng(SEED)
    weight = 1 / np.arange(1, agents + 1)
    popularity = generator.permutation(weight / weight.sum())
    # The Gumbel trick: the largest of log p + noise are a draw without repeats.
    noisy = (np.log(popularity) + generator.gumbel(size=agents) for _ in range(acts))
    return [np.sort(np.argpartition(-score, rows)[:rows]) for score in noisy]


async def act_on(engine: Engine, selections: list[NDArray[np.int64]]) -> Acted:
    """All agents step once, then act after act; the first half, after which it is hot what is popular, is not timed."""
    agents = (await engine.call(lambda pool: pool.get("joe"))).count
    most = min(engine.steppers["bench"].most_rows or agents, 65_536)
    for first in range(0, agents, most):
        await engine.act(ActRequest("joe", np.arange(first, min(first + most, agents))))
    half = len(selections) // 2
    actions = [(await engine.act(ActRequest("joe", chosen))).action for chosen in selections[:half]]
    began = time.perf_counter()
    actions += [(await engine.act(ActRequest("joe", chosen))).action for chosen in selections[half:]]
    seconds = time.perf_counter() - began
    return Acted(sum(map(len, selections[half:])) / seconds, actions)


def measure_zipf(student: Student, agents: int, rows: int = 4096, acts: int = 60) -> list[Row]:
    """Acts on the popular and, now and then, on others, against the same acts with all agents in memory."""
    selections = zipf_selections(agents, rows, acts)
    with engine_of(student, 2 * agents, ColdConfig(), agents) as engine:
        peer, expected = asyncio.run(act_on(engine, selections)), asyncio.run(states(engine))
    found = [Row("Zipf acts", "all hot", agents, peer.rate, 1.0)]
    for on in ("host", "disk"):
        with oversubscribed(student, agents, on) as engine:
            acted = asyncio.run(act_on(engine, selections))
            same = all(map(np.array_equal, acted.actions, peer.actions))
            _require(same and np.array_equal(asyncio.run(states(engine)), expected), f"acts, cold on {on}")
        found.append(
            Row(
                f"Zipf acts, {TIMES_MEMORY}× memory, cold on {on}",
                "all hot",
                agents,
                acted.rate,
                acted.rate / peer.rate,
            )
        )
    return found


# Runs


async def run_on(engine: Engine, steps: int) -> float:
    """Agent-steps a second of a run of all agents; the first tick, which gives them pages, is not timed."""
    await _run(engine, 1)
    began = time.perf_counter()
    return await _run(engine, steps) / (time.perf_counter() - began)


async def _run(engine: Engine, steps: int) -> int:
    request = RunRequest("joe", None, "bandit", RATES, steps, SEED)
    begun = await engine.borrow(lambda pool: begin(pool, engine.steppers["bench"], request), put_back)
    done = [progress.agent_steps async for progress in run_to_end(engine, begun)]
    return done[-1]


async def states(engine: Engine) -> NDArray[np.float32]:
    """Everyone's fast weights."""
    handles = await engine.call(lambda pool: pool.get("joe").page.copy())
    found: NDArray[np.float32] = engine.steppers["bench"].pages.get(handles).numpy()
    return found


def measure_runs(student: Student, agents: int, steps: int = 8) -> list[Row]:
    """A run of everyone, tick after tick: no agent is more popular than another, so nothing can stay hot."""
    with engine_of(student, 2 * agents, ColdConfig(), agents) as engine:
        peer, expected = asyncio.run(run_on(engine, steps)), asyncio.run(states(engine))
    found = [Row("run", "all hot", agents, peer, 1.0)]
    for on in ("host", "disk"):
        with oversubscribed(student, agents, on) as engine:
            rate = asyncio.run(run_on(engine, steps))
            _require(np.array_equal(asyncio.run(states(engine)), expected), f"run, cold on {on}")
        found.append(Row(f"run, {TIMES_MEMORY}× memory, cold on {on}", "all hot", agents, rate, rate / peer))
    return found


def measure_tiers_unused(student: Student, agents: int, steps: int = 8, rounds: int = 3) -> list[Row]:
    """What it costs that colder tiers are there, when everyone fits in memory: the best of some rounds in turn."""
    best = dict.fromkeys(("one tier", "two tiers"), 0.0)
    for _ in range(rounds):
        for name, host_bytes in (("one tier", 0), ("two tiers", 1 << 26)):
            with engine_of(student, agents + 1, ColdConfig(host_bytes), agents) as engine:
                best[name] = max(best[name], asyncio.run(run_on(engine, steps)))
    rate, peer = best["two tiers"], best["one tier"]
    return [Row("run, two tiers, all fit", "one tier", agents, rate, rate / peer)]


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise click.ClickException(f"{what}: not the lives that agents live in memory; no use to time that")


@click.command()
@click.option("--agents", type=click.IntRange(20_000), default=100_000)
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(agents: int, json_path: Path | None) -> None:
    """Measure a student with a page of 4 KiB."""
    torch.manual_seed(0)
    student = Student(StudentConfig(Discrete(1), Discrete(2))).eval().requires_grad_(False)
    rows = [*measure_zipf(student, agents), *measure_runs(student, agents), *measure_tiers_unused(student, agents)]
    table = Table("", "agents", "agent-steps/s", "of peer", "peer", title=machine())
    for row in rows:
        table.add_row(row.what, f"{row.agents:,}", f"{row.steps_per_second:,.0f}", f"{row.of_peer:.1%}", row.peer)
    Console().print(table)
    if json_path:
        write_json(json_path, "pool", [asdict(row) for row in rows])


if __name__ == "__main__":
    main()

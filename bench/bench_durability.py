"""What it costs that cohorts outlive their server: acts that are logged beside acts that are not, and recoveries.

`--section` chooses what to measure. Correctness first: what is recovered must be, bit for
bit, what was.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import torch
from bench_serving import serving
from common import machine, write_json
from gymnasium.spaces import Discrete
from plures_client import Client, Cohort
from plures_server.act_request import ActRequest
from plures_server.durable.journals import Journals
from plures_server.durable.keeper import Keeper
from plures_server.durable.policy import Durability, DurableConfig, Level
from plures_server.durable.recovery import recover
from plures_server.engine import Engine, EngineConfig
from plures_server.pool import PoolConfig
from plures_server.students import ServedStudent, Students
from plures_students.config import StudentConfig
from plures_students.model import Student
from rich.console import Console
from rich.table import Table

SECONDS = 1.0
ROUNDS = 5
WINDOW = 32
"""Requests in flight, where it is not one at a time."""


@dataclass(frozen=True)
class Row:
    """One measurement: agent-steps a second, and as a ratio to the same without a log."""

    what: str
    agents: int
    steps_per_second: float
    ratio: float


def acts_logged(student: Student) -> list[Row]:
    """Acts over gRPC on a `none` and a `log` cohort, in turn; the best of several rounds of each."""
    rows = []
    with serving(student, 40_000) as (client, _):
        for agents, window in ((1, 1), (1, WINDOW), (10_000, 4)):
            cohorts = {level: _cohort(client, f"{level}-{agents}-{window}", agents, level) for level in ("none", "log")}
            best = dict.fromkeys(cohorts, 0.0)
            for _ in range(ROUNDS):
                for level, cohort in cohorts.items():
                    best[level] = max(best[level], _acts_per_second(cohort, window) * agents)
            how = "one at a time" if window == 1 else f"{window} in flight"
            rows += [
                Row(f"acts over gRPC, {how}, {level}", agents, rate, rate / best["none"])
                for level, rate in best.items()
            ]
    return rows


def _cohort(client: Client, name: str, agents: int, level: str) -> Cohort:
    # The wire's own words; a Literal to the checker.
    durability = Durability(Level(level))
    return client.cohorts.start(name, student="bandit", count=agents, durability=durability.level.value)


def _acts_per_second(cohort: Cohort, window: int) -> float:
    acts, began = 0, time.perf_counter()
    with cohort.act_stream(window=window) as stream:
        pending = []
        while (seconds := time.perf_counter() - began) < SECONDS:
            pending.append(stream.send(None))
            if len(pending) >= window:
                pending.pop(0).result()
                acts += 1
    return acts / seconds


def recovery(student: Student) -> list[Row]:
    """A log of acts done again at the start of an engine, beside the doing of them the first time, without a log."""
    rows = []
    for agents, each, requests in ((10_000, 10_000, 50), (1_000, 1, 10_000)):
        with tempfile.TemporaryDirectory() as folder:
            first = _lived(student, Path(folder), agents, each, requests)
            second = _recovered(student, Path(folder), agents * (requests * each // agents))
        what = f"recovery of {requests:,} acts of {each:,}"
        rows.append(Row(what, agents, second, second / first))
    return rows


def _engine(student: Student, folder: Path) -> Engine:
    config = DurableConfig(checkpoint_bytes=1 << 40, checkpoint_steps=1 << 40)
    served = Students([ServedStudent("bandit", student, {}, "0" * 64)])
    return Engine(EngineConfig(), PoolConfig(), served, torch.device("cpu"), Journals(folder / "durable", config))


def _lived(student: Student, folder: Path, agents: int, each: int, requests: int) -> float:
    """Agent-steps a second of acts that are not logged; then the same acts logged, for who comes after."""
    engine = _engine(student, folder)
    recover(engine)
    keeper = Keeper(engine)
    engine.start()
    keeper.start()
    seconds = {level: asyncio.run(_live(engine, level, agents, each, requests)) for level in (Level.NONE, Level.LOG)}
    keeper.stop()
    engine.stop()
    return each * requests / seconds[Level.NONE]


async def _live(engine: Engine, level: Level, agents: int, each: int, requests: int) -> float:
    await engine.call(lambda pool: pool.start(level.value, "bandit", agents, 1, Durability(level)))
    began = time.perf_counter()
    for first in range(0, requests, 1_000):
        numbers = range(first, min(first + 1_000, requests))
        await asyncio.gather(*(engine.act(_request(level.value, agents, each, number)) for number in numbers))
    return time.perf_counter() - began


def _request(cohort: str, agents: int, each: int, number: int) -> ActRequest:
    ordinals = np.arange(number * each, (number + 1) * each) % agents
    return ActRequest(cohort, ordinals, reward=torch.full((each,), number % 3 - 1.0))


def _recovered(student: Student, folder: Path, steps: int) -> float:
    engine = _engine(student, folder)
    began = time.perf_counter()
    recover(engine)
    seconds = time.perf_counter() - began
    found = int(engine.pool.get("log").step.sum())
    if found != steps:
        raise click.ClickException(f"{found:,} steps were recovered of {steps:,}; no use to time that")
    return steps / seconds


SECTIONS: dict[str, Callable[[Student], list[Row]]] = {"acts-logged": acts_logged, "recovery": recovery}


@click.command()
@click.option("--section", type=click.Choice(list(SECTIONS)), multiple=True, default=tuple(SECTIONS))
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(section: tuple[str, ...], json_path: Path | None) -> None:
    """Measure with a student whose page has 4 KiB."""
    torch.manual_seed(0)
    student = Student(StudentConfig(Discrete(1), Discrete(2))).eval().requires_grad_(False)
    rows = [row for name in section for row in SECTIONS[name](student)]
    table = Table("", "agents", "agent-steps/s", "ratio to no log", title=machine())
    for row in rows:
        table.add_row(row.what, f"{row.agents:,}", f"{row.steps_per_second:,.0f}", f"{row.ratio:.2f}")
    Console().print(table)
    if json_path:
        write_json(json_path, "durability", [asdict(row) for row in rows])


if __name__ == "__main__":
    main()

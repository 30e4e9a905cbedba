"""What `bench_vllm.py` measures: our engine beside vLLM, on one student, in one run."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import torch
from common import machine, write_json
from gymnasium.spaces import Discrete
from plures_students.checkpoint import save_checkpoint
from plures_students.config import StudentConfig
from plures_students.model import Student
from plures_students.text import BYTES
from vllm_contestants import Contestant, Named, Ours, Resent, Vllm

AGENTS = (1, 10, 100, 1_000, 10_000)
HISTORIES = (16, 64, 256, 1_024, 4_096, 16_384)
SHORT, FEW = 64, 8
ROUNDS = 3
LONGEST = max(HISTORIES) + 64
QUIET = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
}


@dataclass(frozen=True)
class Row:
    """The median of some rounds: seconds for a token of every agent, and history that was not computed again."""

    who: str
    agents: int
    history: int
    seconds: float
    kept_tokens: int

    @property
    def steps_per_second(self) -> float:
        return self.agents / self.seconds


def measure(who: str, contestant: Contestant, agents: int, history: int) -> Row:
    """Fresh histories, so that nothing of an earlier row is in a cache."""
    rng = np.random.default_rng([agents, history])
    histories = rng.integers(BYTES, size=(agents, history)).tolist()
    contestant.remember(histories)
    contestant.step(histories, 0)
    seconds, kept = [], 0
    for token in range(1, 1 + ROUNDS):
        began = time.perf_counter()
        kept = contestant.step(histories, token)
        seconds.append(time.perf_counter() - began)
    row = Row(who, agents, history, median(seconds), kept)
    click.echo(
        f"{who:30} {agents:7,} agents {history:7,} tokens {row.steps_per_second:12,.0f} steps/s {row.seconds:9.4f} s"
    )
    return row


@dataclass(frozen=True)
class Extent:
    """How far rows go: seconds of a step, agents, tokens of history."""

    budget_s: float
    agents: int
    history: int

    def rows(self, who: str, contestant: Contestant) -> list[Row]:
        """By agents, then by history, each until a step would take longer than the budget."""
        agents = [count for count in AGENTS if count <= self.agents]
        histories = [length for length in HISTORIES if length <= self.history]
        rows = _until(self.budget_s, agents, lambda count: measure(who, contestant, count, SHORT))
        return rows + _until(self.budget_s, histories, lambda length: measure(who, contestant, FEW, length))


def _until(budget_s: float, sizes: Sequence[int], run: Callable[[int], Row]) -> list[Row]:
    rows: list[Row] = []
    for size in sizes:
        if _expected_s(rows) > budget_s:
            break
        rows.append(run(size))
    return rows


def _expected_s(rows: Sequence[Row]) -> float:
    """Of the next row: sizes grow evenly, so that time grows from it as it last did, where it grows at all."""
    if not rows:
        return 0.0
    before = rows[-2] if len(rows) > 1 else rows[-1]
    return rows[-1].seconds * max(1.0, rows[-1].seconds / before.seconds)


def contest(checkpoint: Path, student: Student, extent: Extent, cached: bool) -> Iterator[list[Row]]:
    """The rows of one contestant after the other."""
    with closing(Ours(student, max(AGENTS))) as ours:
        yield extent.rows("plures-server, in process", ours)
    with closing(Vllm(checkpoint, cached=False, longest=LONGEST)) as vllm:
        yield extent.rows("vLLM, named state", Named(vllm))
        yield extent.rows("vLLM, named state on the disk", Named(vllm, sync=True))
        yield extent.rows("vLLM, history sent again", Resent(vllm))
    if cached:
        with closing(Vllm(checkpoint, cached=True, longest=LONGEST)) as vllm:
            yield extent.rows("vLLM, prefix caching", Resent(vllm))


@click.command()
@click.option("--budget", type=click.FloatRange(0, min_open=True), default=4.0, help="Seconds of the longest step.")
@click.option("--agents", type=click.IntRange(1), default=max(AGENTS), help="At most so many.")
@click.option("--history", type=click.IntRange(1), default=max(HISTORIES), help="Of at most so many tokens.")
@click.option("--cached/--no-cached", default=True, help="Prefix caching too, for which vLLM starts once more.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(budget: float, agents: int, history: int, cached: bool, json_path: Path | None) -> None:
    """Measure a student of bytes with a page of 4 KiB."""
    os.environ.update(QUIET)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    student = Student(StudentConfig(Discrete(BYTES), Discrete(BYTES))).eval().requires_grad_(False)
    click.echo(machine())
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder), student, {})
        rows: list[dict[str, Any]] = []
        for found in contest(Path(folder), student, Extent(budget, agents, history), cached):
            rows += [{**asdict(row), "steps_per_second": row.steps_per_second} for row in found]
            if json_path:
                write_json(json_path, "vllm", rows)

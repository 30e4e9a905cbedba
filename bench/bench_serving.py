"""Agent-steps per second end to end: a server of its own, agents on a task, everything asked for over gRPC.

Correctness first: what agents do on the server must be what plain PyTorch says they do. That is also the peer, in the
same run with the same student and task: all agents at once, their states gathered, stepped and scattered.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
import numpy as np
import torch
from common import machine, write_json
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from plures_client import Client, Cohort
from plures_server.tasks import get_task
from plures_server.wave import agent_seeds
from plures_students.checkpoint import save_checkpoint
from plures_students.config import StudentConfig
from plures_students.model import NO_ACTION, Inputs, Student
from plures_students.sampling import sample
from rich.console import Console
from rich.table import Table

RATES = [[0.25, 0.05]]
SEED, TASK_SEED = 1, 2
SECONDS = 8.0
"""About how long each measurement goes on."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds from the question to the answer, of one agent that acts again and again."""

    p50: float
    p99: float


@dataclass(frozen=True)
class Row:
    """One measurement. Nothing stands for what the peer does not have.

    `alone_ms`, `beside_ms`: how long another client's single agent waits, alone and while the many run.
    """

    what: str
    agents: int
    ticks: int
    steps_per_second: float
    birth_ms: float = 0.0
    state_gb: float = 0.0
    server_gb: float = 0.0
    alone_ms: Latency | None = None
    beside_ms: Latency | None = None


@contextmanager
def serving(student: Student, agents: int) -> Iterator[tuple[Client, int]]:
    """A client of a server of our own, and the server's process id."""
    gigabytes = max(1.0, 4 * student.config.page_floats * agents * 1.1 / 2**30)
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder, "students", "bandit"), student, {})
        command = [str(Path(sys.executable).parent / "plures-server"), "--port", "0", "--max-agents", str(2 * agents)]
        command += ["--students", f"{folder}/students", "--data", f"{folder}/data", "--memory-gb", str(gigabytes)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
            assert server.stdout is not None
            found = re.search(r"listens on (\S+)", server.stdout.readline())
            assert found is not None, "the server did not start"
            try:
                with Client(found.group(1), timeout=600) as client:
                    yield client, server.pid
            finally:
                server.terminate()


def run_served(student: Student, agents: int) -> Row:
    """Agents on the bandit, on the server, for as many ticks as fit in SECONDS; the first, which gets pages, aside."""
    with serving(student, agents) as (client, pid):
        began = time.perf_counter()
        cohort = client.cohorts.start("bench", student="bandit", count=agents, seed=SEED)
        birth = time.perf_counter() - began
        began = time.perf_counter()
        cohort.run("bandit", RATES, steps=2, seed=TASK_SEED).result()
        ticks = max(3, round(SECONDS / (time.perf_counter() - began)))
        began = time.perf_counter()
        done = cohort.run("bandit", RATES, steps=ticks, seed=TASK_SEED).result()
        seconds = time.perf_counter() - began
        lone = client.cohorts.start("lone", student="bandit", count=1)
        alone = latency(lone, lambda acts: acts == 500)
        # A run of its own: two clients and a server share these cores.
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(lambda: cohort.run("bandit", RATES, steps=3, seed=TASK_SEED).result())
            beside = latency(lone, lambda acts: running.done())
            running.result()
        state = cohort.describe().state_bytes / 2**30
        return Row(
            "server", agents, ticks, done.agent_steps / seconds, birth * 1e3, state, _resident_gb(pid), alone, beside
        )


def latency(lone: Cohort, enough: Callable[[int], bool]) -> Latency:
    """Of acts, one after the other, until there were enough."""
    taken: list[float] = []
    while not enough(len(taken)):
        began = time.perf_counter()
        lone.act([0])
        taken.append(1e3 * (time.perf_counter() - began))
    p50, p99 = np.percentile(taken, [50, 99])
    return Latency(float(p50), float(p99))


def _resident_gb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 2**20  # type: ignore[index]


class PlainAgents:
    """The peer: the same agents in plain PyTorch, all at once."""

    def __init__(self, student: Student, agents: int, steps: int) -> None:
        ordinals, cpu = np.arange(agents), torch.device("cpu")
        rates = torch.tensor(RATES).expand(agents, 2).contiguous()
        task_seeds = agent_seeds(TASK_SEED, ordinals, cpu)
        self.student = without_fast_kernels(student)
        self.seeds = agent_seeds(SEED, ordinals, cpu)
        self.episode = get_task("bandit").begin(rates, task_seeds, torch.full((agents,), steps))
        self.pages = torch.zeros(agents, student.config.page_floats)
        self.slots = torch.arange(agents)
        self.action = torch.full((agents,), NO_ACTION, dtype=torch.int32)
        self.reward = torch.zeros(agents)
        self.tick = 0

    def step(self) -> None:
        """One step of every agent and its environment."""
        rows = slice(None)
        inputs = Inputs(self.episode.observation(rows), self.action, self.reward, torch.zeros_like(self.reward))
        logits = self.student.step(self.pages, self.slots, self.slots, inputs)
        self.action = sample(logits, self.seeds, self.tick)
        self.reward = self.episode.step(rows, self.action, self.tick)
        self.tick += 1


def without_fast_kernels(student: Student) -> Student:
    """The same student, whose memories step in plain PyTorch."""
    plain = deepcopy(student)
    for memory in plain.memories:
        memory.rule = replace(memory.rule, step_for={})  # type: ignore[type-var]
    return plain


def run_plain(student: Student, agents: int) -> Row:
    """The peer for about SECONDS, its first step aside."""
    plain = PlainAgents(student, agents, 1_000_000)
    plain.step()
    began, ticks = time.perf_counter(), 0
    while (seconds := time.perf_counter() - began) < SECONDS:
        plain.step()
        ticks += 1
    return Row("plain PyTorch", agents, ticks, agents * ticks / seconds)


def check(student: Student, agents: int = 256, steps: int = 50) -> None:
    """Raise unless nearly every action on the server is the one that plain PyTorch takes: rounding may flip a few."""
    with serving(student, agents) as (client, _):
        cohort = client.cohorts.start("check", student="bandit", count=agents, seed=SEED)
        served: NDArray[np.float32] = cohort.run("bandit", RATES, steps=steps, seed=TASK_SEED).result().summary
    plain = PlainAgents(student, agents, steps)
    for _ in range(steps):
        plain.step()
    same = (served == plain.episode.summary().numpy()).all(axis=1).mean()
    if same < 0.98:
        raise click.ClickException(f"only {same:.1%} of the agents lived as plain PyTorch says; no use to time that")


def _served(row: Row) -> tuple[str, ...]:
    """Columns that a server alone has."""
    if row.alone_ms is None or row.beside_ms is None:
        return ("",) * 5
    waits = (f"{one.p50:.1f}, {one.p99:.1f}" for one in (row.alone_ms, row.beside_ms))
    return f"{row.birth_ms:.0f}", f"{row.state_gb:.2f}", f"{row.server_gb:.2f}", *waits


@click.command()
@click.option("--agents", type=click.IntRange(1), multiple=True, default=(1_000, 100_000, 1_000_000))
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(agents: tuple[int, ...], json_path: Path | None) -> None:
    """Measure a student with a page of 4 KiB at several numbers of agents."""
    torch.manual_seed(0)
    student = Student(StudentConfig(Discrete(1), Discrete(2))).eval().requires_grad_(False)
    check(student)
    rows = []
    for count in agents:
        rows += [run_served(student, count), run_plain(student, min(count, 100_000))]
    headings = "agent-steps/s", "birth, ms", "states, GiB", "server, GiB", "lone act, ms: p50, p99", "… beside them"
    table = Table("", "agents", "ticks", *headings, title=machine())
    for row in rows:
        table.add_row(row.what, f"{row.agents:,}", str(row.ticks), f"{row.steps_per_second:,.0f}", *_served(row))
    Console(width=120).print(table)
    if json_path:
        write_json(json_path, "serving", [asdict(row) for row in rows])


if __name__ == "__main__":
    main()

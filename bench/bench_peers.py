"""The same copies run otherwise: the server's agents beside what one would write, or install, instead.

One student, one task, one machine, one run. Before anything is timed, what each peer's agents do is compared with what
plain PyTorch's do: every action of every agent over a number of steps, but for a few that rounding may flip.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click
import torch
from bench_serving import serving
from common import machine, write_json
from gymnasium.spaces import Discrete
from peers.agents import RATES, SEED, TASK_SEED, Agents, Peer, Skip
from peers.elsewhere import ON_PAPER, vllm
from peers.fla_step import by_fla
from peers.torch_loops import LoopedAgents, batched, compiled
from peers.vector_gru import GruAgents
from plures_client.bench.spread import Spread, repeated, seconds
from plures_students.checkpoint import load_checkpoint
from plures_students.config import StudentConfig
from plures_students.model import Student
from rich.console import Console
from rich.table import Table

REPEATS = 5
CHECKED_AGENTS, CHECKED_STEPS = 32, 25
ALIKE = 0.98
LONE_STEPS = 50


@dataclass(frozen=True)
class Row:
    """As `plures_client.bench.peers.Peer` reads it. `most_agents`: by this machine's memory, counted, not tried."""

    name: str
    agents: int | None = None
    steps_per_second: Spread | None = None
    bytes_an_agent: float | None = None
    most_agents: int | None = None
    p50_ms: float | None = None
    note: str = ""


PEERS = (
    Peer("PyTorch, one agent a call", LoopedAgents, (100,), note="an object an agent: Python's own bytes not counted"),
    Peer("PyTorch, all in one call", batched, (1_000, 100_000), copies_of_state=3.0, note="gather, step, scatter"),
    Peer("the same by torch.compile", compiled, (100_000,), copies_of_state=3.0, lone=False),
    Peer("fla fused recurrent", by_fla, (16_000,), copies_of_state=3.0, note="gather, step, scatter"),
    Peer("gymnasium vector, GRU", GruAgents, (1_000, 100_000), note="as many slow weights; no fast ones"),
)  # fmt: skip


def check(peer: Peer, student: Student) -> None:
    """Raise unless its agents do what plain PyTorch's do. A GRU is another learner: there is nothing to compare."""
    if peer.make is GruAgents:
        return
    theirs, truth = peer.make(student, CHECKED_AGENTS), batched(student, CHECKED_AGENTS)
    for _ in range(CHECKED_STEPS):
        theirs.step()
        truth.step()
    same = float((theirs.summary() == truth.summary()).all(dim=1).float().mean())
    if same < ALIKE:
        raise click.ClickException(f"only {same:.0%} of the agents of {peer.name} do as they should; no use to time it")


def measure(peer: Peer, student: Student, seconds_each: float, most: int) -> Iterator[Row]:
    """A row for each number of agents; one that says why there is none where the peer cannot take part."""
    try:
        check(peer, student)
        for agents in sorted({min(agents, most) for agents in peer.agents}):
            p50_ms = lone_ms(partial(peer.make, student, 1)) if peer.lone else None
            yield _row(peer, peer.make(student, agents), agents, p50_ms, seconds_each)
    except Skip as reason:
        yield Row(peer.name, note=f"not run: {reason}")


def lone_ms(make: Callable[[], Agents]) -> float:
    """The median milliseconds of a step of one agent that has the machine to itself."""
    lone = make()
    return repeated(lone.step, LONE_STEPS).median * 1e3


def _row(peer: Peer, agents_of_it: Agents, agents: int, p50_ms: float | None, seconds_each: float) -> Row:
    agents_of_it.step()
    ticks = max(1, round(seconds_each / seconds(agents_of_it.step)))

    def work() -> None:
        for _ in range(ticks):
            agents_of_it.step()

    taken = repeated(work, REPEATS)
    pace = Spread.of([agents * ticks / sample for sample in taken.samples])
    each = agents_of_it.bytes_an_agent
    return Row(peer.name, agents, pace, each, int(memory_bytes() / each / peer.copies_of_state), p50_ms, peer.note)


def served(student: Student, agents: int, seconds_each: float) -> Row:
    """The server: everything asked for over gRPC, the task included."""
    with serving(student, agents) as (client, _):
        cohort = client.cohorts.start("bench", student="bandit", count=agents, seed=SEED)
        ticks = max(1, round(seconds_each / seconds(lambda: cohort.run("bandit", RATES, steps=2).result()) * 2))
        taken = repeated(lambda: cohort.run("bandit", RATES, steps=ticks, seed=TASK_SEED).result(), REPEATS)
        pace = Spread.of([agents * ticks / sample for sample in taken.samples])
        each = cohort.describe().state_bytes / agents
        lone = client.cohorts.start("lone", student="bandit", count=1)
        p50_ms = repeated(lambda: lone.act([0]), LONE_STEPS).median * 1e3
        note = "over gRPC; latency: a call and its answer"
        return Row("plures, served", agents, pace, each, int(memory_bytes() / each), p50_ms, note)


def memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def student_of(folder: Path | None) -> Student:
    """The checkpoint in a folder; else a student of the demo's size that nobody has trained."""
    if folder is not None:
        return load_checkpoint(folder).student.eval().requires_grad_(False)
    torch.manual_seed(0)
    return Student(StudentConfig(Discrete(1), Discrete(2))).eval().requires_grad_(False)


def show(rows: list[Row]) -> None:
    headings = "agents", "agent-steps/s", "bytes an agent", "most agents", "one alone, ms", ""
    table = Table("", *headings, title=machine())
    for row in rows:
        pace = row.steps_per_second
        cells = [f"{row.agents:,}" if row.agents else "–"]
        cells += [f"{pace.median:,.0f} ± {pace.percent:.0f} %" if pace else "–"]
        cells += ["–" if x is None else f"{x:,.0f}" for x in (row.bytes_an_agent, row.most_agents)]
        table.add_row(row.name, *cells, "–" if row.p50_ms is None else f"{row.p50_ms:.3g}", row.note)
    Console(width=150).print(table)


FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
VLLM = Path(__file__).parent / "results" / "vllm-cpu.json"


@click.command()
@click.option("--student", "folder", type=FOLDER, help="A checkpoint.")
@click.option("--served-agents", type=click.IntRange(1), multiple=True, default=(1_000, 100_000, 1_000_000))
@click.option("--vllm", "vllm_json", type=click.Path(path_type=Path), default=VLLM, help="What bench_vllm.py wrote.")
@click.option("--only", multiple=True, help="Peers whose name has this in it.")
@click.option("--seconds", "seconds_each", type=float, default=1.0, show_default=True, help="About, of a repeat.")
@click.option("--most", type=click.IntRange(1), default=1_000_000, show_default=True, help="Agents of any peer.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(
    folder: Path | None, served_agents: tuple[int, ...], vllm_json: Path, only: tuple[str, ...], seconds_each: float,
    most: int, json_path: Path | None,
) -> None:  # fmt: skip
    """Measure the server and its peers on the two-armed bandit."""
    student, began = student_of(folder), time.perf_counter()
    rows = [served(student, agents, seconds_each) for agents in sorted({min(n, most) for n in served_agents})]
    for peer in PEERS:
        if not only or any(word in peer.name for word in only):
            rows += measure(peer, student, seconds_each, most)
    rows += [Row(**row) for row in (*vllm(vllm_json), *ON_PAPER)]
    show(rows)
    if json_path:
        write_json(json_path, "peers", [asdict(row) for row in rows], seconds=time.perf_counter() - began)


if __name__ == "__main__":
    main()

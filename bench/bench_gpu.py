"""Steps on a GPU: ours, replay, and those of others, each checked against the truth before it is timed.

METHOD.md says what is counted and how to read the table. Without a GPU, `--interpret` runs all of it at toy sizes in
Triton's interpreter, so that it is known to work; it gives no figures.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import click
import torch
from common import machine, write_json
from gpu_cases import DTYPES, Case, draw, truth
from gpu_clock import copy_bandwidth, graph_seconds, seconds
from gpu_contestants import Contestant, Skip, contestants
from gpu_tick import TickRow
from gpu_tick import measure as measure_ticks
from gpu_tick import predict as predict_ticks
from gpu_tick import rehearse as rehearse_ticks
from plures_kernels import RULES
from rich.console import Console
from rich.table import Table

# Heads and width: pages of 2 to 64 KiB where the state is one matrix of float32.
SHAPES = ((2, 16), (1, 32), (2, 32), (1, 64), (2, 64), (1, 128))
AGENTS = (1_000, 16_000, 256_000, 1_000_000)
POOL_BYTES = 2**30
TOY_SHAPES, TOY_AGENTS, TOY_POOL_BYTES = ((2, 16),), (3,), 2**14
CHECKED_AGENTS = 100
H200_COPY = 4.3e12
TOLERANCE = {"fp32": 1e-3, "bf16": 2**-7}


@dataclass(frozen=True)
class Row:
    """A wave of all agents. `bytes`: counted, not measured. Times in µs, None where nothing was timed.

    `share`: of the bandwidth that copying reached in the same run, by the better time. `predicted_us`: bytes at the
    4.3 TB/s at which an H200 copies.
    """

    rule: str
    heads: int
    width: int
    page_bytes: int
    state: str
    agents: int
    contestant: str
    bytes: int
    predicted_us: float | None = None
    us: float | None = None
    graph_us: float | None = None
    share: float | None = None


def cases(shapes: Sequence[tuple[int, int]], agents: Sequence[int], device: str, pool_bytes: int) -> Iterator[Case]:
    """Every rule that has a Triton step, on every state that its step knows."""
    for rule in RULES.values():
        states = [name for name, dtype in DTYPES.items() if rule.step_for.get(("cuda", dtype)) == "triton"]
        for state in states:
            for heads, width in shapes:
                for count in agents:
                    yield Case(rule, heads, width, state, count, device, pool_bytes)


@cache
def check(case: Case, contestant: Contestant) -> None:
    """AssertionError unless it gives what the rule is; Skip where it does not take part."""
    batch = draw(case)
    ready = contestant.prepare(batch)
    for wave in range(batch.waves):
        y_true, states_true = truth(batch, ready.reads_WB[wave])
        torch.testing.assert_close(ready.step(wave).double(), y_true, rtol=1e-3, atol=1e-3)
        tolerance = TOLERANCE[case.state]
        torch.testing.assert_close(ready.states(wave).double(), states_true, rtol=tolerance, atol=tolerance)


def measure(case: Case, contestant: Contestant, bandwidth: float) -> Row:
    batch = draw(case)
    ready = contestant.prepare(batch)

    def waves() -> None:
        for wave in range(batch.waves):
            ready.step(wave)

    us = seconds(waves) / batch.waves * 1e6
    graph_us = graph_seconds(waves) / batch.waves * 1e6 if ready.on_device else None
    share = ready.bytes / (min(us, graph_us or us) * 1e-6) / bandwidth
    return row_of(case, contestant.name, ready.bytes, ready.bytes / H200_COPY * 1e6, us, graph_us, share)


def row_of(case: Case, contestant: str, moved: int, *figures: float | None) -> Row:
    return Row(
        case.rule.name, case.heads, case.width, case.page_bytes, case.state, case.agents, contestant, moved, *figures
    )


def require_memory(case: Case, contestant: Contestant) -> None:
    """Skip when the pool, the contestant's own states and the tokens would not fit beside what is there."""
    needed = case.pages * case.page_bytes * (1 + contestant.pools) + 4 * case.token_bytes
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    if needed > free:
        raise Skip(f"{needed / 2**30:.0f} GiB would be needed and {free / 2**30:.0f} are free")


def compete(contest: Iterator[Case], bandwidth: float | None) -> tuple[list[Row], list[str]]:
    """All rows, and who was left out of what and why. Nothing is timed where `bandwidth` is None."""
    rows, skipped = [], []
    for case in contest:
        for contestant in contestants(case.rule.name):
            forgiven = (RuntimeError, AssertionError) if contestant.theirs else torch.OutOfMemoryError
            try:
                rows.append(attempt(case, contestant, bandwidth))
            except Skip as reason:
                skipped.append(f"{contestant.name}, {case.name}: {reason}")
            except forgiven as error:
                skipped.append(f"{contestant.name}, {case.name}: {type(error).__name__}, {str(error).splitlines()[0]}")
    return rows, skipped


def attempt(case: Case, contestant: Contestant, bandwidth: float | None) -> Row:
    few = min(case.agents, CHECKED_AGENTS)
    small = replace(case, agents=few, pool_bytes=2 * few * case.page_bytes)
    check(small, contestant)
    if bandwidth is None:
        return row_of(case, contestant.name, contestant.prepare(draw(small)).bytes)
    require_memory(case, contestant)
    return measure(case, contestant, bandwidth)


def predict(contest: Iterator[Case]) -> list[Row]:
    """Our steps as their bytes predict them."""
    return [row_of(case, "plures, PREDICTED", case.bytes, case.bytes / H200_COPY * 1e6) for case in contest]


def show(rows: Sequence[Row], skipped: Sequence[str], title: str) -> None:
    table = Table("rule", "heads × d", "page", "state", "agents", "", "MB", "predicted µs", "µs", "in a graph, µs",
                  "of copying", title=title)  # fmt: skip
    for row in rows:
        table.add_row(
            row.rule, f"{row.heads} × {row.width}", f"{row.page_bytes / 1024:g} KiB", row.state, f"{row.agents:,}",
            row.contestant, f"{row.bytes / 1e6:,.3f}",
            *("" if us is None else f"{us:,.1f}" for us in (row.predicted_us, row.us, row.graph_us)),
            "" if row.share is None else f"{row.share:.0%}",
        )  # fmt: skip
    console = Console(width=150)
    console.print(table)
    for reason in skipped:
        console.print(f"skipped: {reason}", highlight=False)
    console.print(f"{len(rows)} rows, {len(skipped)} skipped")


def show_ticks(ticks: Sequence[TickRow], title: str) -> None:
    """Whole ticks, the task included."""
    table = Table("page", "agents", "tile", "MB", "predicted µs", "µs", "in a graph, µs", "ticks/s", title=title)
    for tick in ticks:
        times = tick.predicted_us, tick.us, tick.graph_us, tick.ticks_per_second
        table.add_row(
            f"{tick.page_bytes / 1024:g} KiB", f"{tick.agents:,}", f"{tick.tile:,}", f"{tick.bytes / 1e6:,.3f}",
            *("" if figure is None else f"{figure:,.1f}" for figure in times),
        )  # fmt: skip
    Console(width=150).print(table)


@click.command()
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the rows here, too.")
@click.option("--interpret", is_flag=True, help="Toy sizes in Triton's interpreter, on the CPU; no figures.")
@click.option("--predicted", is_flag=True, help="Only what bytes predict for an H200; nothing runs.")
def main(json_path: Path | None, interpret: bool, predicted: bool) -> None:
    """Measure the Triton steps on this machine's GPU."""
    if predicted:
        bandwidth, title = None, "PREDICTED from bytes at 4.3 TB/s, an H200; nothing was measured"
        rows, skipped = predict(cases(SHAPES, AGENTS, "cpu", 0)), list[str]()
        ticks = predict_ticks(H200_COPY)
    elif interpret:
        # Triton looks at it when it is imported, which no kernel has been so far.
        os.environ["TRITON_INTERPRET"] = "1"
        bandwidth, title = None, "run by Triton's interpreter: right, and nothing said about time"
        rows, skipped = compete(cases(TOY_SHAPES, TOY_AGENTS, "cpu", TOY_POOL_BYTES), None)
        ticks = rehearse_ticks()
    elif torch.cuda.is_available():
        bandwidth = copy_bandwidth()
        title = f"{machine()}; copying reaches {bandwidth / 1e12:.2f} TB/s"
        rows, skipped = compete(cases(SHAPES, AGENTS, "cuda", POOL_BYTES), bandwidth)
        ticks = measure_ticks(bandwidth)
    else:
        raise click.ClickException("no CUDA device here; `python bench/bench_gpu.py --interpret` shows that it works")
    show(rows, skipped, title)
    show_ticks(ticks, title)
    if json_path:
        write_json(
            json_path, "gpu", [asdict(row) for row in rows],
            title=title, copy_bytes_per_second=bandwidth, skipped=skipped,
            ticks=[{**asdict(tick), "ticks_per_second": tick.ticks_per_second} for tick in ticks],
        )  # fmt: skip


if __name__ == "__main__":
    main()

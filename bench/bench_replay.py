"""Replay on the CPU: young copies of one base, and write-back saved, beside the dense step.

Bytes are counted, not measured: a dense step reads and writes each state; a replayed one reads the factors that there
are and writes one, while the base stays in the caches; a step with write-back reads each state, and once a window reads
it again and writes it.

Time is one core's own, tile by tile as the engine steps, contestants in turn, the median of the tiles: what the machine
does beside it disturbs that least.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click
import torch
from common import machine, write_json
from plures_kernels.memory import empty_pages
from plures_kernels.replay import REPLAYS, Base, Factors
from plures_kernels.threads import use_one_core
from rich.console import Console
from rich.table import Table
from torch import Tensor

REPLAY = REPLAYS["gated_delta"]
HEADS = 2
WIDTHS = (16, 32, 64, 128)
AGES = (0, 2, 8, 16, 31)
WINDOWS = (8, 16)
WINDOW_OF = {f"write-back every {window}": window for window in WINDOWS}
# Dense states of a tile: 8 MiB.
TILE_FLOATS = 2**21
FLOAT = 4
Work = Callable[[Tensor], None]


@dataclass(frozen=True)
class Row:
    """One measurement of one core. `bytes`: what a step of an agent moves, counted; `ratio`: to the dense rate."""

    heads: str
    contestant: str
    per_second: float
    bytes: float
    ratio: float


def dense_bytes(width: int) -> float:
    return 2.0 * FLOAT * HEADS * width * width


def factor_bytes(width: int) -> int:
    """A key, an update and a decay of each head."""
    return FLOAT * HEADS * (2 * width + 1)


def replay_bytes(width: int, age: int) -> float:
    return factor_bytes(width) * (age + 1.0)


def write_back_bytes(width: int, window: int) -> float:
    """The mean over a window: a state read each step; at its end read and written; the factors read by those after."""
    states = dense_bytes(width) / 2 * (1 + 2 / window)
    return states + factor_bytes(width) * (1 + (window - 1) / 2 + 1)


def draw_tokens(agents: int, width: int) -> list[Tensor]:
    q, k, v = torch.randn(3, agents, HEADS, width)
    log_decay, beta = torch.rand(2, agents, HEADS)
    return [q, k, v, log_decay.log(), beta]


def aged(agents: int, width: int, age: int, window: int) -> Factors:
    """Slots that each have so many factors."""
    factors = REPLAY.empty(agents, window, H=HEADS, K=width, V=width)
    for buffer in factors.tensors[:3]:
        buffer.uniform_()
    factors.count_A.fill_(age)
    return factors


def step_at(age: int, factors: Factors, tokens: list[Tensor], bases: Tensor | None, tile: Tensor) -> None:
    """A step of agents of that age, who stay so."""
    base = None if bases is None else Base(bases, torch.zeros_like(tile))
    REPLAY.step(factors, tokens, tile, base)
    factors.count_A[tile] = age


def step_and_write_back(factors: Factors, tokens: list[Tensor], pool: Tensor, tile: Tensor) -> None:
    """A step of agents who have their own bases; those whose window is full are written back."""
    base = Base(pool, tile, shared=False)
    REPLAY.step(factors, tokens, tile, base)
    if int(factors.count_A[tile[0]]) == factors.window:
        REPLAY.densify(factors, tile, pool, tile, base)


def step_dense(tokens: list[Tensor], pool: Tensor, tile: Tensor) -> None:
    REPLAY.rule.step(pool, tokens, tile, tile)


def multiply(pool: Tensor, tile: Tensor) -> None:
    pool[int(tile[0]) : int(tile[-1]) + 1].mul_(1.0)


def seconds_a_tile(contestants: dict[str, Work], tiles: Sequence[Tensor], budget_seconds: float) -> dict[str, float]:
    """The processor's time for a tile: the median, but the mean of what differs from tile to tile."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    begun, rounds = time.perf_counter(), 0
    while rounds < 2 * max(WINDOWS) or time.perf_counter() - begun < budget_seconds:
        for name, work in contestants.items():
            for tile in tiles:
                start = time.thread_time()
                work(tile)
                taken[name].append(time.thread_time() - start)
        rounds += 1
    return {name: typical(times, len(tiles), WINDOW_OF.get(name, 1)) for name, times in taken.items()}


def typical(times: list[float], tiles: int, window: int) -> float:
    """The median of a step's time; over a window, the mean of the medians of its steps."""
    rounds = torch.tensor(times).view(-1, tiles)
    phases = [rounds[phase::window].flatten().median() for phase in range(window)]
    return float(torch.stack(phases).mean())


def check(width: int) -> None:
    """Replay, shared and own, and the page it ends in against the dense truth in float64, on a few shuffled slots."""
    slots, start = torch.randperm(9)[:7], torch.randn(1, HEADS, width * width)
    here, pool = torch.arange(7), start.repeat(7, 1, 1)
    for base in (Base(start, here * 0), Base(pool, here, shared=False)):
        truth, factors = start.double().repeat(7, 1, 1), REPLAY.empty(9, 5, H=HEADS, K=width, V=width)
        for _ in range(5):
            tokens = draw_tokens(7, width)
            y_true = REPLAY.rule.step(truth, [x.double() for x in tokens], here, here, backend="naive")
            torch.testing.assert_close(REPLAY.step(factors, tokens, slots, base).double(), y_true, rtol=1e-3, atol=1e-4)
        REPLAY.densify(factors, slots, pool, here, base)
        torch.testing.assert_close(pool.double(), truth, rtol=1e-3, atol=1e-4)
        pool.copy_(start)


def measure(width: int, megabytes: int, budget_seconds: float) -> list[Row]:
    check(width)
    rows = TILE_FLOATS // (HEADS * width * width)
    agents = megabytes * 2**18 // TILE_FLOATS * rows
    tiles = torch.split(torch.arange(agents), rows)
    pool, tokens = empty_pages(agents, HEADS, width * width).normal_(), draw_tokens(rows, width)
    bases = torch.randn(1, HEADS, width * width)
    contestants: dict[str, Work] = {"in place": partial(multiply, pool), "dense": partial(step_dense, tokens, pool)}
    counted = {"in place": dense_bytes(width), "dense": dense_bytes(width)}
    for age in AGES:
        factors, name = aged(agents, width, age, age + 1), f"replay, age {age}"
        contestants[name], counted[name] = partial(step_at, age, factors, tokens, bases), replay_bytes(width, age)
    newborn = aged(agents, width, 0, 1)
    contestants["newborn, no base"] = partial(step_at, 0, newborn, tokens, None)
    counted["newborn, no base"] = replay_bytes(width, 0)
    for name, window in WINDOW_OF.items():
        contestants[name] = partial(step_and_write_back, aged(agents, width, 0, window), tokens, pool)
        counted[name] = write_back_bytes(width, window)
    seconds = seconds_a_tile(contestants, tiles, budget_seconds)
    heads = f"{HEADS} heads of {width}×{width}"
    return [Row(heads, name, rows / seconds[name], counted[name], seconds["dense"] / seconds[name]) for name in counted]


def show(rows: list[Row]) -> None:
    table = Table("", "", "agent-steps/s", "bytes a step", "of dense", title=machine(), min_width=100)
    for row in rows:
        figures = f"{row.per_second:,.0f}", f"{row.bytes:,.0f}", f"{row.ratio:.2f}"
        table.add_row(row.heads, row.contestant, *figures)
    Console(width=120).print(table)


@click.command()
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the rows here, too.")
@click.option("--megabytes", default=128, show_default=True, help="Dense states of the agents measured.")
@click.option("--seconds", default=6.0, show_default=True, help="How long each width is measured.")
def main(json_path: Path | None, megabytes: int, seconds: float) -> None:
    """Measure replay of the gated delta rule."""
    use_one_core()
    rows: list[Row] = []
    for width in WIDTHS:
        rows += measure(width, megabytes, seconds)
    show(rows)
    if json_path:
        write_json(json_path, "replay", [asdict(row) for row in rows])


if __name__ == "__main__":
    main()

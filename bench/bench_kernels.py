"""Fast-weight kernels on the CPU: the serving step against the memory bandwidth, the training scan against its peers.

The step can at best read and write every state once. Its bar is what the machine does when it reads, modifies and
writes the same memory in place (`x.mul_(1)`), measured in turn with it; its peer is the same step in plain torch:
gather, batched products, scatter. B rows, T time, H heads, D channels of keys and of values, N pages, L layers.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
import torch
from common import copy, machine, read_modify_write, seconds_in_turn, write_json
from plures_kernels import RULES
from plures_kernels.memory import empty_pages
from plures_kernels.threads import use_one_core
from rich.console import Console
from rich.table import Table
from torch import Tensor

RULE = RULES["gated_delta"]
HEADS = 2
WIDTHS = (16, 32, 64, 128)
SCAN_TOKENS = 256
SCAN_WIDTHS = (16, 32)
# The demo's student: a page of 4 KiB.
DEMO_LAYERS, DEMO_WIDTH = 2, 16
TILES = (1024, 4096)
Contestants = dict[str, Callable[[], object]]


@dataclass(frozen=True)
class Row:
    """One measurement. `per_second`: agent-steps for a step, tokens of one sequence for a scan.

    `gigabytes_per_second` counts each state once read and once written; `share` is of the in-place bandwidth.
    """

    what: str
    contestant: str
    per_second: float
    gigabytes_per_second: float = 0.0
    share: float = 0.0


class Tokens(NamedTuple):
    """One token a row, or a sequence of tokens a row."""

    q: Tensor
    k: Tensor
    v: Tensor
    log_decay: Tensor
    beta: Tensor

    def each(self, change: Callable[[Tensor], Tensor]) -> "Tokens":
        return Tokens(*map(change, self))


def draw_tokens(*leading: int, width: int) -> Tokens:
    q, k, v = torch.randn(3, *leading, HEADS, width)
    log_decay, beta = torch.rand(2, *leading, HEADS)
    return Tokens(q, k, v, log_decay.log(), beta)


def torch_step(pool_NHS: Tensor, tokens: Tokens, slots_B: Tensor) -> Tensor:
    """The peer: plain torch, in place wherever that is possible."""
    pool_NHVK = pool_NHS.view(*pool_NHS.shape[:2], tokens.v.size(-1), tokens.k.size(-1))
    q, k, v, log_decay, beta = (x.flatten(0, 1)[..., None] for x in tokens)
    q, k = (x * torch.rsqrt(x.square().sum(1, keepdim=True) + 1e-6) for x in (q, k))
    gathered = pool_NHVK.index_select(0, slots_B)
    state = gathered.flatten(0, 1)
    state *= log_decay.exp()[..., None]
    state.baddbmm_(beta[..., None] * (v - state @ k), k.mT)
    pool_NHVK.index_copy_(0, slots_B, gathered)
    return (state @ q).view(tokens.v.shape)


def our_step(pool_NHS: Tensor, tokens: Tokens, slots_B: Tensor) -> Tensor:
    return RULE.step(pool_NHS, tokens, slots_B, slots_B)


def check_steps(width: int) -> None:
    """Both steps against the truth in float64, on a few shuffled rows."""
    tokens, slots = draw_tokens(50, width=width), torch.randperm(60)[:50]
    start = torch.randn(60, HEADS, width * width)
    truth = start.double()
    y_true = RULE.step(truth, tokens.each(Tensor.double), slots, slots, backend="naive")
    for step in (our_step, torch_step):
        pool = start.clone()
        torch.testing.assert_close(step(pool, tokens, slots).double(), y_true, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(pool.double(), truth, rtol=1e-3, atol=1e-4)


def measure_bandwidth(megabytes: int) -> list[Row]:
    buffer = empty_pages(megabytes * 2**18).normal_()
    seconds = seconds_in_turn({"in place": read_modify_write(buffer), "copy": copy(buffer)})
    moved = {"in place": 2 * buffer.nbytes, "copy": buffer.nbytes}
    return [Row("bandwidth", name, 0.0, moved[name] / seconds[name] / 1e9) for name in seconds]


def measure_step(width: int, megabytes: int) -> list[Row]:
    """All agents of a pool of one layer once, in the order of their pages."""
    check_steps(width)
    agents = megabytes * 2**18 // (HEADS * width * width)
    pool, slots = empty_pages(agents, HEADS, width * width).normal_(), torch.arange(agents)
    tokens = draw_tokens(agents, width=width)
    contestants: Contestants = {
        "in place": read_modify_write(pool),
        "plures": partial(our_step, pool, tokens, slots),
        "torch": partial(torch_step, pool, tokens, slots),
    }
    return step_rows(f"step, {HEADS} heads of {width}×{width}", pool, agents, contestants)


def measure_demo(agents: int, tile: int, shuffled: bool) -> list[Row]:
    """Both layers of every agent of the demo as the engine steps them: tile by tile, one thread a core."""
    pages = empty_pages(agents, DEMO_LAYERS, HEADS, DEMO_WIDTH * DEMO_WIDTH).normal_()
    slots = torch.randperm(agents) if shuffled else torch.arange(agents)
    tokens = draw_tokens(tile, width=DEMO_WIDTH)

    def step_tile(tile_slots: Tensor) -> None:
        for layer in range(DEMO_LAYERS):
            our_step(pages[:, layer], tokens.each(lambda x: x[: len(tile_slots)]), tile_slots)

    def multiply_tile(tile_slots: Tensor) -> None:
        first = int(tile_slots[0])
        for layer in range(DEMO_LAYERS):
            pages[first : first + len(tile_slots), layer].mul_(1.0)

    order = "shuffled" if shuffled else "in order"
    what = f"pages of {pages[0].nbytes // 1024} KiB {order}, tiles of {tile:,}"
    with ThreadPoolExecutor(torch.get_num_threads(), initializer=use_one_core) as crew:
        tick = partial(each_tile, crew, torch.split(slots, tile))
        contestants: Contestants = {"in place": read_modify_write(pages), "plures": partial(tick, step_tile)}
        if not shuffled:
            contestants["in place by tile and layer"] = partial(tick, multiply_tile)
        return step_rows(what, pages, agents, contestants)


def each_tile(crew: ThreadPoolExecutor, tiles: Sequence[Tensor], work: Callable[[Tensor], None]) -> None:
    for _ in crew.map(work, tiles):
        pass


def step_rows(what: str, states: Tensor, agents: int, contestants: Contestants) -> list[Row]:
    seconds = seconds_in_turn(contestants)
    return [
        Row(what, name, agents / taken, 2 * states.nbytes / taken / 1e9, seconds["in place"] / taken)
        for name, taken in seconds.items()
        if name != "in place"
    ]


def measure_scan(width: int, sequences: int) -> list[Row]:
    """Forward and backward of whole sequences."""
    tokens = draw_tokens(sequences, SCAN_TOKENS, width=width).each(Tensor.requires_grad_)
    truth = RULE.scan(tokens.each(Tensor.double), backend="naive")[0]

    def run(backend: str) -> None:
        y, last = RULE.scan(tokens, backend=backend)
        torch.autograd.backward((y, last), (torch.ones_like(y), torch.ones_like(last)))

    for backend in RULE.scans:
        y = RULE.scan(tokens, backend=backend)[0]
        torch.testing.assert_close(y.double(), truth, rtol=1e-3, atol=1e-4)
    seconds = seconds_in_turn({name: partial(run, name) for name in RULE.scans})
    what = f"scan and backward, {sequences} × {SCAN_TOKENS} tokens, {HEADS} heads of {width}×{width}"
    return [Row(what, name, sequences * SCAN_TOKENS / taken) for name, taken in seconds.items()]


def show(rows: list[Row]) -> None:
    """A figure that was not measured stays blank."""
    table = Table("", "", "agent-steps or tokens/s", "state GB/s", "of in place", title=machine(), min_width=100)
    for row in rows:
        figures = (row.per_second, "{:,.0f}"), (row.gigabytes_per_second, "{:.1f}"), (row.share, "{:.0%}")
        table.add_row(row.what, row.contestant, *(form.format(figure) if figure else "" for figure, form in figures))
    Console(width=120).print(table)


@click.command()
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the rows here, too.")
@click.option("--megabytes", default=256, show_default=True, help="States in a measurement; far more than the caches.")
@click.option("--agents", default=65_536, show_default=True, help="Agents of the demo's student: 4 KiB each.")
def main(json_path: Path | None, megabytes: int, agents: int) -> None:
    """Measure the kernels of the gated delta rule."""
    rows = measure_bandwidth(megabytes)
    for width in WIDTHS:
        rows += measure_step(width, megabytes)
    for tile in TILES:
        rows += measure_demo(agents, tile, shuffled=False) + measure_demo(agents, tile, shuffled=True)
    for width in SCAN_WIDTHS:
        rows += measure_scan(width, sequences=8)
    show(rows)
    if json_path:
        write_json(json_path, "kernels", [asdict(row) for row in rows])


if __name__ == "__main__":
    main()

"""The rules whose memory is a matrix or two a head, on the CPU: each step by the bandwidth, each scan by its loop.

A step can at best read and write every state once, as multiplying the pool in place does, in turn with it; it must read
its tokens and write what they recall as well, which is an eighth more where states are short. Its peer is the rule's
own `advance` in plain torch, between a gather and a scatter. A scan's peer is the loop over tokens; what is kept is
what its forward keeps for the backward.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from operator import truediv
from pathlib import Path
from statistics import median

import click
import torch
from common import machine, read_modify_write, rounds_in_turn, seconds_in_turn, write_json
from counting import extents
from plures_kernels import RULES, Input, Kind, Rule
from plures_kernels import plain as loop
from plures_kernels.memory import empty_pages
from torch import Tensor

NAMES = ("hebbian", "delta", "gated_delta", "kda", "delta_product", "momentum", "ttt_linear", "ttt_mlp")
HEADS, TOKENS, SEQUENCES, SCAN_WIDTH = 2, 256, 8, 16
MIB = 2**20


@dataclass(frozen=True)
class Row:
    """`per_second`: agent-steps or tokens. `kept_mib`: of a scan.

    `share`: of the in-place bandwidth, by the bytes of the states, the median over rounds: a machine whose bandwidth
    changes meanwhile would lend one of the two a better moment. `share_moved`: by those of tokens and outputs, too.
    """

    rule: str
    what: str
    contestant: str
    per_second: float
    share: float = 0.0
    share_moved: float = 0.0
    kept_mib: float = 0.0


def draw(rule: Rule, *leading: int, width: int) -> list[Tensor]:
    known = extents(width, HEADS)
    return [_draw(inp, leading, [known[axis] for axis in inp.axes]) for inp in rule.spec.inputs]


def _draw(inp: Input, leading: tuple[int, ...], shape: list[int]) -> Tensor:
    if inp.kind is Kind.WEIGHT:
        return inp.initialize(torch.empty(shape))
    if inp.kind in (Kind.LOG_DECAY, Kind.RATE):
        rate = torch.rand(*leading, *shape)
        return rate.log() if inp.kind is Kind.LOG_DECAY else rate
    return torch.randn(*leading, *shape)


def measure_step(name: str, width: int, megabytes: int) -> list[Row]:
    rule = RULES[name]
    floats = rule.spec.state_floats(extents(width, HEADS))
    agents = megabytes * 2**18 // (HEADS * floats)
    pool, slots = empty_pages(agents, HEADS, floats).normal_(), torch.arange(agents)
    inputs = draw(rule, agents, width=width)
    steps: dict[str, Callable[[Tensor], Tensor]] = {
        "plures": lambda pages: rule.step(pages, inputs, slots, slots),
        "torch": lambda pages: loop.step(rule.spec, rule.advance, pages, inputs, slots, slots, None, True),
    }
    y_true = steps["torch"](pool.clone())
    for step in steps.values():
        torch.testing.assert_close(step(pool.clone()), y_true, rtol=1e-3, atol=1e-3)
    rounds = {}
    for key, step in steps.items():  # Each with the bandwidth alone: the slow one would leave few rounds to the other.
        rounds[key] = rounds_in_turn({"in place": read_modify_write(pool), "step": partial(step, pool)})
    what = f"step, {HEADS} heads of {width}×{width}"
    told = sum(x.nbytes for x in inputs if x.shape[:1] == (agents,)) + y_true.nbytes
    shares = {key: median(map(truediv, taken["in place"], taken["step"])) for key, taken in rounds.items()}
    return [
        Row(name, what, key, agents / min(rounds[key]["step"]), share, share * (1 + told / (2 * pool.nbytes)))
        for key, share in shares.items()
    ]


def measure_scan(name: str, width: int) -> list[Row]:
    rule = RULES[name]
    inputs = [x.requires_grad_() for x in draw(rule, SEQUENCES, TOKENS, width=width)]
    truth = rule.scan([x.double() for x in inputs], backend="naive")[0]

    def run(backend: str) -> None:
        y, last = rule.scan(inputs, backend=backend)
        torch.autograd.backward((y, last), (torch.ones_like(y), torch.ones_like(last)))

    for backend in rule.scans:
        torch.testing.assert_close(rule.scan(inputs, backend=backend)[0].double(), truth, rtol=1e-3, atol=1e-3)
    kept = {backend: kept_bytes(partial(rule.scan, inputs, backend=backend)) / MIB for backend in rule.scans}
    seconds = seconds_in_turn({backend: partial(run, backend) for backend in rule.scans})
    what = f"scan and backward, {SEQUENCES} × {TOKENS} tokens, {HEADS} heads of {width}×{width}"
    rows = SEQUENCES * TOKENS
    return [Row(name, what, key, rows / taken, kept_mib=kept[key]) for key, taken in seconds.items()]


def kept_bytes(forward: Callable[[], object]) -> int:
    """The bytes of all memory that a forward keeps for its backward, each place once."""
    found: dict[int, int] = {}

    def keep(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        result = forward()
    del result
    return sum(found.values())


def measure(name: str, widths: Iterable[int], megabytes: int) -> Iterator[list[Row]]:
    for width in widths:
        yield measure_step(name, width, megabytes)
    yield measure_scan(name, SCAN_WIDTH)


def line(row: Row) -> str:
    forms = (row.share, "0%"), (row.share_moved, "0%"), (row.kept_mib, "1f")
    share, moved, kept = (f"{x:.{digits}}" if x else "" for x, digits in forms)
    return f"| {row.rule} | {row.what} | {row.contestant} | {row.per_second:,.0f} | {share} | {moved} | {kept} |"


@click.command()
@click.option("--rule", "names", multiple=True, type=click.Choice(NAMES), help="These alone.")
@click.option("--width", "widths", multiple=True, type=int, default=(16, 32, 64, 128), show_default=True)
@click.option("--megabytes", default=256, show_default=True, help="States in a measurement; far more than the caches.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the rows here, too.")
def main(names: tuple[str, ...], widths: tuple[int, ...], megabytes: int, json_path: Path | None) -> None:
    """Measure the matrix rules; what does not agree with the truth is not timed."""
    click.echo(f"{machine()}\n\n| rule | | | a second | of in place | with tokens | kept, MiB |\n{'|---' * 7}|")
    rows: list[Row] = []
    for name in names or NAMES:
        for measured in measure(name, widths, megabytes):
            for row in measured:
                click.echo(line(row))
            rows += measured
    if json_path:
        write_json(json_path, "matrix", [asdict(row) for row in rows])


if __name__ == "__main__":
    main()

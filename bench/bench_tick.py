"""A tick at full size against its floor: what moving the states and multiplying the slow weights must take.

The floor is memory plus products, one after the other: each state read and written once at the bandwidth that memory
is multiplied in place with, and the products of all slow weights at the rate that a large product reaches, both
measured in turn with the tick, on the same cores. `overlapped` is the larger of the two: what is left when one hides
the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click
import torch
from bench_peers import student_of
from common import machine, read_modify_write, write_json
from plures_client.bench.spread import Spread, seconds
from plures_kernels.memory import empty_pages
from plures_students.fused import Step, fused
from plures_students.model import Inputs, Student
from rich.console import Console
from rich.table import Table
from ticking import ticking
from torch import Tensor, nn

REPEATS = 7
PRODUCT = 1024
BUFFER_FLOATS = 2**27
"""512 MiB: far more than the caches."""
WARM_TICKS = 2
TILE = 4096


@dataclass(frozen=True)
class Row:
    """One thing done for every agent once: µs an agent, all cores at work."""

    what: str
    agents: int
    us: Spread


def flops(student: Student) -> int:
    """A multiplication and an addition for each weight that an agent's step multiplies by."""
    return 2 * sum(module.weight.numel() for module in student.modules() if isinstance(module, nn.Linear))


def in_turn(works: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Spread]:
    """The seconds of each, taking turns, so that all meet the same neighbours; after rounds that do not count."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(WARM_TICKS + repeats):
        for name, work in works.items():
            spent = seconds(work)
            if turn >= WARM_TICKS:
                taken[name].append(spent)
    return {name: Spread.of(samples) for name, samples in taken.items()}


def measure(student: Student, agents: int, repeats: int) -> list[Row]:
    """The tick, its parts, and its floor."""
    buffer, (a, b) = empty_pages(BUFFER_FLOATS).normal_(), torch.randn(2, PRODUCT, PRODUCT)
    with ticking(student, agents) as each:
        works = {"tick": each.tick, **each.parts(), "memory": read_modify_write(buffer), "product": lambda: a @ b}
        taken = in_turn(works, repeats)
    page_bytes = 4 * student.config.page_floats
    of_memory = taken.pop("memory").divided(2 * buffer.nbytes / (2 * page_bytes * agents))
    of_products = taken.pop("product").divided(2 * PRODUCT**3 / (flops(student) * agents))
    floors = {
        "floor: states moved": of_memory, "floor: slow weights multiplied": of_products,
        "floor: both": _each(of_memory, of_products, lambda x, y: x + y),
        "floor: overlapped": _each(of_memory, of_products, max),
    }  # fmt: skip
    return [Row(name, agents, spread.divided(agents * 1e-6)) for name, spread in {**taken, **floors}.items()]


def _each(a: Spread, b: Spread, both: Callable[[float, float], float]) -> Spread:
    return Spread.of([both(x, y) for x, y in zip(a.samples, b.samples, strict=True)])


def huge_pages(student: Student, agents: int, repeats: int) -> list[Row]:
    """The network's step in tiles of rows in random order: states in huge pages of address space, and not."""
    floats = student.config.page_floats
    pools = {"states in huge pages": empty_pages(agents, floats), "states in small pages": torch.empty(agents, floats)}
    step, order = fused(student), torch.randperm(agents)
    works = {name: partial(_step_all, step, pages.normal_(), order) for name, pages in pools.items()}
    return [Row(name, agents, taken.divided(agents * 1e-6)) for name, taken in in_turn(works, repeats).items()]


def _step_all(step: Step, pages: Tensor, order: Tensor) -> None:
    for first in range(0, len(order), TILE):
        slots = order[first : first + TILE]
        zeros = torch.zeros(len(slots))
        step(pages, slots, slots, Inputs(zeros.int(), zeros.int(), zeros, zeros))


def summary(rows: list[Row]) -> dict[str, float]:
    """The tick over its floor; agent-steps a second."""
    us = {row.what: row.us.median for row in rows}
    return {
        "over_floor": us["tick"] / us["floor: both"], "over_overlapped": us["tick"] / us["floor: overlapped"],
        "steps_per_second": 1e6 / us["tick"],
        "huge_pages_gain": us["states in small pages"] / us["states in huge pages"],
    }  # fmt: skip


@click.command()
@click.option("--agents", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option("--repeats", type=click.IntRange(2), default=REPEATS, show_default=True)
@click.option(
    "--student", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A checkpoint."
)
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(agents: int, repeats: int, folder: Path | None, json_path: Path | None) -> None:
    """Measure a tick, its parts and its floor."""
    student = student_of(folder)
    rows = [*measure(student, agents, repeats), *huge_pages(student, min(agents, 250_000), repeats)]
    table = Table("", "agents", "µs an agent", "± %", title=machine())
    for row in rows:
        table.add_row(row.what, f"{row.agents:,}", f"{row.us.median:.3f}", f"{row.us.percent:.0f}")
    Console(width=120).print(table)
    found = summary(rows)
    click.echo("; ".join(f"{name} {value:,.2f}" for name, value in found.items()))
    if json_path:
        times = {f"{row.what}, {row.agents:,} agents, µs an agent": asdict(row.us) for row in rows}
        write_json(json_path, "tick", [asdict(row) for row in rows], headline=found, measurements=times)


if __name__ == "__main__":
    main()

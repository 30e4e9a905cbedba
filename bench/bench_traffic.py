"""What smaller states cost in likeness: held-out likelihood by the bytes that a step moves.

Students with one, two and four heads a layer learn from four fifths of the people of a shipped data set, all as long.
Each then lives the other people's lives a step at a time, as when it is served, with states of float32, and of bfloat16
rounded to the nearest and by chance.

B lives, T steps, I inputs, D width, N pages, L layers, H heads, S floats of a head's state, A actions.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import torch
from common import machine, write_json
from gymnasium.spaces import Discrete
from plures_kernels import counter
from plures_students.config import StudentConfig
from plures_students.imitate import ImitationSettings
from plures_students.imitate.histories import Histories
from plures_students.imitate.likelihood import nll
from plures_students.imitate.trainer import Trainer
from plures_students.lives import Lives, copy_shipped, read_lives, split
from plures_students.model import Student
from plures_students.threads import threads
from rich.console import Console
from rich.table import Table
from torch import Tensor

DATA = "dezfouli2019_bandit"
HEADS = (1, 2, 4)
NOISE_STREAM = 7

# states' dtype, and whether they are rounded by chance
STATES = {"fp32": (torch.float32, False), "bf16": (torch.bfloat16, False), "bf16, by chance": (torch.bfloat16, True)}


@dataclass(frozen=True)
class Row:
    """`nll`: nats a choice of lives that were not learned from; `error`: the standard error over lives of its
    difference to the same student's with states of float32.
    """

    heads: int
    state: str
    bytes_a_step: int
    nll: float
    likelihood: float
    error: float


@torch.inference_mode()
def lived(student: Student, histories: Histories, dtype: torch.dtype, by_chance: bool) -> np.ndarray:
    """Negative log-likelihoods [N] of the choices of whole lives, stepped with states of this dtype."""
    offsets = histories.lives.offsets
    batch = histories.batch(offsets[:-1], offsets[1:])
    encoded_BTI = student.encode(batch.inputs)
    pool_NLHS = torch.zeros(len(encoded_BTI), *student.config.state_shape, dtype=dtype)
    seed_B = torch.arange(len(encoded_BTI))
    logits_TBA = []
    for t in range(encoded_BTI.size(1)):
        noise_B = counter.bits(seed_B, t, NOISE_STREAM) if by_chance else None
        logits_TBA.append(_step(student, pool_NLHS, encoded_BTI[:, t], noise_B))
    log_prob_BTA = torch.stack(logits_TBA, dim=1).double().log_softmax(-1)
    return nll(log_prob_BTA[batch.real_BT].numpy(), histories.lives.action_N)


def _step(student: Student, pool_NLHS: Tensor, encoded_BI: Tensor, noise_B: Tensor | None) -> Tensor:
    """As `Student.step`, of lives that each have their own page; each layer is rounded by noise of its own."""
    x_BD, slots_B = student.embed(encoded_BI), torch.arange(len(encoded_BI))
    for layer, (memory, mlp) in enumerate(zip(student.memories, student.mlps, strict=True)):
        noise = None if noise_B is None else counter.bits(noise_B, layer)
        inputs = memory.inputs(x_BD)  # type: ignore[operator]
        y_BHV = memory.rule.step(pool_NLHS[:, layer], inputs, slots_B, slots_B, noise_B=noise)  # type: ignore[union-attr, operator]
        x_BD = x_BD + memory.merge(y_BHV.flatten(-2))  # type: ignore[operator]
        x_BD = x_BD + mlp(x_BD)
    logits_BA: Tensor = student.head(student.norm(x_BD))
    return logits_BA


def rows_of(student: Student, test: Lives) -> Iterator[Row]:
    """One student with each kind of state."""
    histories = Histories(test)
    by_life: dict[str, np.ndarray] = {}
    for state, (dtype, by_chance) in STATES.items():
        values_N = lived(student, histories, dtype, by_chance)
        by_life[state] = np.add.reduceat(values_N, test.offsets[:-1]) / test.lengths
        worse_L = by_life[state] - by_life["fp32"]
        error = float(worse_L.std(ddof=1) / np.sqrt(len(worse_L)))
        moved, mean = 2 * student.config.page_floats * dtype.itemsize, float(values_N.mean())
        yield Row(student.config.heads, state, moved, mean, float(np.exp(-mean)), error)


def trained(train: Lives, heads: int, steps: int, note: Callable[[str], None]) -> Student:
    """The best student of so many heads after so many steps of descent."""
    assert isinstance(train.card.action_space, Discrete)
    config = StudentConfig(train.card.observation_space, train.card.action_space, heads=heads)
    trainer = Trainer(config, ImitationSettings(steps=steps, relabel=True), *split(train, 0.9, seed=0))
    while trainer.progress < 1:
        trainer.advance()
    trainer.validate()
    note(f"{heads} heads: {trainer.course.seconds:.0f} s")
    return trainer.best.eval().requires_grad_(False)


def show(rows: list[Row]) -> None:
    table = Table("heads", "states", "bytes a step", "nats a choice", "± to fp32", "likelihood", title=machine())
    for row in rows:
        figures = f"{row.nll:.4f}", f"{row.error:.4f}", f"{row.likelihood:.4f}"
        table.add_row(str(row.heads), row.state, f"{row.bytes_a_step:,}", *figures)
    Console(width=110).print(table)


@click.command()
@click.option("--steps", type=click.IntRange(1), default=300, show_default=True, help="Of descent, each student.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(steps: int, json_path: Path | None) -> None:
    """Train students of several sizes, and measure each with several kinds of states."""
    with TemporaryDirectory() as folder, threads(1):
        copy_shipped(DATA, Path(folder, "lives"))
        train, test = split(read_lives(Path(folder, "lives")), 0.8, seed=0)
        students = [trained(train, heads, steps, lambda words: click.echo(words, err=True)) for heads in HEADS]
        rows = [row for student in students for row in rows_of(student, test)]
    show(rows)
    if json_path:
        write_json(json_path, "traffic", [asdict(row) for row in rows], steps_of_descent=steps, data=DATA)


if __name__ == "__main__":
    main()

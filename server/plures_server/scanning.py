"""Many steps of one agent at once, by the student's scan, in pieces whose bits are those of single steps.

Shapes: T steps, A actions, F floats of a page.
"""

from dataclasses import fields

import torch
from plures_students.model import Inputs, Student
from plures_students.spaces import dtype_of
from torch import Tensor

from .students import ServedStudent

MOST_TRIED = 2
"""Sizes of a piece that are tried, from the smallest on: a trial takes as many single steps as the piece has rows."""


def scan(model: Student, state_F: Tensor, inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Logits [T, A] and the state [F] after T steps, inputs [T, …]."""
    before = list(state_F.view(1, *model.config.state_shape).unbind(1))
    logits, after = model(Inputs(*(getattr(inputs, field.name).unsqueeze(0) for field in fields(Inputs))), before)
    return logits[0], torch.stack(after, dim=1).flatten()


def pieces(steps: int, sizes: tuple[int, ...]) -> list[slice]:
    """The first of so many steps in pieces of these sizes, large ones first; what is left is smaller than any."""
    found, first = [], 0
    for size in sorted(sizes, reverse=True):
        while steps - first >= size:
            found.append(slice(first, first + size))
            first += size
    return found


def agreeing(student: ServedStudent, tiles: tuple[int, ...], device: torch.device) -> tuple[int, ...]:
    """The tile sizes in whose number of rows a scan gives the same bits as single steps on this device, by trying.

    None where single steps are taken by another kernel than those that the scan is made of.
    """
    return tuple(rows for rows in tiles[:MOST_TRIED] if _agrees(student, rows, tiles[0], device))


def _agrees(student: ServedStudent, rows: int, tile: int, device: torch.device) -> bool:
    model, generator = student.model, torch.Generator().manual_seed(0)
    state_F = torch.randn(model.config.page_floats, generator=generator).to(device)
    inputs = _some_inputs(model, rows, generator, device)
    scanned = scan(model, state_F, inputs)
    return all(map(torch.equal, scanned, _stepped(student, state_F, inputs, tile)))


def _stepped(student: ServedStudent, state_F: Tensor, inputs: Inputs, tile: int) -> tuple[Tensor, Tensor]:
    """As `scan`, by single steps of the first row of a tile."""
    page, slots = state_F.clone().unsqueeze(0), torch.full((tile,), -1, dtype=torch.int32, device=state_F.device)
    slots[0] = 0
    logits = []
    for t in range(len(inputs.reward)):
        row = (getattr(inputs, field.name)[t : t + 1] for field in fields(Inputs))
        seen = Inputs(*(torch.cat([x, x.new_zeros(tile - 1, *x.shape[1:])]) for x in row))
        logits.append(student.step(page, slots, slots, seen)[0])
    return torch.stack(logits), page[0]


def _some_inputs(model: Student, rows: int, generator: torch.Generator, device: torch.device) -> Inputs:
    space = model.config.observation_space
    inputs = (
        torch.zeros(rows, *(space.shape or ()), dtype=dtype_of(space)),
        torch.randint(model.config.actions, (rows,), generator=generator, dtype=torch.int32),
        torch.randn(rows, generator=generator),
        torch.randint(2, (rows,), generator=generator, dtype=torch.uint8),
    )
    return Inputs(*(x.to(device) for x in inputs))

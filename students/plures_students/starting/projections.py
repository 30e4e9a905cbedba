"""What starts have in common: a student's maps by what they are for. H heads, D width."""

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ..model import Memory, Mlp, Student


def by_name(memory: "Memory", x: Tensor) -> dict[str, Tensor]:
    """Views of what the projection's weight or bias has for each input of the rule: [H, …] and, of a weight, D."""
    pieces = zip(memory.tokens.items(), torch.split(x, memory.widths), strict=True)
    return {inp.name: piece.view(*shape, *x.shape[1:]) for (inp, shape), piece in pieces}


def soften_mlps(student: "Student", share: float) -> None:
    """Let the networks on top say that share of what they would."""
    for mlp in student.mlps:
        down = cast("Mlp", mlp).down
        down.weight.mul_(share)
        down.bias.zero_()

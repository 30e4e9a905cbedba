"""The slow weights of a student as one vector, laid out as the fused step reads them.

A linear map of I inputs to O outputs becomes its biases and then its matrix, [1 + I, O], O filled up with zeros to
whole panels. The gain of the normalisation before it is multiplied into the matrix. Decays and learning rates stand in
panels of their own.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..config import StudentConfig
from ..model import Memory, Mlp, Student

PANEL = 16
"""Outputs that are computed together: one AVX-512 register."""


def padded(outputs: int) -> int:
    """`outputs` filled up to whole panels."""
    return -(-outputs // PANEL) * PANEL


class Extents(NamedTuple):
    """What a fused step is told of a student when it runs; all but `layers` and `heads` are floats of a row."""

    inputs: int
    layers: int
    heads: int
    directions: int
    """Queries, keys and values, filled up to panels; decays and learning rates follow."""
    gates: int
    """All of these, filled up to panels."""
    reads: int
    hidden: int
    actions: int


def extents_of(config: StudentConfig) -> Extents:
    directions = padded(config.heads * (2 * config.key_width + config.value_width))
    return Extents(
        config.input_width, config.layers, config.heads, directions, directions + padded(2 * config.heads),
        config.heads * config.value_width, config.mlp_width, config.actions,
    )  # fmt: skip


@torch.no_grad()
def pack(student: Student) -> Tensor:
    """All slow weights, float32, in the order in which a step needs them."""
    pieces = [_linear(student.embed)]
    for memory, mlp in zip(student.memories, student.mlps, strict=True):
        assert isinstance(memory, Memory)
        assert isinstance(mlp, Mlp)
        pieces += [_gates(memory), _linear(memory.merge), _linear(mlp.up, mlp.norm), _linear(mlp.down)]
    pieces.append(_linear(student.head, student.norm))
    return torch.cat([piece.flatten() for piece in pieces]).float().contiguous()


def _linear(linear: nn.Linear, norm: nn.RMSNorm | None = None) -> Tensor:
    """[1 + I, O], filled up to whole panels."""
    matrix_OI = linear.weight if norm is None else linear.weight * norm.weight
    bias_O = linear.bias if linear.bias is not None else matrix_OI.new_zeros(matrix_OI.size(0))
    return _panels(torch.cat([bias_O[None], matrix_OI.T]))


def _gates(memory: Memory) -> Tensor:
    whole = torch.cat([memory.project.bias[None], (memory.project.weight * memory.norm.weight).T])
    gates = sum(memory.widths[-2:])
    directions, rates = torch.split(whole, [whole.size(1) - gates, gates], dim=1)
    return torch.cat([_panels(directions), _panels(rates)], dim=1)


def _panels(matrix_IO: Tensor) -> Tensor:
    return nn.functional.pad(matrix_IO, (0, padded(matrix_IO.size(1)) - matrix_IO.size(1)))

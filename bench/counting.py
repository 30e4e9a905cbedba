"""What one step of a rule must move and compute, counted from what defines it: its spec and its one-token `advance`.

Bytes: a head's state, read once and written once in the dtype of the pool; the token's inputs and its output, in
float32; two slots of 8 bytes a row, and the row's noise where a state of bfloat16 is rounded by chance. Slow weights
are the same for all rows and stay in the caches; they are not counted.

The context rule's window counts as any state, though only one of its tokens changes.

Flops: one for each number that an elementwise operation makes or a sum takes in, two for each product of a matrix's
entry; the normalisation of keys and queries comes on top. Roots, exponentials and divisions count as one.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from plures_kernels import Kind, Rule
from plures_kernels.norm import unit
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
FLOAT, SLOT = 4, 8
SUMS = (aten.sum, aten.mean)
# The largest, the difference from it, exp, the sum and the quotient.
SOFTMAX_FLOPS = 5
MOVES = (aten._unsafe_view, aten.clone, aten._to_copy, aten.cat, aten.stack, aten.ones_like)


def extents(width: int, heads: int = 1) -> dict[str, int]:
    """Keys and values of one width; two inner steps; a hidden layer four times as wide; a window of 64 tokens."""
    return {"H": heads, "K": width, "V": width, "J": 2, "F": 4 * width, "W": 64}


def page_bytes(rule: Rule, known: Mapping[str, int], dtype: torch.dtype) -> int:
    return known["H"] * rule.spec.state_floats(known) * dtype.itemsize


def step_bytes(rule: Rule, known: Mapping[str, int], dtype: torch.dtype) -> int:
    """What one agent's step must read and write at least."""
    tokens = [inp for inp in rule.spec.inputs if inp.kind is not Kind.WEIGHT]
    numbers = sum(prod(known[axis] for axis in inp.axes) for inp in tokens) + known["H"] * known["V"]
    noise = SLOT if dtype == torch.bfloat16 else 0
    return 2 * page_bytes(rule, known, dtype) + FLOAT * numbers + 2 * SLOT + noise


def step_flops(rule: Rule, known: Mapping[str, int]) -> int:
    """What one agent's step computes."""
    inputs = [_nothing(known, inp.axes, inp.kind is Kind.WEIGHT) for inp in rule.spec.inputs]
    state = torch.empty(1, known["H"], rule.spec.state_floats(known), device="meta")
    with _Flops() as counted:  # type: ignore[no-untyped-call]
        pairs = zip(rule.spec.inputs, inputs, strict=True)
        ready = [unit(x) if inp.kind is Kind.DIRECTION else x for inp, x in pairs]
        rule.advance(rule.spec.split(state, known), *ready)
    return int(counted.flops)


def _nothing(known: Mapping[str, int], axes: str, is_weight: bool) -> Tensor:
    """A tensor of that shape, for one agent, without content."""
    shape = [known[axis] for axis in axes]
    return torch.empty(shape if is_weight else [1, *shape], device="meta")


class _Flops(TorchDispatchMode):  # type: ignore[no-untyped-call]
    flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.flops += _flops(func, args, result)
        return result


def _flops(func: Any, args: Any, result: Any) -> int:
    operation = func.overloadpacket
    if func.is_view or operation in MOVES:
        return 0
    if operation == aten.bmm:
        return 2 * int(result.numel()) * int(args[0].size(-1))
    if operation == aten._softmax:
        return SOFTMAX_FLOPS * int(result.numel())
    if operation in SUMS:
        return int(args[0].numel())
    if torch.Tag.pointwise in func.tags:
        return int(result.numel())
    raise NotImplementedError(f"{func} is not counted yet; say in bench/counting.py what it costs")

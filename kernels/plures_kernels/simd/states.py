"""Heads' states in memory, whatever their entries are: float32, or bfloat16, which is computed on in float32.

A kernel for pools is compiled for one form of them. Its inner functions take a state and need not know the form.
"""

from typing import Any

import torch
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import models, register_model
from torch import Tensor

from .access import EVERY_CACHE, NOT_THE_FIRST, ask_for
from .bfloat16 import INT16, nearest, stochastic, widened
from .blocks import on_values, operation
from .lanes import INT64, vector

FLOAT32 = "float32"
BFLOAT16 = "bfloat16, rounded to the nearest"
NOISY_BFLOAT16 = "bfloat16, rounded by chance"
ENTRY_BYTES = {FLOAT32: 4, BFLOAT16: 2, NOISY_BFLOAT16: 2}


def form_of(pool: Tensor, noise: Tensor | None) -> str:
    """The form of a pool's states, to compile a kernel for."""
    if pool.dtype == torch.float32:
        return FLOAT32
    return BFLOAT16 if noise is None else NOISY_BFLOAT16


class State(types.Type):
    """The numba type of one head's state: where it lies, the number of its first entry in the row, the row's noise."""

    def __init__(self, form: str) -> None:
        self.form = form
        super().__init__(name=f"State({form})")


@register_model(State)
class _StateModel(models.PrimitiveModel):
    def __init__(self, manager: Any, state: State) -> None:
        super().__init__(manager, state, ir.ArrayType(INT64, 3))  # type: ignore[no-untyped-call]


@operation
def state_at(typing: Any, form: Any, pool: Any, page: Any, head: Any, floats: Any, noise: Any) -> Any:
    """`state_at(form, pool_NHS, page, head, floats, noise)`: a state of so many floats; noise: the row's 64 bits.

    The form is a compile-time constant; only that which is rounded by chance looks at the noise.
    """
    state = State(form.literal_value)
    entry_bytes = ir.Constant(INT64, ENTRY_BYTES[state.form])

    def emit(builder: Any, form: Any, pool: Any, page: Any, head: Any, floats: Any, noise: Any) -> Any:
        start, along_pages, along_heads = (builder.extract_value(pool, i) for i in range(3))
        entries = builder.add(builder.mul(page, along_pages), builder.mul(head, along_heads))
        fields = builder.add(start, builder.mul(entries, entry_bytes)), builder.mul(head, floats), noise
        value = ir.Constant(ir.ArrayType(INT64, 3), ir.Undefined)
        for i, field in enumerate(fields):
            value = builder.insert_value(value, field, i)
        return value

    return state(form, pool, types.int64, types.int64, types.int64, types.int64), on_values(emit)


@operation
def load_state(typing: Any, state: Any, entry: Any, like: Any) -> Any:
    """`load_state(state, entry, like)`: the block, shaped as `like`, that begins at an entry."""

    def emit(builder: Any, value: Any, entry: Any, like_value: Any) -> Any:
        return read_state(builder, state, value, entry, like.rows * like.width)

    return like(state, types.int64, like), on_values(emit)


@operation
def store_state(typing: Any, state: Any, entry: Any, block: Any) -> Any:
    """`store_state(state, entry, block)`: the inverse of `load_state`, rounded as the state's form says."""

    def emit(builder: Any, value: Any, entry: Any, block_value: Any) -> None:
        if state.form == BFLOAT16:
            block_value = nearest(builder, block_value)
        if state.form == NOISY_BFLOAT16:
            number = builder.add(builder.extract_value(value, 1), entry)
            block_value = stochastic(builder, block_value, builder.extract_value(value, 2), number)
        pointer = builder.inttoptr(_address(builder, state, value, entry), block_value.type.as_pointer())
        builder.store(block_value, pointer, align=ENTRY_BYTES[state.form])

    return types.void(state, types.int64, block), on_values(emit)


@operation
def prefetch_state(typing: Any, state: Any, entry: Any, like: Any) -> Any:
    """`prefetch_state(state, entry, like)`: ask for what `load_state` would read; any place is safe."""
    return types.void(state, types.int64, like), on_values(_prefetch(state, like, EVERY_CACHE))


@operation
def prefetch_state_far(typing: Any, state: Any, entry: Any, like: Any) -> Any:
    """As `prefetch_state`, but leaves the first-level cache to what is needed now."""
    return types.void(state, types.int64, like), on_values(_prefetch(state, like, NOT_THE_FIRST))


def _prefetch(state: State, like: Any, locality: int) -> Any:
    def emit(builder: Any, value: Any, entry: Any, like_value: Any) -> None:
        size = ENTRY_BYTES[state.form] * like.rows * like.width
        ask_for(builder, _address(builder, state, value, entry), size, locality)

    return emit


def _address(builder: Any, state: State, value: Any, entry: Any) -> Any:
    distance = builder.mul(entry, ir.Constant(INT64, ENTRY_BYTES[state.form]))
    return builder.add(builder.extract_value(value, 0), distance)


def read_state(builder: Any, state: State, value: Any, entry: Any, count: int) -> Any:
    """Code that reads so many floats from an entry on."""
    if state.form == FLOAT32:
        return _read(builder, state, value, entry, vector(count))
    return widened(builder, _read(builder, state, value, entry, ir.VectorType(INT16, count)))


def _read(builder: Any, state: State, value: Any, entry: Any, kind: Any) -> Any:
    pointer = builder.inttoptr(_address(builder, state, value, entry), kind.as_pointer())
    return builder.load(pointer, align=ENTRY_BYTES[state.form])

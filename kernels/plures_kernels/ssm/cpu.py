"""The step of the real-gated linear recurrent unit on the CPU, float32 or bfloat16; rows × heads in parallel.

B rows, H heads, V channels, S floats of a head's state (V as well), N pages; W channels are worked on at a time.
"""

from collections.abc import Callable
from functools import cache
from math import gcd
from typing import Any

import numpy as np
import torch
from numba import int64, njit, prange, void
from torch import Tensor

from ..memory import empty_pages
from ..simd import (
    FLOAT_BYTES,
    at,
    exponential,
    exponential_minus_one,
    fingerprint,
    form_of,
    load,
    load_state,
    plus_product,
    root,
    scaled,
    slot_at,
    state_at,
    store,
    store_state,
    times,
    view,
    view_type,
    width,
    zeros,
)
from ..spec import Inputs
from .naive import most

MOST_CHANNELS = 32
TWO, NEGATIVE = np.float32(2), np.float32(-1)


def step(
    pool_NHS: Tensor, inputs: Inputs, read_B: Tensor, write_B: Tensor, noise_B: Tensor | None, normalize: bool
) -> Tensor:
    """As `Rule.step`: the same bits for a row whatever else is in the batch, and as a scan of one token."""
    *tokens, decay_HV = inputs
    B, H, V = tokens[0].shape
    y_BHV = empty_pages(B, H, V)
    read_B, write_B = read_B.to(torch.int64), write_B.to(torch.int64)
    # Without noise nobody looks at it.
    tensors = pool_NHS, *tokens, most(decay_HV), read_B, write_B, write_B if noise_B is None else noise_B, y_BHV
    step_kernel(form_of(pool_NHS, noise_B), at_once(V))(B, H, V, *map(view, tensors))
    return y_BHV


def at_once(V: int) -> int:
    """W: a power of two that divides V."""
    return gcd(V, MOST_CHANNELS)


@njit
def decayed(recurrence: Any, most: Any) -> Any:
    """a and √(1 − a²), given the gate and the logarithm of the most a channel decays."""
    log_a = times(recurrence, most)
    square = scaled(NEGATIVE, exponential_minus_one(scaled(TWO, log_a)))
    return exponential(log_a), root(square)


@njit
def advance(old: Any, new: Any, x: Any, recurrence: Any, gate: Any, most: Any, y: Any, V: Any, row: Any) -> None:
    """One token of one head, from the state `old` to `new` (they may be one); the others are addresses."""
    for v in range(0, V, width(row)):
        along = v * FLOAT_BYTES
        a, complement = decayed(load(recurrence + along, 0, row), load(most + along, 0, row))
        told = times(load(gate + along, 0, row), load(x + along, 0, row))
        state = plus_product(times(a, load_state(old, v, row)), complement, told)
        store(y + along, 0, state)
        store_state(new, v, state)


@cache
def step_kernel(form: str, W: int) -> Callable[..., None]:
    """The step on pools of that form, compiled for W channels at a time."""
    sources = fingerprint(__file__)
    rows, weights, slots = (view_type(axes) for axes in (3, 2, 1))

    @njit(
        void(int64, int64, int64, rows, rows, rows, rows, weights, slots, slots, slots, rows),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, H: int, V: int, pool_NHS: Any, x_BHV: Any, recurrence_BHV: Any, gate_BHV: Any, most_HV: Any,
        read_B: Any, write_B: Any, noise_B: Any, y_BHV: Any,
    ) -> None:  # fmt: skip
        assert sources
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            read, write = slot_at(read_B, b), slot_at(write_B, b)
            if write < 0:
                for v in range(0, V, W):
                    store(at(y_BHV, b, h, v), 0, zeros(1, W))
                continue
            noise = slot_at(noise_B, b)
            advance(
                state_at(form, pool_NHS, read, h, V, noise), state_at(form, pool_NHS, write, h, V, noise),
                at(x_BHV, b, h), at(recurrence_BHV, b, h), at(gate_BHV, b, h), at(most_HV, h), at(y_BHV, b, h), V,
                zeros(1, W),
            )  # fmt: skip

    return kernel

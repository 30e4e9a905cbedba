"""The step of the gated recurrent unit on the CPU, float32 or bfloat16; rows × heads in parallel.

B rows, H heads, V channels (U: those before), G the three gates, S floats of a head's state (V as well), N pages; R
rows of a matrix are worked on at a time.
"""

from collections.abc import Callable, Sequence
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
    fingerprint,
    form_of,
    height,
    load,
    load_state,
    minus,
    plus_mixed,
    plus_product,
    shifted,
    sigmoid,
    slot_at,
    state_at,
    store,
    store_state,
    tanh,
    times,
    view,
    view_type,
    zeros,
    zeros_like,
)
from ..spec import Inputs

# Floats of a matrix that are worked on at a time.
TILE = 256
ONE = np.float32(1)


def step(
    pool_NHS: Tensor, inputs: Inputs, read_B: Tensor, write_B: Tensor, noise_B: Tensor | None, normalize: bool
) -> Tensor:
    """As `Rule.step`: the same bits for a row whatever else is in the batch, and as a scan of one token."""
    *tokens, bias_HV = *inputs[:3], inputs[6]
    B, H, V = tokens[0].shape
    y_BHV = empty_pages(B, H, V)
    read_B, write_B = read_B.to(torch.int64), write_B.to(torch.int64)
    # Without noise nobody looks at it.
    slots = read_B, write_B, write_B if noise_B is None else noise_B
    tensors = pool_NHS, *tokens, by_channel_before(inputs[3:6]), bias_HV, *slots, y_BHV
    step_kernel(form_of(pool_NHS, noise_B), V, rows_at_a_time(V))(B, H, *map(view, tensors))
    return y_BHV


def by_channel_before(weights: Sequence[Tensor]) -> Tensor:
    """The three matrices such that what one channel of h adds to all of a product lies together."""
    return torch.stack([w_HVU.mT for w_HVU in weights], dim=1)


def rows_at_a_time(V: int) -> int:
    """R: a power of two that divides V."""
    return gcd(V, 1 << (max(1, TILE // V).bit_length() - 1))


@njit
def complement(row: Any) -> Any:
    """1 − row."""
    return shifted(minus(zeros_like(row), row), ONE)


@njit
def gates(
    state: Any, reset: Any, update: Any, candidate: Any, weights: Any, bias: Any, V: Any, row: Any, tile: Any,
    column: Any,
) -> Any:  # fmt: skip
    """r, z, n and W_n h + b; `weights`: the address of a head's W_r, W_z and W_n, by channel before."""
    stride, size = V * FLOAT_BYTES, V * V * FLOAT_BYTES
    r, z, hidden = load(reset, 0, row), load(update, 0, row), load(bias, 0, row)
    for i in range(0, V, height(tile)):
        before, place = load_state(state, i, column), weights + i * stride
        r = plus_mixed(r, before, load(place, stride, tile))
        z = plus_mixed(z, before, load(place + size, stride, tile))
        hidden = plus_mixed(hidden, before, load(place + 2 * size, stride, tile))
    r = sigmoid(r)
    return r, sigmoid(z), tanh(plus_product(load(candidate, 0, row), r, hidden)), hidden


@njit
def mixed(z: Any, n: Any, before: Any) -> Any:
    """The new state."""
    return plus_product(times(complement(z), n), z, before)


@cache
def step_kernel(form: str, V: int, R: int) -> Callable[..., None]:
    """The step on pools of that form, compiled for V channels."""
    sources = fingerprint(__file__)
    rows, weights, biases, slots = (view_type(axes) for axes in (3, 4, 2, 1))

    @njit(
        void(int64, int64, rows, rows, rows, rows, weights, biases, slots, slots, slots, rows),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, H: int, pool_NHS: Any, reset_BHV: Any, update_BHV: Any, candidate_BHV: Any, weights_HGUV: Any,
        bias_HV: Any, read_B: Any, write_B: Any, noise_B: Any, y_BHV: Any,
    ) -> None:  # fmt: skip
        assert sources
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            read, write, row = slot_at(read_B, b), slot_at(write_B, b), zeros(1, V)
            if write < 0:
                store(at(y_BHV, b, h), 0, row)
                continue
            noise = slot_at(noise_B, b)
            state = state_at(form, pool_NHS, read, h, V, noise)
            _, z, n, _ = gates(
                state, at(reset_BHV, b, h), at(update_BHV, b, h), at(candidate_BHV, b, h), at(weights_HGUV, h),
                at(bias_HV, h), V, row, zeros(R, V), zeros(1, R),
            )  # fmt: skip
            new = mixed(z, n, load_state(state, 0, row))
            store(at(y_BHV, b, h), 0, new)
            store_state(state_at(form, pool_NHS, write, h, V, noise), 0, new)

    return kernel

"""The step of linear Titans on the CPU, float32 or bfloat16: one pass over each state, rows × heads in parallel.

B rows, H heads, K key channels, V value channels, S floats of a head's state, N pages; R rows of a state and of its
motion, which follows it, are worked on at a time.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import boolean, int64, njit, prange, void
from torch import Tensor

from ..directions import query_and_key
from ..memory import empty_pages
from ..rows import rows_at_a_time
from ..simd import (
    FLOAT_BYTES,
    at,
    dots,
    fingerprint,
    form_of,
    height,
    load,
    load_scalar,
    load_state,
    minus,
    plus_outer,
    plus_scaled,
    prefetch_state_far,
    scaled,
    slot_at,
    state_at,
    store,
    store_state,
    view,
    view_type,
    zeros,
)
from ..spec import Inputs

# How many heads ahead a state is asked for.
AHEAD = 2


def step(
    pool_NHS: Tensor, inputs: Inputs, read_B: Tensor, write_B: Tensor, noise_B: Tensor | None, normalize: bool
) -> Tensor:
    """As `Rule.step`: the same bits for a row whatever else is in the batch, and as a scan of one token."""
    _, k_BHK, v_BHV, *_ = inputs
    (B, H, V), K = v_BHV.shape, k_BHK.size(-1)
    y_BHV = empty_pages(B, H, V)
    read_B, write_B = read_B.to(torch.int64), write_B.to(torch.int64)
    # Without noise nobody looks at it.
    tensors = pool_NHS, *inputs, read_B, write_B, write_B if noise_B is None else noise_B, y_BHV
    # Few rows at a time, since there are two of each (measured).
    kernel = step_kernel(form_of(pool_NHS, noise_B), K, rows_at_a_time(V, K, 2))
    kernel(B, H, V, normalize, *map(view, tensors))
    return y_BHV


@njit
def gates_at(log_decay: Any, momentum: Any, beta: Any) -> Any:
    """α, η and β, given where they lie."""
    return math.exp(load_scalar(log_decay)), load_scalar(momentum), load_scalar(beta)


@njit
def advance(
    old: Any, new: Any, soon: Any, asks: bool, q: Any, k: Any, v: Any, gates: Any, y: Any, V: Any, K: Any, tile: Any,
    column: Any,
) -> None:  # fmt: skip
    """One token of one head, from the state `old` to `new` (they may be one).

    On the way it asks for the state `soon`, which comes next, if it `asks`.
    """
    alpha, eta, beta = gates
    for i in range(0, V, height(tile)):
        place, motion_place = i * K, (V + i) * K
        if asks:
            prefetch_state_far(soon, place, tile)
            prefetch_state_far(soon, motion_place, tile)
        state = load_state(old, place, tile)
        push = scaled(beta, minus(load(v + i * FLOAT_BYTES, 0, column), dots(state, k)))
        motion = plus_outer(scaled(eta, load_state(old, motion_place, tile)), push, k)
        state = plus_scaled(motion, alpha, state)
        store(y + i * FLOAT_BYTES, 0, dots(state, q))
        store_state(new, place, state)
        store_state(new, motion_place, motion)


@cache
def step_kernel(form: str, K: int, R: int) -> Callable[..., None]:
    """The step on pools of that form, compiled for keys of K channels."""
    sources = fingerprint(__file__)
    rows, gates, slots = (view_type(axes) for axes in (3, 2, 1))

    @njit(
        void(int64, int64, int64, boolean, rows, rows, rows, rows, gates, gates, gates, slots, slots, slots, rows),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, H: int, V: int, normalize: bool, pool_NHS: Any, q_BHK: Any, k_BHK: Any, v_BHV: Any, log_decay_BH: Any,
        momentum_BH: Any, beta_BH: Any, read_B: Any, write_B: Any, noise_B: Any, y_BHV: Any,
    ) -> None:  # fmt: skip
        assert sources
        S = 2 * V * K
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            read, write = slot_at(read_B, b), slot_at(write_B, b)
            if write < 0:
                for i in range(0, V, R):
                    store(at(y_BHV, b, h, i), 0, zeros(1, R))
                continue
            q, k = query_and_key(at(q_BHK, b, h), at(k_BHK, b, h), zeros(1, K), normalize)
            gates_BH = gates_at(at(log_decay_BH, b, h), at(momentum_BH, b, h), at(beta_BH, b, h))
            # Two streams, of states and of motions: even those that follow one another do not come by themselves.
            b_soon, h_soon = divmod(np.int64(min(cell + AHEAD, B * H - 1)), H)
            soon = state_at(form, pool_NHS, slot_at(read_B, b_soon), h_soon, S, 0)
            noise = slot_at(noise_B, b)
            advance(
                state_at(form, pool_NHS, read, h, S, noise), state_at(form, pool_NHS, write, h, S, noise),
                soon, True, q, k, at(v_BHV, b, h), gates_BH,
                at(y_BHV, b, h), V, K, zeros(R, K), zeros(1, R),
            )  # fmt: skip

    return kernel

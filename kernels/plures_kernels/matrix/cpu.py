"""The family's step on the CPU, float32 or bfloat16: one pass over each state, rows × heads in parallel.

B rows, H heads, J inner steps, K key channels, V value channels, S floats of a head's state, N pages; R rows of a state
are worked on at a time.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import boolean, int64, njit, prange, types, void
from torch import Tensor

from ..memory import empty_pages
from ..rows import NEAR, rows_at_a_time
from ..simd import FLOAT_BYTES, at, fingerprint, form_of, reserve, slot_at, state_at, store, view, view_type, zeros
from ..spec import Inputs
from . import token as token_file
from .form import Decay, Form
from .layout import dense_heads, factors, views
from .token import SHORT, advance, room_floats, take

# Heads that a thread takes on at once.
GROUP = 16
# How many heads ahead a state is asked for.
AHEAD = 2


def step(
    form: Form,
    pool_NHS: Tensor,
    inputs: Inputs,
    read_B: Tensor,
    write_B: Tensor,
    noise_B: Tensor | None,
    normalize: bool,
) -> Tensor:
    """As `Rule.step`: the same bits for a row whatever else is in the batch, and as a scan of one token."""
    inputs = dense_heads(form, inputs)
    q_BHK, k_BHJK, v_BHJV, *_ = inputs
    (B, H, K), V, J = q_BHK.shape, v_BHJV.size(-1), k_BHJK.size(2) if form.inner else 1
    y_BHV = empty_pages(B, H, V)
    read_B, write_B = read_B.to(torch.int64), write_B.to(torch.int64)
    kernel = step_kernel(form, form_of(pool_NHS, noise_B), J, K, rows_at_a_time(V, K))
    # Without noise nobody looks at it.
    tensors = pool_NHS, read_B, write_B, write_B if noise_B is None else noise_B, y_BHV
    kernel(B, H, V, normalize, views(form, 1, inputs), *map(view, tensors))
    return y_BHV


@cache
def step_kernel(form: Form, state: str, J: int, K: int, R: int) -> Callable[..., None]:
    """The step on pools of a form of states, compiled for J keys of K channels."""
    sources = fingerprint(__file__, token_file.__file__)
    decays, corrects = form.decay is not Decay.NONE, form.corrects
    D, room = factors(form, K), room_floats(J, K, R)
    # Longer states come by themselves if they follow one another in memory.
    both, short = 2 * room, K <= SHORT
    inputs, rows, slots = types.UniTuple(view_type(2), 5), view_type(3), view_type(1)  # type: ignore[no-untyped-call]

    @njit(
        void(int64, int64, int64, boolean, inputs, rows, slots, slots, slots, rows),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, H: int, V: int, normalize: bool, inputs: Any, pool_NHS: Any, read_B: Any, write_B: Any, noise_B: Any,
        y_BHV: Any,
    ) -> None:  # fmt: skip
        assert sources
        q_BHK, k_BHJK, v_BHJV, log_decay_BHD, beta_BHJ = inputs
        S = V * K
        dense = pool_NHS[1] == H * S
        for group in prange((B * H + GROUP - 1) // GROUP):
            tile, some = zeros(R, K), zeros(1, D)
            first: Any = np.int64(group) * GROUP
            end: Any = min(first + GROUP, B * H)
            parts = q_BHK, k_BHJK, v_BHJV, log_decay_BHD, beta_BHJ
            # Two tokens at a time: one is got ready while the one before it is still being worked on.
            rooms = reserve(both)
            soon = told_at(parts, first, H, rooms, normalize, decays, J, tile, some)
            for cell in range(first, end):
                token = soon
                following = rooms + ((cell - first + 1) & 1) * room * FLOAT_BYTES
                soon = told_at(parts, min(cell + 1, end - 1), H, following, normalize, decays, J, tile, some)
                b, h = divmod(cell, H)
                read, write = slot_at(read_B, b), slot_at(write_B, b)
                if write < 0:
                    for i in range(0, V, R):
                        store(at(y_BHV, b, h, i), 0, zeros(1, R))
                    continue
                b_ahead, h_ahead = divmod(min(cell + AHEAD, B * H - 1), H)
                ahead = slot_at(read_B, b_ahead)
                asks = short or (S <= NEAR and not (dense and ahead == read + b_ahead - b))
                noise = slot_at(noise_B, b)
                advance(
                    token, state_at(state, pool_NHS, read, h, S, noise), state_at(state, pool_NHS, write, h, S, noise),
                    state_at(state, pool_NHS, ahead, h_ahead, S, noise), asks, at(y_BHV, b, h), V, corrects, J, tile,
                )  # fmt: skip

    return kernel


@njit(forceinline=True)
def told_at(
    inputs: Any, cell: Any, H: Any, room: Any, normalize: bool, decays: bool, steps: int, tile: Any, factors: Any
) -> Any:
    """The token of a head, counted through the rows."""
    q_BHK, k_BHJK, v_BHJV, log_decay_BHD, beta_BHJ = inputs
    b, h = divmod(cell, H)
    return take(
        at(q_BHK, b, h), at(k_BHJK, b, h), at(v_BHJV, b, h), at(log_decay_BHD, b, h), at(beta_BHJ, b, h), room,
        normalize, decays, steps, tile, factors,
    )  # fmt: skip

"""Test-time training of a linear memory on the CPU, float32: the loops over cells, rows × heads in parallel.

B rows or sequences, T time, H heads, V channels of keys and values, S = V·V + V floats of a head's state, Q = 2·V
floats of a token's trace, N pages; R rows of a state are worked on at a time.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import boolean, int64, njit, prange, void

from ..rows import rows_at_a_time
from ..simd import (
    FLOAT32,
    FLOAT_BYTES,
    at,
    fingerprint,
    prefetch_state,
    prefetch_state_far,
    reserve,
    slot_at,
    state_at,
    store,
    view_type,
    zeros,
)
from ..ttt import cpu as ttt
from ..ttt import token as told
from ..ttt.backend import Kernel
from ..ttt.cpu import whole
from ..ttt.token import take
from . import token
from .token import learn_offset, learn_rows, recall, recall_rows, settle

SOURCES = ttt.__file__, told.__file__, token.__file__
# Heads that a thread takes on at once.
GROUP = 16
# Channels up to which the states that come next are brought into the first-level cache.
SHORT = 32


def trace_floats(V: int, F: int) -> int:
    """Q: f(k) before a token's step, and f(q) after it."""
    return 2 * V


@cache
def step_kernel(form: str, V: int, F: int) -> Kernel:
    """The step on pools of a form of states, compiled for V channels.

    A state is gone over twice, and what is learned waits for all that is recalled. So while one head learns, the next
    recalls, row by row in turn: reads from memory are spread over all of the time.
    """
    sources, R, S, Q = fingerprint(__file__, *SOURCES), rows_at_a_time(V, V), V * V + V, trace_floats(V, F)
    room, room_bytes, short = 2 * (Q + V), FLOAT_BYTES * (Q + V), V <= SHORT
    rows, gates, slots = (view_type(axes) for axes in (3, 2, 1))

    @njit(
        void(int64, int64, boolean, rows, rows, rows, rows, gates, gates, gates, gates, slots, slots, slots, rows),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, H: int, normalize: bool, pool_NHS: Any, q_BHV: Any, k_BHV: Any, v_BHV: Any, beta_BH: Any,
        start_HS: Any, gain_HV: Any, bias_HV: Any, read_B: Any, write_B: Any, noise_B: Any, y_BHV: Any,
    ) -> None:  # fmt: skip
        assert sources
        for group in prange((B * H + GROUP - 1) // GROUP):
            tile, row, column = zeros(R, V), zeros(1, V), zeros(1, R)
            first: Any = np.int64(group) * GROUP
            end: Any = min(first + GROUP, B * H)
            tokens = q_BHV, k_BHV, v_BHV, gain_HV, bias_HV, beta_BH
            rooms = reserve(room)
            b, h = divmod(first, H)
            soon, offset = told_at(tokens, b, h, normalize, row), row
            if slot_at(write_B, b) >= 0:
                state = state_at(form, pool_NHS, slot_at(read_B, b), h, S, 0)
                offset = recall(soon, at(start_HS, h), state, rooms, tile)
            for cell in range(first, end):
                token, answers = soon, rooms + ((cell - first) & 1) * room_bytes
                changes, following = answers + Q * FLOAT_BYTES, rooms + ((cell - first + 1) & 1) * room_bytes
                update, y = settle(token, offset, answers)
                store(changes, 0, update)
                b, h = divmod(cell, H)
                b_soon, h_soon = divmod(min(cell + 1, end - 1), H)
                b_later, h_later = divmod(min(cell + 2, B * H - 1), H)
                soon = told_at(tokens, b_soon, h_soon, normalize, row)
                write, noise = slot_at(write_B, b), slot_at(noise_B, b)
                learns, recalls = write >= 0, cell + 1 < end and slot_at(write_B, b_soon) >= 0
                old = state_at(form, pool_NHS, slot_at(read_B, b), h, S, noise)
                new = state_at(form, pool_NHS, write, h, S, noise)
                state = state_at(form, pool_NHS, slot_at(read_B, b_soon), h_soon, S, 0)
                later = state_at(form, pool_NHS, slot_at(read_B, b_later), h_later, S, 0)
                start = at(start_HS, h_soon)
                for i in range(0, V, R):
                    if short:
                        prefetch_state(later, i * V, tile)
                    else:
                        prefetch_state_far(later, i * V, tile)
                    if recalls:
                        recall_rows(soon, start, state, i, following, tile)
                    if learns:
                        learn_rows(token, changes, old, new, i, tile, column)
                if recalls:
                    offset = whole(start, state, V * V, row)
                if learns:
                    learn_offset(changes, old, new, row)
                else:
                    y = row
                store(at(y_BHV, b, h), 0, y)

    return kernel


@njit(forceinline=True)
def told_at(tokens: Any, b: Any, h: Any, normalize: bool, row: Any) -> Any:
    """The token of a head of a row."""
    q_BHV, k_BHV, v_BHV, gain_HV, bias_HV, beta_BH = tokens
    return take(
        at(q_BHV, b, h), at(k_BHV, b, h), at(v_BHV, b, h), at(gain_HV, h), at(bias_HV, h), at(beta_BH, b, h), normalize,
        row,
    )  # fmt: skip


@cache
def forward_kernel(V: int, F: int) -> Kernel:
    """The scan forward, compiled for V channels. The last argument is the first state and becomes the last."""
    sources, R, S = fingerprint(__file__, *SOURCES), rows_at_a_time(V, V), V * V + V
    rows, gates, heads, states = (view_type(axes) for axes in (4, 3, 2, 3))

    @njit(
        void(int64, int64, int64, boolean, rows, rows, rows, gates, heads, heads, heads, rows, rows, states),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, T: int, H: int, normalize: bool, q_BTHV: Any, k_BTHV: Any, v_BTHV: Any, beta_BTH: Any, start_HS: Any,
        gain_HV: Any, bias_HV: Any, trace_BTHQ: Any, y_BTHV: Any, state_BHS: Any,
    ) -> None:  # fmt: skip
        assert sources
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            state = state_at(FLOAT32, state_BHS, b, h, S, 0)
            tile, row, column, changes = zeros(R, V), zeros(1, V), zeros(1, R), reserve(V)
            for t in range(T):
                token = take(
                    at(q_BTHV, b, t, h), at(k_BTHV, b, t, h), at(v_BTHV, b, t, h), at(gain_HV, h), at(bias_HV, h),
                    at(beta_BTH, b, t, h), normalize, row,
                )  # fmt: skip
                answers = at(trace_BTHQ, b, t, h)
                update, y = settle(token, recall(token, at(start_HS, h), state, answers, tile), answers)
                store(changes, 0, update)
                for i in range(0, V, R):
                    learn_rows(token, changes, state, state, i, tile, column)
                learn_offset(changes, state, state, row)
                store(at(y_BTHV, b, t, h), 0, y)

    return kernel

"""Test-time training of a two-layer memory on the CPU, float32: the loops over cells, rows × heads in parallel.

B rows or sequences, T time, H heads, V channels of keys and values, F hidden units, S floats of a head's state,
Q floats of a token's trace, N pages; G hidden units are worked on at a time, and R rows of theirs.
"""

import math
from functools import cache
from typing import Any

import numpy as np
from numba import boolean, int64, njit, prange, void

from ..rows import rows_at_a_time
from ..simd import (
    FLOAT32,
    FLOAT_BYTES,
    at,
    dot,
    fingerprint,
    plus,
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
from ..ttt.cpu import ONE, whole
from ..ttt.token import take
from . import gelu, naive, token
from .token import finish, learn_units, recall, recall_units, settle

SOURCES = ttt.__file__, told.__file__, token.__file__, gelu.__file__, naive.__file__
# Hidden units whose GELU is taken at once.
LANES = 16


def trace_floats(V: int, F: int) -> int:
    """Q: the hidden units twice and their change, f(k) before a token's step, and f(q) after it."""
    return 3 * F + 2 * V


def state_floats(V: int, F: int) -> int:
    """S."""
    return 2 * F * V + F + V


def blocks(V: int, F: int, most: int = 8) -> tuple[int, int]:
    """G and R, both powers of two that divide F."""
    G = math.gcd(F, LANES)
    return G, rows_at_a_time(G, V, most)


@cache
def step_kernel(form: str, V: int, F: int) -> Kernel:
    """The step on pools of a form of states, compiled for V channels and F hidden units."""
    sources, (G, R) = fingerprint(__file__, *SOURCES), blocks(V, F)
    S, Q = state_floats(V, F), trace_floats(V, F)
    floats = Q + 2 * F
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
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            write, noise = slot_at(write_B, b), slot_at(noise_B, b)
            tile, row, units, some = zeros(R, V), zeros(1, V), zeros(1, G), zeros(G, V)
            if write < 0:
                store(at(y_BHV, b, h), 0, row)
                continue
            token = take(
                at(q_BHV, b, h), at(k_BHV, b, h), at(v_BHV, b, h), at(gain_HV, h), at(bias_HV, h), at(beta_BH, b, h),
                normalize, row,
            )  # fmt: skip
            b_soon, h_soon = divmod(np.int64(min(cell + 1, B * H - 1)), H)
            old = state_at(form, pool_NHS, slot_at(read_B, b), h, S, noise)
            new = state_at(form, pool_NHS, write, h, S, noise)
            soon = state_at(form, pool_NHS, slot_at(read_B, b_soon), h_soon, S, 0)
            trace, start = reserve(floats), at(start_HS, h)
            room = trace + Q * FLOAT_BYTES
            # The next state is asked for bit by bit, all of the time: a burst would wait for itself.
            z = whole(start, old, S - V, row)
            for unit in range(0, F, G):
                prefetch_state_far(soon, unit * V, some)
                z = recall_units(token, start, old, unit, z, trace, room, F, tile, units)
            update, overlap = settle(token, z, F), dot(token.k, token.q) + ONE
            z_read = plus(whole(start, old, S - V, row), update)
            for unit in range(0, F, G):
                prefetch_state_far(soon, F * V + F + unit * V, some)
                z_read = learn_units(
                    token, update, overlap, start, old, new, unit, z_read, trace, room, F, tile, units
                )  # fmt: skip
            store(at(y_BHV, b, h), 0, finish(token, update, z, z_read, old, new, trace, F))

    return kernel


@cache
def forward_kernel(V: int, F: int) -> Kernel:
    """The forward, compiled for V channels and F hidden units; the last argument: the first state, then the last."""
    sources, (G, R) = fingerprint(__file__, *SOURCES), blocks(V, F)
    S, floats = state_floats(V, F), 2 * F
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
            tile, row, units, room, start = zeros(R, V), zeros(1, V), zeros(1, G), reserve(floats), at(start_HS, h)
            for t in range(T):
                token = take(
                    at(q_BTHV, b, t, h), at(k_BTHV, b, t, h), at(v_BTHV, b, t, h), at(gain_HV, h), at(bias_HV, h),
                    at(beta_BTH, b, t, h), normalize, row,
                )  # fmt: skip
                trace = at(trace_BTHQ, b, t, h)
                z = recall(token, start, state, trace, room, F, tile, units)
                update, overlap = settle(token, z, F), dot(token.k, token.q) + ONE
                z_read = plus(whole(start, state, S - V, row), update)
                for unit in range(0, F, G):
                    z_read = learn_units(
                        token, update, overlap, start, state, state, unit, z_read, trace, room, F, tile, units
                    )  # fmt: skip
                store(at(y_BTHV, b, t, h), 0, finish(token, update, z, z_read, state, state, trace, F))

    return kernel

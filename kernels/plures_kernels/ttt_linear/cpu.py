"""Test-time training of a linear memory on the CPU, float32: the loops over cells, rows × heads in parallel.

B rows or sequences, T time, H heads, V channels of keys and values, S = V·V + V floats of a head's state, Q = 2·V
floats of a token's trace, N pages; R rows of a state are worked on at a time.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import boolean, int64, njit, prange, void

from ..directions import query_and_key
from ..rows import rows_at_a_time
from ..simd import (
    FLOAT32,
    at,
    fingerprint,
    load,
    load_scalar,
    reserve,
    slot_at,
    state_at,
    store,
    view_type,
    zeros,
)
from ..ttt import cpu as ttt
from ..ttt.backend import Kernel
from . import token
from .token import advance

SOURCES = ttt.__file__, token.__file__


def trace_floats(V: int, F: int) -> int:
    """Q: f(k) before a token's step, and f(q) after it."""
    return 2 * V


@cache
def step_kernel(form: str, V: int, F: int) -> Kernel:
    """The step on pools of a form of states, compiled for V channels."""
    sources, R, S, Q = fingerprint(__file__, *SOURCES), rows_at_a_time(V, V), V * V + V, 2 * V
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
            if write < 0:
                store(at(y_BHV, b, h), 0, zeros(1, V))
                continue
            next_b, next_h = divmod(np.int64(min(cell + 1, B * H - 1)), H)
            q, k = query_and_key(at(q_BHV, b, h), at(k_BHV, b, h), zeros(1, V), normalize)
            y = advance(
                state_at(form, pool_NHS, slot_at(read_B, b), h, S, noise),
                state_at(form, pool_NHS, write, h, S, noise),
                state_at(form, pool_NHS, slot_at(read_B, next_b), next_h, S, noise),
                at(start_HS, h), load(at(gain_HV, h), 0, k), load(at(bias_HV, h), 0, k), q, k,
                load(at(v_BHV, b, h), 0, k), load_scalar(at(beta_BH, b, h)), reserve(Q), V, zeros(R, V), zeros(1, R),
            )  # fmt: skip
            store(at(y_BHV, b, h), 0, y)

    return kernel


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
            for t in range(T):
                q, k = query_and_key(at(q_BTHV, b, t, h), at(k_BTHV, b, t, h), zeros(1, V), normalize)
                y = advance(
                    state, state, state, at(start_HS, h), load(at(gain_HV, h), 0, k), load(at(bias_HV, h), 0, k), q, k,
                    load(at(v_BTHV, b, t, h), 0, k), load_scalar(at(beta_BTH, b, t, h)), at(trace_BTHQ, b, t, h),
                    V, zeros(R, V), zeros(1, R),
                )  # fmt: skip
                store(at(y_BTHV, b, t, h), 0, y)

    return kernel

"""The step of test-time training of a linear memory on the CPU, float32: rows × heads in parallel.

B rows, H heads, V channels of keys and values, S = V·V + V floats of a head's state, N pages; R rows of a state are
worked on at a time.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import boolean, int64, njit, prange, void
from torch import Tensor

from ..directions import ONE, query_and_key
from ..rows import rows_at_a_time
from ..simd import (
    FLOAT_BYTES,
    at,
    dot,
    dots,
    fingerprint,
    height,
    load,
    load_scalar,
    minus,
    plus,
    plus_outer,
    plus_scaled,
    prefetch,
    reserve,
    scaled,
    slot_at,
    store,
    view,
    view_type,
    zeros,
)
from ..spec import Inputs
from ..ttt import cpu as ttt
from ..ttt.cpu import read, slope

SOURCES = __file__, ttt.__file__


def step(
    pool_NHS: Tensor, inputs: Inputs, read_B: Tensor, write_B: Tensor, noise_B: Tensor | None, normalize: bool
) -> Tensor:
    """As `Rule.step`: the same bits for a row whatever else is in the batch, and as a scan of one token."""
    B, H, V = inputs[0].shape
    y_BHV = inputs[0].new_empty(B, H, V)
    tensors = pool_NHS, *inputs, read_B.to(torch.int64), write_B.to(torch.int64), y_BHV
    step_kernel(V, rows_at_a_time(V, V))(B, H, normalize, *map(view, tensors))
    return y_BHV


@njit
def advance(
    old: Any, new: Any, soon: Any, w0: Any, w0_stride: Any, b0: Any, gain: Any, bias: Any, q: Any, k: Any, v: Any,
    beta: Any, z: Any, z_read: Any, V: Any, tile: Any, column: Any,
) -> Any:  # fmt: skip
    """One token of one head, from the state at old to that at new (they may be one); returns y.

    f(k) before the step and f(q) after it are left at z and z_read. On the way it asks for the state at soon, which
    comes next, unless that is 0.
    """
    stride = FLOAT_BYTES * V
    old_b, new_b = old + stride * V, new + stride * V
    for i in range(0, V, height(tile)):
        rows = plus(load(w0 + i * w0_stride, w0_stride, tile), load(old + i * stride, stride, tile))
        store(z + i * FLOAT_BYTES, 0, dots(rows, k))
        store(z_read + i * FLOAT_BYTES, 0, dots(rows, q))
    b = load(old_b, 0, k)
    start = plus(b, load(b0, 0, k))
    before = plus(start, load(z, 0, k))
    gains, biases = load(gain, 0, k), load(bias, 0, k)
    update = scaled(-beta, slope(before, minus(load(v, 0, k), k), gains, biases))
    after = plus_scaled(plus(start, load(z_read, 0, k)), dot(k, q) + ONE, update)
    # Where the columns of the update are taken from.
    store(z, 0, update)
    for i in range(0, V, height(tile)):
        down = i * stride
        prefetch(soon + down, stride, tile)
        store(new + down, stride, plus_outer(load(old + down, stride, tile), load(z + i * FLOAT_BYTES, 0, column), k))
    store(new_b, 0, plus(b, update))
    store(z, 0, before)
    store(z_read, 0, after)
    return read(after, q, gains, biases)


@cache
def step_kernel(V: int, R: int) -> Callable[..., None]:
    """The step, compiled for V channels."""
    sources = fingerprint(*SOURCES)
    rows, gates, slots = (view_type(axes) for axes in (3, 2, 1))

    @njit(
        void(int64, int64, boolean, rows, rows, rows, rows, gates, rows, gates, gates, gates, slots, slots, rows),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, H: int, normalize: bool, pool_NHS: Any, q_BHV: Any, k_BHV: Any, v_BHV: Any, beta_BH: Any,
        w0_HVV: Any, b0_HV: Any, gain_HV: Any, bias_HV: Any, read_B: Any, write_B: Any, y_BHV: Any,
    ) -> None:  # fmt: skip
        assert sources
        w0_stride = FLOAT_BYTES * w0_HVV[2]
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            read, write = slot_at(read_B, b), slot_at(write_B, b)
            if write < 0:
                store(at(y_BHV, b, h), 0, zeros(1, V))
                continue
            q, k = query_and_key(at(q_BHV, b, h), at(k_BHV, b, h), zeros(1, V), normalize)
            next_b, next_h = divmod(np.int64(min(cell + 1, B * H - 1)), H)
            soon = at(pool_NHS, slot_at(read_B, next_b), next_h)
            y = advance(
                at(pool_NHS, read, h), at(pool_NHS, write, h), soon,
                at(w0_HVV, h), w0_stride, at(b0_HV, h), at(gain_HV, h), at(bias_HV, h), q, k, at(v_BHV, b, h),
                load_scalar(at(beta_BH, b, h)), reserve(V), reserve(V), V, zeros(R, V), zeros(1, R),
            )  # fmt: skip
            store(at(y_BHV, b, h), 0, y)

    return kernel

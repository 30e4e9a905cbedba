"""The backward of the scan of a linear memory under test-time training on the CPU, by hand.

B sequences, T time, H heads, V channels of keys and values, S floats of a head's state; R rows are worked on at a time.

One token. Forward, with W and b the sums of slow weights and state: z = W k + b, s the inner loss's slope at z,
u = −β s, W' = W + u kᵀ, b' = b + u, z' = W' q + b', y = q + LN(z'). Backward, with G and h the gradients of W' and b'
that come from later tokens, and dz' that which comes through the read:

    G ← G + dz' qᵀ     h ← h + dz'     dq = dy + W'ᵀ dz'
    du = G k + h       dβ = −⟨du, s⟩   ds = −β du             dz, dtarget: `ttt.cpu.slope_backward`
    dW = G + dz kᵀ     db = h + dz     dk = Gᵀ u + Wᵀ dz − dtarget      dv = dtarget

A token adds u kᵀ to W, and z, from which u follows, is kept: so W is had again from W' by taking u kᵀ away, and no
states are kept but the last.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import boolean, int64, njit, prange, void

from ..directions import query_and_key, unit_backward
from ..rows import MOST_BACKWARD, rows_at_a_time
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
    plus_mixed,
    plus_outer,
    reserve,
    scaled,
    store,
    store_scalar,
    view_type,
    zeros,
    zeros_like,
)
from ..ttt.backend import Kernel
from ..ttt.cpu import read_backward, slope, slope_backward
from .cpu import SOURCES


@cache
def backward_kernel(V: int, F: int) -> Kernel:
    """The backward, compiled for V channels; the last two arguments go from the last token's to the first's."""
    sources = fingerprint(__file__, *SOURCES)
    R, room = rows_at_a_time(V, V, MOST_BACKWARD), 3 * V
    rows, gates, heads, states = (view_type(axes) for axes in (4, 3, 2, 3))

    @njit(
        void(
            int64, int64, int64, boolean, rows, rows, rows, gates, heads, heads, rows, rows,
            rows, rows, rows, gates, states, states, states, states,
        ),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, T: int, H: int, normalize: bool, q_BTHV: Any, k_BTHV: Any, v_BTHV: Any, beta_BTH: Any, gain_HV: Any,
        bias_HV: Any, trace_BTHQ: Any, dy_BTHV: Any, dq_BTHV: Any, dk_BTHV: Any, dv_BTHV: Any, dbeta_BTH: Any,
        dgain_BHV: Any, dbias_BHV: Any, whole_BHS: Any, dstate_BHS: Any,
    ) -> None:  # fmt: skip
        assert sources
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            for t in range(T - 1, -1, -1):
                q, k = query_and_key(at(q_BTHV, b, t, h), at(k_BTHV, b, t, h), zeros(1, V), normalize)
                dq, dk, dv, dbeta = retreat(
                    at(whole_BHS, b, h), at(dstate_BHS, b, h), at(gain_HV, h), at(bias_HV, h), at(dgain_BHV, b, h),
                    at(dbias_BHV, b, h), q, k, load(at(v_BTHV, b, t, h), 0, k), load_scalar(at(beta_BTH, b, t, h)),
                    at(trace_BTHQ, b, t, h), load(at(dy_BTHV, b, t, h), 0, k), reserve(room), V, zeros(R, V),
                    zeros(1, R),
                )  # fmt: skip
                if normalize:
                    dq, dk = unit_backward(dq, at(q_BTHV, b, t, h), q), unit_backward(dk, at(k_BTHV, b, t, h), k)
                store(at(dq_BTHV, b, t, h), 0, dq)
                store(at(dk_BTHV, b, t, h), 0, dk)
                store(at(dv_BTHV, b, t, h), 0, dv)
                store_scalar(at(dbeta_BTH, b, t, h), dbeta)

    return kernel


@njit
def retreat(
    w: Any, grads: Any, gain_at: Any, bias_at: Any, dgain_at: Any, dbias_at: Any, q: Any, k: Any, v: Any, beta: Any,
    trace: Any, dy: Any, space: Any, V: Any, tile: Any, column: Any,
) -> Any:  # fmt: skip
    """One token backward: w and its grads go from the new state's to the old one's; returns dq, dk, dv, dbeta."""
    grads_b = grads + FLOAT_BYTES * V * V
    z, z_read = load(trace, 0, k), load(trace + FLOAT_BYTES * V, 0, k)
    gain, bias, target = load(gain_at, 0, k), load(bias_at, 0, k), minus(v, k)
    s = slope(z, target, gain, bias)
    dz_read, dgain_read = read_backward(dy, z_read, gain)
    dq, dk, recalled = through_update(w, grads, q, k, scaled(-beta, s), dz_read, space, V, tile, column)
    dq, grad_b = plus(dq, dy), plus(load(grads_b, 0, k), dz_read)
    dupdate = plus(recalled, grad_b)
    dz, dgain, dbias = slope_backward(scaled(-beta, dupdate), z, target, gain, bias)
    store(grads_b, 0, plus(grad_b, dz))
    store(dgain_at, 0, plus(load(dgain_at, 0, k), plus(dgain_read, dgain)))
    store(dbias_at, 0, plus(load(dbias_at, 0, k), plus(dy, dbias)))
    dk = plus(through_error(w, grads, k, dk, dz, space, V, tile, column), dbias)
    return dq, dk, scaled(np.float32(-1), dbias), -dot(dupdate, s)


@njit
def through_update(
    w: Any, grads: Any, q: Any, k: Any, update: Any, dz: Any, space: Any, V: Any, tile: Any, column: Any
) -> Any:
    """W' becomes W and G has the read's part; returns W'ᵀ dz, Gᵀ u and G k."""
    dq, dk, stride = zeros_like(q), zeros_like(k), FLOAT_BYTES * V
    updates, dzs, recalled = space, space + stride, space + 2 * stride
    store(updates, 0, update)
    store(dzs, 0, dz)
    for i in range(0, V, height(tile)):
        down, along = i * stride, i * FLOAT_BYTES
        rows, change, slope_ = (
            load(w + down, stride, tile),
            load(updates + along, 0, column),
            load(dzs + along, 0, column),
        )
        grad = plus_outer(load(grads + down, stride, tile), slope_, q)
        store(grads + down, stride, grad)
        store(recalled + along, 0, dots(grad, k))
        store(w + down, stride, plus_outer(rows, scaled(np.float32(-1), change), k))
        dq, dk = plus_mixed(dq, slope_, rows), plus_mixed(dk, change, grad)
    return dq, dk, load(recalled, 0, k)


@njit
def through_error(w: Any, grads: Any, k: Any, dk: Any, dz: Any, space: Any, V: Any, tile: Any, column: Any) -> Any:
    """G has the part of the error, z = W k + b; returns dk + Wᵀ dz."""
    stride = FLOAT_BYTES * V
    store(space, 0, dz)
    for i in range(0, V, height(tile)):
        down, slope_ = i * stride, load(space + i * FLOAT_BYTES, 0, column)
        store(grads + down, stride, plus_outer(load(grads + down, stride, tile), slope_, k))
        dk = plus_mixed(dk, slope_, load(w + down, stride, tile))
    return dk

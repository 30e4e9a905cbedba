"""The backward of the scan of linear Titans on the CPU, by hand.

B sequences, T time, H heads, K key channels, V value channels, S floats of a head's state; R rows of a state are worked
on at a time. M marks: the states before every `STRIDE`-th token, from which those between are computed again.

One token. Forward: e = v − S k, M' = ηM + β e kᵀ, S' = αS + M', y = S' q. Backward, with G and N the gradients of S'
and M' that come from later tokens, D = G + dy qᵀ and L = N + D:

    dq = S'ᵀ dy     de = β L k      dβ = e·L k      dk = β Lᵀ e − Sᵀ de      dv = de
    dη = ⟨L, M⟩     dM = ηL         d log α = α⟨D, S⟩               dS = αD − de kᵀ
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import boolean, get_thread_id, int64, njit, prange, void  # type: ignore[attr-defined]

from ..directions import ONE, query_and_key, unit_backward
from ..rows import copy
from ..simd import (
    FLOAT_BYTES,
    at,
    dot,
    dots,
    fingerprint,
    height,
    load,
    minus,
    plus_mixed,
    plus_outer,
    plus_product,
    plus_scaled,
    scaled,
    store,
    store_scalar,
    total,
    view_type,
    zeros,
    zeros_like,
)
from . import cpu
from .cpu import gates_at

# Tokens from mark to mark; the states between two marks should stay in the second-level cache.
STRIDE = 8


def scratch_floats(V: int, K: int) -> int:
    """The states between two marks, and the errors of the tokens between."""
    return (STRIDE + 1) * 2 * V * K + STRIDE * V


@cache
def backward_kernel(K: int, R: int) -> Callable[..., None]:
    """The backward, compiled for keys of K channels; `dstate_BHS` goes from the last state's to the first's.

    `scratch_PS` has `scratch_floats` for each of P threads.
    """
    sources = fingerprint(__file__, cpu.__file__)
    gates, rows, states, marks, scratch = (view_type(axes) for axes in (3, 4, 3, 4, 2))

    @njit(
        void(
            int64, int64, int64, int64, boolean, rows, rows, rows, gates, gates, gates, marks, rows,
            rows, rows, rows, gates, gates, gates, states, scratch,
        ),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, T: int, H: int, V: int, normalize: bool, q_BTHK: Any, k_BTHK: Any, v_BTHV: Any, log_decay_BTH: Any,
        momentum_BTH: Any, beta_BTH: Any, marks_BHMS: Any, dy_BTHV: Any, dq_BTHK: Any, dk_BTHK: Any, dv_BTHV: Any,
        dlog_decay_BTH: Any, dmomentum_BTH: Any, dbeta_BTH: Any, dstate_BHS: Any, scratch_PS: Any,
    ) -> None:  # fmt: skip
        assert sources
        size = 2 * V * K * FLOAT_BYTES
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            tile, column = zeros(R, K), zeros(1, R)
            states = at(scratch_PS, get_thread_id())
            errors = states + (STRIDE + 1) * size
            for first in range((T - 1) // STRIDE * STRIDE, -1, -STRIDE):
                after = min(first + STRIDE, T)
                copy(at(marks_BHMS, b, h, first // STRIDE), states, FLOAT_BYTES * K, 2 * V, tile)
                for t in range(first, after):
                    old, error = states + (t - first) * size, errors + (t - first) * V * FLOAT_BYTES
                    _, k = query_and_key(at(q_BTHK, b, t, h), at(k_BTHK, b, t, h), zeros(1, K), normalize)
                    told = gates_at(at(log_decay_BTH, b, t, h), at(momentum_BTH, b, t, h), at(beta_BTH, b, t, h))
                    replay(old, old + size, error, k, at(v_BTHV, b, t, h), told, V, K, tile, column)
                for t in range(after - 1, first - 1, -1):
                    old, error = states + (t - first) * size, errors + (t - first) * V * FLOAT_BYTES
                    q, k = query_and_key(at(q_BTHK, b, t, h), at(k_BTHK, b, t, h), zeros(1, K), normalize)
                    told = gates_at(at(log_decay_BTH, b, t, h), at(momentum_BTH, b, t, h), at(beta_BTH, b, t, h))
                    dq, dk, dlog_decay, dmomentum, dbeta = retreat(
                        old, old + size, error, at(dstate_BHS, b, h), q, k, told, at(dy_BTHV, b, t, h),
                        at(dv_BTHV, b, t, h), V, K, tile, column,
                    )  # fmt: skip
                    if normalize:
                        dq, dk = unit_backward(dq, at(q_BTHK, b, t, h), q), unit_backward(dk, at(k_BTHK, b, t, h), k)
                    store(at(dq_BTHK, b, t, h), 0, dq)
                    store(at(dk_BTHK, b, t, h), 0, dk)
                    store_scalar(at(dlog_decay_BTH, b, t, h), dlog_decay)
                    store_scalar(at(dmomentum_BTH, b, t, h), dmomentum)
                    store_scalar(at(dbeta_BTH, b, t, h), dbeta)

    return kernel


@njit
def replay(old: Any, new: Any, errors: Any, k: Any, v: Any, gates: Any, V: Any, K: Any, tile: Any, column: Any) -> None:
    """One token forward again, for its state and its error."""
    alpha, eta, beta = gates
    stride = FLOAT_BYTES * K
    for i in range(0, V, height(tile)):
        place, motion_place = i * stride, (V + i) * stride
        state = load(old + place, stride, tile)
        error = minus(load(v + i * FLOAT_BYTES, 0, column), dots(state, k))
        motion = plus_outer(scaled(eta, load(old + motion_place, stride, tile)), scaled(beta, error), k)
        store(errors + i * FLOAT_BYTES, 0, error)
        store(new + place, stride, plus_scaled(motion, alpha, state))
        store(new + motion_place, stride, motion)


@njit
def retreat(
    old: Any, new: Any, errors: Any, grads: Any, q: Any, k: Any, gates: Any, dy: Any, dv: Any, V: Any, K: Any,
    tile: Any, column: Any,
) -> Any:  # fmt: skip
    """One token backward: grads go from the new state's to the old one's; returns those of q, k and the gates."""
    alpha, eta, beta = gates
    stride = FLOAT_BYTES * K
    dq, dk, dbeta = zeros_like(q), zeros_like(k), np.float32(0)
    decays, motions = zeros_like(tile), zeros_like(tile)
    for i in range(0, V, height(tile)):
        place, motion_place, along = i * stride, (V + i) * stride, i * FLOAT_BYTES
        state, output, error = (
            load(old + place, stride, tile),
            load(dy + along, 0, column),
            load(errors + along, 0, column),
        )
        grad = plus_outer(load(grads + place, stride, tile), output, q)
        motion_grad = plus_scaled(grad, ONE, load(grads + motion_place, stride, tile))
        slope = dots(motion_grad, k)
        derror = scaled(beta, slope)
        store(dv + along, 0, derror)
        dbeta += dot(error, slope)
        dq = plus_mixed(dq, output, load(new + place, stride, tile))
        dk = plus_mixed(plus_mixed(dk, scaled(beta, error), motion_grad), scaled(-ONE, derror), state)
        decays = plus_product(decays, grad, state)
        motions = plus_product(motions, motion_grad, load(old + motion_place, stride, tile))
        store(grads + place, stride, plus_outer(scaled(alpha, grad), scaled(-ONE, derror), k))
        store(grads + motion_place, stride, scaled(eta, motion_grad))
    return dq, dk, alpha * total(decays), total(motions), dbeta

"""The backward of the gated delta rule's scan on the CPU, by hand.

B sequences, T time, H heads, K key channels, V value channels; R rows of a state are worked on at a time. M marks: the
states before every `STRIDE`-th token, from which those between are computed again.

One token. Forward: P = αS, e = v − P k, S' = P + β e kᵀ, y = S' q. Backward, with G the gradient of S' that comes from
later tokens, and D = G + dy qᵀ:

    de = β D k       dβ = e·D k       dq = S'ᵀ dy      dk = β Dᵀ e − Pᵀ de      dv = de
    dP = D − de kᵀ   d log α = ⟨dP, P⟩                 dS = α dP
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import boolean, get_thread_id, int64, njit, prange, void  # type: ignore[attr-defined]

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
from .cpu import ONE, SMALL, copy, query_and_key

# Tokens from mark to mark; the states between two marks should stay in the second-level cache.
STRIDE = 16
# Half of the forward's, since there are twice as many operands.
MOST_ROWS = 4


def scratch_floats(V: int, K: int) -> int:
    """The states between two marks, and the errors of the tokens between."""
    return (STRIDE + 1) * V * K + STRIDE * V


@cache
def backward_kernel(K: int, R: int) -> Callable[..., None]:
    """The backward, compiled for keys of K channels; `dstate_BHVK` goes from the last state's to the first's.

    `scratch_PS` has `scratch_floats` for each of P threads.
    """
    sources = fingerprint(__file__, cpu.__file__)
    gates, rows, states, marks, scratch = (view_type(axes) for axes in (3, 4, 4, 5, 2))

    @njit(
        void(
            int64, int64, int64, int64, boolean, rows, rows, rows, gates, gates, marks, rows,
            rows, rows, rows, gates, gates, states, scratch,
        ),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, T: int, H: int, V: int, normalize: bool, q_BTHK: Any, k_BTHK: Any, v_BTHV: Any, log_decay_BTH: Any,
        beta_BTH: Any, marks_BHMVK: Any, dy_BTHV: Any, dq_BTHK: Any, dk_BTHK: Any, dv_BTHV: Any, dlog_decay_BTH: Any,
        dbeta_BTH: Any, dstate_BHVK: Any, scratch_PS: Any,
    ) -> None:  # fmt: skip
        assert sources
        stride = FLOAT_BYTES * K
        size = stride * V
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            states = at(scratch_PS, get_thread_id())
            errors = states + (STRIDE + 1) * size
            for first in range((T - 1) // STRIDE * STRIDE, -1, -STRIDE):
                after = min(first + STRIDE, T)
                copy(at(marks_BHMVK, b, h, first // STRIDE), states, stride, V, zeros(R, K))
                for t in range(first, after):
                    old, error = states + (t - first) * size, errors + (t - first) * V * FLOAT_BYTES
                    alpha = math.exp(load_scalar(at(log_decay_BTH, b, t, h)))
                    _, k = query_and_key(at(q_BTHK, b, t, h), at(k_BTHK, b, t, h), zeros(1, K), normalize)
                    replay(
                        old, old + size, stride, error, k, at(v_BTHV, b, t, h), alpha,
                        load_scalar(at(beta_BTH, b, t, h)), V, zeros(R, K), zeros(1, R),
                    )  # fmt: skip
                for t in range(after - 1, first - 1, -1):
                    old, error = states + (t - first) * size, errors + (t - first) * V * FLOAT_BYTES
                    alpha = math.exp(load_scalar(at(log_decay_BTH, b, t, h)))
                    q, k = query_and_key(at(q_BTHK, b, t, h), at(k_BTHK, b, t, h), zeros(1, K), normalize)
                    dq, dk, dlog_decay, dbeta = retreat(
                        old, old + size, stride, error, at(dstate_BHVK, b, h), q, k, alpha,
                        load_scalar(at(beta_BTH, b, t, h)), at(dy_BTHV, b, t, h), at(dv_BTHV, b, t, h), V,
                        zeros(R, K), zeros(1, R),
                    )  # fmt: skip
                    if normalize:
                        dq, dk = unit_backward(dq, at(q_BTHK, b, t, h), q), unit_backward(dk, at(k_BTHK, b, t, h), k)
                    store(at(dq_BTHK, b, t, h), 0, dq)
                    store(at(dk_BTHK, b, t, h), 0, dk)
                    store_scalar(at(dlog_decay_BTH, b, t, h), dlog_decay)
                    store_scalar(at(dbeta_BTH, b, t, h), dbeta)

    return kernel


@njit
def replay(
    old: Any, new: Any, stride: Any, errors: Any, k: Any, v: Any, alpha: Any, beta: Any, V: Any, tile: Any, column: Any
) -> None:
    """One token forward again, for its state and its error."""
    for i in range(0, V, height(tile)):
        decayed = scaled(alpha, load(old + i * stride, stride, tile))
        error = minus(load(v + i * FLOAT_BYTES, 0, column), dots(decayed, k))
        store(errors + i * FLOAT_BYTES, 0, error)
        store(new + i * stride, stride, plus_outer(decayed, scaled(beta, error), k))


@njit
def retreat(
    old: Any, new: Any, stride: Any, errors: Any, grads: Any, q: Any, k: Any, alpha: Any, beta: Any, dy: Any, dv: Any,
    V: Any, tile: Any, column: Any,
) -> Any:  # fmt: skip
    """One token backward: grads go from the new state's to the old one's; returns dq, dk, dlog_decay, dbeta."""
    dq, dk, dlog_decay, dbeta = zeros_like(q), zeros_like(k), zeros_like(tile), np.float32(0)
    for i in range(0, V, height(tile)):
        down, along = i * stride, i * FLOAT_BYTES
        decayed = scaled(alpha, load(old + down, stride, tile))
        output, error = load(dy + along, 0, column), load(errors + along, 0, column)
        grad = plus_outer(load(grads + down, stride, tile), output, q)
        slope = dots(grad, k)
        store(dv + along, 0, scaled(beta, slope))
        dbeta += dot(error, slope)
        dq = plus_mixed(dq, output, load(new + down, stride, tile))
        dk = plus_mixed(plus_mixed(dk, scaled(beta, error), grad), scaled(-beta, slope), decayed)
        ddecayed = plus_outer(grad, scaled(-beta, slope), k)
        dlog_decay = plus_product(dlog_decay, ddecayed, decayed)
        store(grads + down, stride, scaled(alpha, ddecayed))
    return dq, dk, total(dlog_decay), dbeta


@njit
def unit_backward(grad: Any, raw: Any, unit_row: Any) -> Any:
    """The gradient of x, given that of unit(x), the address of x, and unit(x)."""
    x = load(raw, 0, unit_row)
    return scaled(ONE / np.float32(math.sqrt(dot(x, x) + SMALL)), plus_scaled(grad, -dot(grad, unit_row), unit_row))

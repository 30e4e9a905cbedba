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
from numba import njit, prange, void

from ..compiled import SWITCH, fingerprint, float32_view
from ..simd import (
    dot,
    dots,
    height,
    load,
    minus,
    plus_mixed,
    plus_outer,
    plus_product,
    plus_scaled,
    scaled,
    store,
    total,
    zeros,
    zeros_like,
)  # fmt: skip
from . import cpu
from .cpu import ONE, SMALL, copy, query_and_key

# Tokens from mark to mark; the states between two marks should stay in the second-level cache.
STRIDE = 16
# Floats of a state that are worked on at a time: half of the forward's, since there are twice as many operands.
TILE = cpu.TILE // 2


@cache
def backward_kernel(K: int, R: int) -> Callable[..., None]:
    """The backward, compiled for keys of K channels; `dstate_BHVK` goes from the last state's to the first's."""
    sources = fingerprint(__file__, cpu.__file__)
    gates, rows, states, marks = (float32_view(axes) for axes in (3, 4, 4, 5))

    @njit(
        void(rows, rows, rows, gates, gates, marks, rows, SWITCH, rows, rows, rows, gates, gates, states),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        q_BTHK: Any, k_BTHK: Any, v_BTHV: Any, log_decay_BTH: Any, beta_BTH: Any, marks_BHMVK: Any, dy_BTHV: Any,
        normalize: bool, dq_BTHK: Any, dk_BTHK: Any, dv_BTHV: Any, dlog_decay_BTH: Any, dbeta_BTH: Any,
        dstate_BHVK: Any,
    ) -> None:  # fmt: skip
        assert sources
        B, T, H = beta_BTH.shape
        M, V = marks_BHMVK.shape[2:4]
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            states, errors = np.empty((STRIDE + 1, V, K), np.float32), np.empty((STRIDE, V), np.float32)
            for m in range(M - 1, -1, -1):
                first, after = m * STRIDE, min((m + 1) * STRIDE, T)
                copy(marks_BHMVK[b, h, m], states[0], zeros(R, K))
                for t in range(first, after):
                    _, k = query_and_key(q_BTHK[b, t, h], k_BTHK[b, t, h], zeros(1, K), normalize)
                    replay(
                        states[t - first], states[t - first + 1], errors[t - first], k, v_BTHV[b, t, h],
                        math.exp(log_decay_BTH[b, t, h]), beta_BTH[b, t, h], zeros(R, K), zeros(1, R),
                    )  # fmt: skip
                for t in range(after - 1, first - 1, -1):
                    q, k = query_and_key(q_BTHK[b, t, h], k_BTHK[b, t, h], zeros(1, K), normalize)
                    dq, dk, dlog_decay, dbeta = retreat(
                        states[t - first], states[t - first + 1], errors[t - first], dstate_BHVK[b, h], q, k,
                        math.exp(log_decay_BTH[b, t, h]), beta_BTH[b, t, h], dy_BTHV[b, t, h], dv_BTHV[b, t, h],
                        zeros(R, K), zeros(1, R),
                    )  # fmt: skip
                    if normalize:
                        dq, dk = unit_backward(dq, q_BTHK[b, t, h], q), unit_backward(dk, k_BTHK[b, t, h], k)
                    store(dq_BTHK[b, t, h], (0,), dq)
                    store(dk_BTHK[b, t, h], (0,), dk)
                    dlog_decay_BTH[b, t, h], dbeta_BTH[b, t, h] = dlog_decay, dbeta

    return kernel


@njit
def replay(
    old_VK: Any, new_VK: Any, error_V: Any, k: Any, v_V: Any, alpha: Any, beta: Any, tile: Any, column: Any
) -> None:
    """One token forward again, for its state and its error."""
    for i in range(0, v_V.size, height(tile)):
        decayed = scaled(alpha, load(old_VK, (i, 0), tile))
        error = minus(load(v_V, (i,), column), dots(decayed, k))
        store(error_V, (i,), error)
        store(new_VK, (i, 0), plus_outer(decayed, scaled(beta, error), k))


@njit
def retreat(
    old_VK: Any, new_VK: Any, error_V: Any, grad_VK: Any, q: Any, k: Any, alpha: Any, beta: Any, dy_V: Any, dv_V: Any,
    tile: Any, column: Any,
) -> Any:  # fmt: skip
    """One token backward: grad_VK goes from the new state's to the old one's; returns dq, dk, dlog_decay, dbeta."""
    dq, dk, dlog_decay, dbeta = zeros_like(q), zeros_like(k), zeros_like(tile), np.float32(0)
    for i in range(0, dy_V.size, height(tile)):
        decayed = scaled(alpha, load(old_VK, (i, 0), tile))
        dy, error = load(dy_V, (i,), column), load(error_V, (i,), column)
        grad = plus_outer(load(grad_VK, (i, 0), tile), dy, q)
        slope = dots(grad, k)
        store(dv_V, (i,), scaled(beta, slope))
        dbeta += dot(error, slope)
        dq = plus_mixed(dq, dy, load(new_VK, (i, 0), tile))
        dk = plus_mixed(plus_mixed(dk, scaled(beta, error), grad), scaled(-beta, slope), decayed)
        ddecayed = plus_outer(grad, scaled(-beta, slope), k)
        dlog_decay = plus_product(dlog_decay, ddecayed, decayed)
        store(grad_VK, (i, 0), scaled(alpha, ddecayed))
    return dq, dk, total(dlog_decay), dbeta


@njit
def unit_backward(grad: Any, raw_K: Any, unit_row: Any) -> Any:
    """The gradient of x, given that of unit(x) and both."""
    raw = load(raw_K, (0,), unit_row)
    return scaled(ONE / math.sqrt(dot(raw, raw) + SMALL), plus_scaled(grad, -dot(grad, unit_row), unit_row))

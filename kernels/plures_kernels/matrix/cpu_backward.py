"""The backward of the family's scan on the CPU, by hand.

B sequences, T time, H heads, J inner steps, K key channels, V value channels; R rows of a state are worked on at a
time. M marks: the states before every so many tokens, from which those between are computed again.

One inner step. Forward, with P the state before it (decayed, if it is a token's first): e = v − P k, S' = P + β e kᵀ;
after a token's last, y = S' q. Backward, with G the gradient of S' that comes from later on, and D = G + dy qᵀ, or G
where nothing is read:

    de = β D k       dβ = e·D k       dq = S'ᵀ dy      dk = β Dᵀ e − Pᵀ de      dv = de      dP = D − de kᵀ

For a Hebbian rule, e = v: the terms with Pᵀ de and de kᵀ vanish. Through the decay P = S Diag(α): d log α = Σ dP ∘ P,
over all of P for one factor, over the rows for one a channel; dS = dP Diag(α).
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import boolean, get_thread_id, int64, njit, prange, types, void  # type: ignore[attr-defined]

from ..directions import direction, unit_backward
from ..rows import copy
from ..simd import (
    FLOAT_BYTES,
    at,
    column_of,
    dot,
    dots,
    fingerprint,
    gathered,
    height,
    load,
    load_scalar,
    minus,
    plus_mixed,
    plus_outer,
    plus_product,
    scaled,
    store,
    store_scalar,
    times_row,
    view_type,
    width,
    zeros,
    zeros_like,
)
from . import token
from .form import Decay, Form
from .layout import factors
from .token import decay

# States between two marks; they should stay in the second-level cache.
BETWEEN = 16


def stride(J: int) -> int:
    """Tokens from mark to mark."""
    return max(1, BETWEEN // J)


def scratch_floats(J: int, V: int, K: int) -> int:
    """The states between two marks, and the errors of the steps between."""
    steps = stride(J) * J
    return (steps + 1) * V * K + steps * V


@cache
def backward_kernel(form: Form, J: int, K: int, R: int) -> Callable[..., None]:
    """The backward, compiled for J keys of K channels; `dstate_BHS` goes from the last state's to the first's.

    `scratch_PS` has `scratch_floats` for each of P threads.
    """
    sources = fingerprint(__file__, token.__file__)
    decays, corrects = form.decay is not Decay.NONE, form.corrects
    D, marked = factors(form, K), stride(J)
    inputs, rows, states = types.UniTuple(view_type(3), 5), view_type(4), view_type(3)  # type: ignore[no-untyped-call]

    @njit(
        void(int64, int64, int64, int64, boolean, inputs, inputs, rows, rows, states, view_type(2)),
        cache=True, parallel=True, nogil=True,
    )  # fmt: skip
    def kernel(
        B: int, T: int, H: int, V: int, normalize: bool, inputs: Any, dinputs: Any, marks_BHMS: Any, dy_BTHV: Any,
        dstate_BHS: Any, scratch_PS: Any,
    ) -> None:  # fmt: skip
        assert sources
        q_BTHK, k_BTHJK, v_BTHJV, log_decay_BTHD, beta_BTHJ = inputs
        dq_BTHK, dk_BTHJK, dv_BTHJV, dlog_decay_BTHD, dbeta_BTHJ = dinputs
        key_bytes, value_bytes, state_bytes = FLOAT_BYTES * K, FLOAT_BYTES * V, FLOAT_BYTES * V * K
        for cell in prange(B * H):
            b, h = divmod(np.int64(cell), H)
            tile, row = zeros(R, K), zeros(1, K)
            states = at(scratch_PS, get_thread_id())
            errors = states + (marked * J + 1) * state_bytes
            for first in range((T - 1) // marked * marked, -1, -marked):
                steps = (min(first + marked, T) - first) * J
                copy(at(marks_BHMS, b, h, first // marked), states, key_bytes, V, tile)
                for n in range(steps):
                    t, j = first + n // J, n % J
                    alpha = decay(at(log_decay_BTHD, b, t, h), zeros(1, D), decays and j == 0)
                    k = direction(at(k_BTHJK, b, t, h) + j * key_bytes, row, normalize)
                    beta = load_scalar(at(beta_BTHJ, b, t, h) + j * FLOAT_BYTES)
                    replay(
                        states + n * state_bytes, errors + n * value_bytes, k, at(v_BTHJV, b, t, h) + j * value_bytes,
                        alpha, beta, V, corrects, tile,
                    )  # fmt: skip
                for n in range(steps - 1, -1, -1):
                    t, j = first + n // J, n % J
                    alpha = decay(at(log_decay_BTHD, b, t, h), zeros(1, D), decays and j == 0)
                    q_raw, k_raw = at(q_BTHK, b, t, h), at(k_BTHJK, b, t, h) + j * key_bytes
                    q, k = direction(q_raw, row, normalize), direction(k_raw, row, normalize)
                    beta = load_scalar(at(beta_BTHJ, b, t, h) + j * FLOAT_BYTES)
                    dq, dk, dlog_decay, dbeta = retreat(
                        states + n * state_bytes, errors + n * value_bytes, at(dstate_BHS, b, h), q, k, alpha, beta,
                        at(dy_BTHV, b, t, h), at(dv_BTHJV, b, t, h) + j * value_bytes, V, corrects, j == J - 1, tile,
                    )  # fmt: skip
                    if normalize:
                        dq, dk = unit_backward(dq, q_raw, q), unit_backward(dk, k_raw, k)
                    store(at(dk_BTHJK, b, t, h) + j * key_bytes, 0, dk)
                    store_scalar(at(dbeta_BTHJ, b, t, h) + j * FLOAT_BYTES, dbeta)
                    if j == J - 1:
                        store(at(dq_BTHK, b, t, h), 0, dq)
                    if decays and j == 0:
                        store(at(dlog_decay_BTHD, b, t, h), 0, dlog_decay)

    return kernel


@njit(forceinline=True)
def replay(old: Any, errors: Any, k: Any, v: Any, alpha: Any, beta: Any, V: Any, corrects: bool, tile: Any) -> None:
    """One inner step forward again, for the state after it, which goes behind the one at old, and for its error."""
    stride = FLOAT_BYTES * width(k)
    new = old + V * stride
    for i in range(0, V, height(tile)):
        decayed = times_row(load(old + i * stride, stride, tile), alpha)
        error = load(v + i * FLOAT_BYTES, 0, column_of(tile))
        if corrects:
            error = minus(error, dots(decayed, k))
        store(errors + i * FLOAT_BYTES, 0, error)
        store(new + i * stride, stride, plus_outer(decayed, scaled(beta, error), k))


@njit(forceinline=True)
def retreat(
    old: Any, errors: Any, grads: Any, q: Any, k: Any, alpha: Any, beta: Any, dy: Any, dv: Any, V: Any,
    corrects: bool, reads: bool, tile: Any,
) -> Any:  # fmt: skip
    """One inner step backward: grads go from the new state's to the old one's; returns dq, dk, dlog_decay, dbeta."""
    stride = FLOAT_BYTES * width(k)
    new = old + V * stride
    dq, dk, dlog_decay, dbeta = zeros_like(q), zeros_like(k), zeros_like(tile), np.float32(0)
    for i in range(0, V, height(tile)):
        down, along = i * stride, i * FLOAT_BYTES
        decayed = times_row(load(old + down, stride, tile), alpha)
        error = load(errors + along, 0, column_of(tile))
        grad = load(grads + down, stride, tile)
        if reads:
            output = load(dy + along, 0, column_of(tile))
            grad = plus_outer(grad, output, q)
            dq = plus_mixed(dq, output, load(new + down, stride, tile))
        slope = dots(grad, k)
        store(dv + along, 0, scaled(beta, slope))
        dbeta += dot(error, slope)
        dk = plus_mixed(dk, scaled(beta, error), grad)
        if corrects:
            dk = plus_mixed(dk, scaled(-beta, slope), decayed)
            grad = plus_outer(grad, scaled(-beta, slope), k)
        dlog_decay = plus_product(dlog_decay, grad, decayed)
        store(grads + down, stride, times_row(grad, alpha))
    return dq, dk, gathered(dlog_decay, alpha), dbeta

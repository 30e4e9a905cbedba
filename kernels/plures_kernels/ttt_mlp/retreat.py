"""One token backward through a two-layer memory under test-time training, by hand, for numba functions.

Forward, with all weights the sums of start and state, s the inner loss's slope at z, a' = gelu'(h), and primes else for
what is after the step:

    h = W1 k + b1     a = gelu(h)     z = W2ᵀ a + b2     u = −η s     o = W2 u     w = a' ∘ o     η = β / F
    W1' = W1 + w kᵀ   b1' = b1 + w    W2' = W2 + a uᵀ    b2' = b2 + u
    h' = W1' q + b1'  z' = W2'ᵀ gelu(h') + b2'           y = q + LN(z')

Backward, with G1, g1, G2, g2 the gradients of W1' … b2' that come from later tokens, dz' that which comes through the
read:

    G2 ← G2 + gelu(h') dz'ᵀ   g2 ← g2 + dz'   dh' = gelu'(h') ∘ W2' dz'   G1 ← G1 + dh' qᵀ   g1 ← g1 + dh'
    dq = dy + W1'ᵀ dh'        dw = G1 k + g1  da = G2 u                   du = G2ᵀ a + g2
    G2 ← G2 + (a' ∘ dw) uᵀ    du ← du + W2ᵀ (a' ∘ dw)                     ds = −η du        dβ = −⟨du, s⟩ / F
    G2 ← G2 + a dzᵀ           g2 ← g2 + dz    dh = a' ∘ (da + W2 dz) + gelu''(h) ∘ dw ∘ o
    G1 ← G1 + dh kᵀ           g1 ← g1 + dh    dk = G1ᵀ w + W1ᵀ dh − dtarget        dv = dtarget

where dz and dtarget are those of `ttt.cpu.slope_backward`, and G1ᵀ w is taken before dh is added. The trace has h, h',
w, z and z'; so W1 and W2 are had again from W1' and W2' by taking away what the token added, and no states are kept but
the last.
"""

from typing import Any

import numpy as np
from numba import njit

from ..simd import (
    FLOAT_BYTES,
    dot,
    dots,
    height,
    load,
    minus,
    plus,
    plus_mixed,
    plus_outer,
    plus_product,
    scaled,
    store,
    times,
    width,
    zeros_like,
)
from ..ttt.cpu import read_backward, slope, slope_backward
from .gelu import ONE, gelu, gelu_bend, gelu_slope


@njit
def retreat(
    w: Any, grads: Any, gain_at: Any, bias_at: Any, dgain_at: Any, dbias_at: Any, q: Any, k: Any, v: Any, beta: Any,
    trace: Any, dy: Any, room: Any, F: Any, V: Any, tile: Any, column: Any, group: Any,
) -> Any:  # fmt: skip
    """Weights and grads go from the new state's to the old one's; returns dq, dk, dv, dbeta. `room`: for 5 F floats."""
    grads_b2, answers = grads + (2 * F * V + F) * FLOAT_BYTES, trace + 3 * F * FLOAT_BYTES
    z, z_read = load(answers, 0, k), load(answers + V * FLOAT_BYTES, 0, k)
    gain, bias, target, rate = load(gain_at, 0, k), load(bias_at, 0, k), minus(v, k), beta / np.float32(F)
    s = slope(z, target, gain, bias)
    update = scaled(-rate, s)
    dz_read, dgain_read = read_backward(dy, z_read, gain)
    grad_b2 = plus(load(grads_b2, 0, k), dz_read)
    dq, dk, dupdate = dy, zeros_like(k), grad_b2
    for unit in range(0, F, width(group)):
        dupdate = second_layer(w, grads, update, dz_read, dupdate, trace, room, unit, F, V, tile, column, group)
        dq, dk = first_layer(w, grads, q, k, dq, dk, trace, room, unit, F, V, tile, column, group)
        dupdate = through_change(w, grads, update, dupdate, trace, room, unit, F, V, tile, column, group)
    dz, dgain, dbias = slope_backward(scaled(-rate, dupdate), z, target, gain, bias)
    for unit in range(0, F, width(group)):
        dk = through_loss(w, grads, k, dz, dk, trace, room, unit, F, V, tile, column, group)
    store(grads_b2, 0, plus(grad_b2, dz))
    store(dgain_at, 0, plus(load(dgain_at, 0, k), plus(dgain_read, dgain)))
    store(dbias_at, 0, plus(load(dbias_at, 0, k), plus(dy, dbias)))
    return dq, plus(dk, dbias), scaled(-ONE, dbias), -dot(dupdate, s) / np.float32(F)


@njit
def second_layer(
    w: Any, grads: Any, update: Any, dz: Any, dupdate: Any, trace: Any, room: Any, unit: Any, F: Any, V: Any, tile: Any,
    column: Any, group: Any,
) -> Any:  # fmt: skip
    """W2' becomes W2 and G2 has the read's part; leaves a, gelu(h') and then W2' dz', o, da at room; returns du."""
    here, line, second = unit * FLOAT_BYTES, F * FLOAT_BYTES, (F * V + F) * FLOAT_BYTES
    store(room + here, 0, gelu(load(trace + here, 0, group)))
    store(room + line + here, 0, gelu(load(trace + line + here, 0, group)))
    for i in range(unit, unit + width(group), height(tile)):
        down, along, stride = second + i * V * FLOAT_BYTES, room + i * FLOAT_BYTES, V * FLOAT_BYTES
        rows, active = load(w + down, stride, tile), load(along, 0, column)
        grad = plus_outer(load(grads + down, stride, tile), load(along + line, 0, column), dz)
        store(grads + down, stride, grad)
        store(along + line, 0, dots(rows, dz))
        rows = plus_outer(rows, scaled(-ONE, active), update)
        store(w + down, stride, rows)
        store(along + 2 * line, 0, dots(rows, update))
        store(along + 3 * line, 0, dots(grad, update))
        dupdate = plus_mixed(dupdate, active, grad)
    return dupdate


@njit
def first_layer(
    w: Any, grads: Any, q: Any, k: Any, dq: Any, dk: Any, trace: Any, room: Any, unit: Any, F: Any, V: Any, tile: Any,
    column: Any, group: Any,
) -> Any:  # fmt: skip
    """W1' becomes W1, G1 and g1 have the read's part; leaves dw at room; returns dq, and dk with G1ᵀ w."""
    here, line, grads_b1 = unit * FLOAT_BYTES, F * FLOAT_BYTES, grads + (F * V + unit) * FLOAT_BYTES
    dseen = times(gelu_slope(load(trace + line + here, 0, group)), load(room + line + here, 0, group))
    store(room + line + here, 0, dseen)
    for i in range(unit, unit + width(group), height(tile)):
        down, along, stride = i * V * FLOAT_BYTES, i * FLOAT_BYTES, V * FLOAT_BYTES
        rows, slopes = load(w + down, stride, tile), load(room + line + along, 0, column)
        change = load(trace + 2 * line + along, 0, column)
        grad = plus_outer(load(grads + down, stride, tile), slopes, q)
        store(grads + down, stride, grad)
        store(w + down, stride, plus_outer(rows, scaled(-ONE, change), k))
        store(room + 4 * line + along, 0, dots(grad, k))
        dq, dk = plus_mixed(dq, slopes, rows), plus_mixed(dk, change, grad)
    grad_b1 = plus(load(grads_b1, 0, group), dseen)
    store(grads_b1, 0, grad_b1)
    store(room + 4 * line + here, 0, plus(load(room + 4 * line + here, 0, group), grad_b1))
    return dq, dk


@njit
def through_change(
    w: Any, grads: Any, update: Any, dupdate: Any, trace: Any, room: Any, unit: Any, F: Any, V: Any, tile: Any,
    column: Any, group: Any,
) -> Any:  # fmt: skip
    """G2 has the part of w = a' ∘ W2 u; leaves dw ∘ o at room in place of o; returns du."""
    here, line, second = unit * FLOAT_BYTES, F * FLOAT_BYTES, (F * V + F) * FLOAT_BYTES
    dchange = load(room + 4 * line + here, 0, group)
    store(room + 2 * line + here, 0, times(load(room + 2 * line + here, 0, group), dchange))
    store(room + 4 * line + here, 0, times(gelu_slope(load(trace + here, 0, group)), dchange))
    for i in range(unit, unit + width(group), height(tile)):
        down, stride = second + i * V * FLOAT_BYTES, V * FLOAT_BYTES
        slopes = load(room + 4 * line + i * FLOAT_BYTES, 0, column)
        store(grads + down, stride, plus_outer(load(grads + down, stride, tile), slopes, update))
        dupdate = plus_mixed(dupdate, slopes, load(w + down, stride, tile))
    return dupdate


@njit
def through_loss(
    w: Any, grads: Any, k: Any, dz: Any, dk: Any, trace: Any, room: Any, unit: Any, F: Any, V: Any, tile: Any,
    column: Any, group: Any,
) -> Any:  # fmt: skip
    """All gradients have the part of f(k); returns dk with W1ᵀ dh."""
    here, line, second = unit * FLOAT_BYTES, F * FLOAT_BYTES, (F * V + F) * FLOAT_BYTES
    stride, grads_b1 = V * FLOAT_BYTES, grads + (F * V + unit) * FLOAT_BYTES
    for i in range(unit, unit + width(group), height(tile)):
        down, along = second + i * stride, room + i * FLOAT_BYTES
        store(grads + down, stride, plus_outer(load(grads + down, stride, tile), load(along, 0, column), dz))
        dactive = plus(load(along + 3 * line, 0, column), dots(load(w + down, stride, tile), dz))
        store(along + 3 * line, 0, dactive)
    hidden = load(trace + here, 0, group)
    bent = times(gelu_bend(hidden), load(room + 2 * line + here, 0, group))
    dhidden = plus_product(bent, gelu_slope(hidden), load(room + 3 * line + here, 0, group))
    store(room + 3 * line + here, 0, dhidden)
    store(grads_b1, 0, plus(load(grads_b1, 0, group), dhidden))
    for i in range(unit, unit + width(group), height(tile)):
        down, slopes = i * stride, load(room + 3 * line + i * FLOAT_BYTES, 0, column)
        store(grads + down, stride, plus_outer(load(grads + down, stride, tile), slopes, k))
        dk = plus_mixed(dk, slopes, load(w + down, stride, tile))
    return dk

"""One token of one head on the CPU, for numba functions: what the step, the scan and larger kernels are made of.

R rows of a state are worked on at a time; a tile is a block of R × K. What distinguishes the rules of the family,
`decays`, `corrects` and `steps` (of a token: J), is constant in each kernel, and costs nothing once it is inlined.
"""

from typing import Any, NamedTuple

from numba import njit

from ..directions import ONE, direction
from ..simd import (
    FLOAT_BYTES,
    column_of,
    dot,
    dots,
    exponential,
    filled,
    height,
    load,
    load_scalar,
    load_state,
    minus,
    plus_outer,
    plus_scaled,
    prefetch_state,
    prefetch_state_far,
    row_of,
    scaled,
    store,
    store_state,
    times_row,
    width,
)

# Key channels up to which the next states are brought into the first-level cache.
SHORT = 16


class Token(NamedTuple):
    """What a head is told at once: rows in registers, and addresses of what is read on the way.

    q, alpha: rows; alpha has K factors, or one for all channels. k: the row of the last inner step's key; `inner`: the
    address of the keys before it, one after another, which are none for most rules. v, beta: addresses of J rows of V
    values, and of J rates.
    """

    q: Any
    k: Any
    alpha: Any
    inner: Any
    v: Any
    beta: Any


@njit(forceinline=True)
def decay(address: Any, factors: Any, decays: bool) -> Any:
    """exp of what is at an address, shaped as `factors`; ones for a rule that does not decay."""
    alpha = filled(ONE, factors)
    if decays:
        alpha = exponential(load(address, 0, factors))
    return alpha


@njit(forceinline=True)
def take(
    q: Any, k: Any, v: Any, log_decay: Any, beta: Any, room: Any, normalize: bool, decays: bool, steps: int, tile: Any,
    factors: Any,
) -> Any:  # fmt: skip
    """The token whose parts lie at these addresses. `room`: that of as many floats as J − 1 keys have."""
    row = row_of(tile)
    stride = FLOAT_BYTES * width(row)
    for j in range(steps - 1):
        store(room + j * stride, 0, direction(k + j * stride, row, normalize))
    last = direction(k + (steps - 1) * stride, row, normalize)
    return Token(direction(q, row, normalize), last, decay(log_decay, factors, decays), room, v, beta)


@njit(forceinline=True)
def correction(state: Any, k: Any, v: Any, beta: Any, corrects: bool) -> Any:
    """What is written of a tile: β times the error of what it recalls under k, or times the value at v itself."""
    target = load(v, 0, column_of(state))
    if corrects:
        target = minus(target, dots(state, k))
    return scaled(beta, target)


@njit(forceinline=True)
def advance(
    token: Any, old: Any, new: Any, soon: Any, asks: bool, y: Any, V: Any, corrects: bool, steps: int, tile: Any
) -> None:
    """One token of one head, from the state `old` to `new` (they may be one); what is read goes to the address y.

    On the way it asks for the state `soon`, which comes next, if it `asks`.
    """
    row = row_of(tile)
    K = width(row)
    last = steps - 1
    overlap = dot(token.k, token.q)
    for i in range(0, V, height(tile)):
        if asks and K <= SHORT:
            prefetch_state(soon, i * K, tile)
        elif asks:
            prefetch_state_far(soon, i * K, tile)
        state = times_row(load_state(old, i * K, tile), token.alpha)
        for j in range(last):
            k = load(token.inner + j * K * FLOAT_BYTES, 0, row)
            beta = load_scalar(token.beta + j * FLOAT_BYTES)
            state = plus_outer(state, correction(state, k, token.v + (j * V + i) * FLOAT_BYTES, beta, corrects), k)
        beta = load_scalar(token.beta + last * FLOAT_BYTES)
        update = correction(state, token.k, token.v + (last * V + i) * FLOAT_BYTES, beta, corrects)
        store(y + i * FLOAT_BYTES, 0, plus_scaled(dots(state, token.q), overlap, update))
        store_state(new, i * K, plus_outer(state, update, token.k))

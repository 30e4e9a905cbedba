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
    store_scalar,
    store_state,
    times_row,
    width,
)

# Key channels up to which the next states are brought into the first-level cache.
SHORT = 16


class Token(NamedTuple):
    """What a head is told at once: rows in registers, and addresses of what is read on the way.

    q, alpha: rows; alpha has K factors, or one for all channels. k: the row of the last inner step's key; `inner`: the
    address of the J − 1 keys before it, which are none for most rules, and of J products for each of them: the first
    with q, the j-th with the j-th key if that comes later. v, beta: addresses of J rows of V values, and of J rates.
    """

    q: Any
    k: Any
    alpha: Any
    inner: Any
    v: Any
    beta: Any


def room_floats(J: int, K: int, R: int) -> int:
    """What a token needs to lay out, and behind that a column for each step before the last; never none."""
    return (J - 1) * (K + J + R) or 1


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
    """The token whose parts lie at these addresses. `room`: that of `room_floats`."""
    row = row_of(tile)
    stride = FLOAT_BYTES * width(row)
    overlaps, step = room + (steps - 1) * stride, steps * FLOAT_BYTES
    last = direction(k + (steps - 1) * stride, row, normalize)
    query = direction(q, row, normalize)
    for j in range(steps - 1):
        key = direction(k + j * stride, row, normalize)
        for i in range(j):
            store_scalar(overlaps + i * step + j * FLOAT_BYTES, dot(load(room + i * stride, 0, row), key))
        store_scalar(overlaps + j * step, dot(key, query))
        store_scalar(overlaps + j * step + (steps - 1) * FLOAT_BYTES, dot(key, last))
        store(room + j * stride, 0, key)
    return Token(query, last, decay(log_decay, factors, decays), room, v, beta)


@njit(forceinline=True)
def correction(recalled: Any, v: Any, beta: Any, corrects: bool) -> Any:
    """What is written of a tile: β times the error of what it recalls under a key, or times the value at v itself."""
    target = load(v, 0, recalled)
    if corrects:
        target = minus(target, recalled)
    return scaled(beta, target)


@njit(forceinline=True)
def advance(
    token: Any, old: Any, new: Any, soon: Any, asks: bool, y: Any, V: Any, corrects: bool, steps: int, tile: Any
) -> None:
    """One token of one head, from the state `old` to `new` (they may be one); what is read goes to the address y.

    All that is recalled is recalled at once, from the state before any inner step; what the steps change of it follows
    from their keys' products, since a sum over a row takes longest. Without correction there is one step. On the way it
    asks for the state `soon`, which comes next, if it `asks`.
    """
    row, column = row_of(tile), column_of(tile)
    K, R, last = width(row), height(tile), steps - 1
    stride, step, high = K * FLOAT_BYTES, steps * FLOAT_BYTES, R * FLOAT_BYTES
    overlaps, overlap = token.inner + last * stride, dot(token.k, token.q)
    changes = overlaps + last * step
    for i in range(0, V, R):
        if asks and K <= SHORT:
            prefetch_state(soon, i * K, tile)
        elif asks:
            prefetch_state_far(soon, i * K, tile)
        state, v = times_row(load_state(old, i * K, tile), token.alpha), token.v + i * FLOAT_BYTES
        read, recalled = dots(state, token.q), column
        for j in range(last):
            store(changes + j * high, 0, dots(state, load(token.inner + j * stride, 0, row)))
        if corrects:
            recalled = dots(state, token.k)
        for j in range(last):
            before = load(changes + j * high, 0, column)
            for earlier in range(j):
                product = load_scalar(overlaps + earlier * step + j * FLOAT_BYTES)
                before = plus_scaled(before, product, load(changes + earlier * high, 0, column))
            beta = load_scalar(token.beta + j * FLOAT_BYTES)
            update = correction(before, v + j * V * FLOAT_BYTES, beta, corrects)
            store(changes + j * high, 0, update)
            read = plus_scaled(read, load_scalar(overlaps + j * step), update)
            recalled = plus_scaled(recalled, load_scalar(overlaps + j * step + last * FLOAT_BYTES), update)
            state = plus_outer(state, update, load(token.inner + j * stride, 0, row))
        beta = load_scalar(token.beta + last * FLOAT_BYTES)
        update = correction(recalled, v + last * V * FLOAT_BYTES, beta, corrects)
        store(y + i * FLOAT_BYTES, 0, plus_scaled(read, overlap, update))
        store_state(new, i * K, plus_outer(state, update, token.k))

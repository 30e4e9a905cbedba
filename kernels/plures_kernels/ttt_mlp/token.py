"""One token of a two-layer memory under test-time training on the CPU, for numba functions.

A head's state is F·V + F + F·V + V floats: W1, b1, W2 and b2, both matrices with a row a hidden unit. So each of the
two passes, the loss's before the step (`recall`) and the update's (`learn`), goes once over the units: G of them at a
time (a group), whose rows are worked on R at a time (a tile).

A token has a trace, for the backward: the hidden units under k, under q after the step, and what the step adds to b1,
F floats each; f(k) before the step and f(q) after it, V each. And a room of 2 F floats: GELU of the first, its slope.
"""

from typing import Any

import numpy as np
from numba import njit

from ..simd import (
    FLOAT_BYTES,
    column_of,
    dots,
    height,
    load,
    load_state,
    plus,
    plus_mixed,
    plus_outer,
    plus_scaled,
    recalled,
    scaled,
    store,
    store_state,
    times,
    width,
)
from ..ttt.cpu import read, slope, whole
from .gelu import gelu, gelu_and_slope


@njit(forceinline=True)
def recall_units(
    token: Any, start: Any, state: Any, unit: Any, z: Any, trace: Any, room: Any, F: Any, tile: Any, group: Any
) -> Any:
    """A group of hidden units under k and under q, before the step; returns z and their part of f(k)."""
    V, here = width(token.k), unit * FLOAT_BYTES
    for i in range(unit, unit + width(group), height(tile)):
        rows = recalled(start, state, i * V, tile, token.keys)
        store(trace + i * FLOAT_BYTES, F * FLOAT_BYTES, rows)
    hidden, seen = trace + here, trace + F * FLOAT_BYTES + here
    b1 = whole(start, state, F * V + unit, group)
    h = plus(load(hidden, 0, group), b1)
    active, steep = gelu_and_slope(h)
    store(hidden, 0, h)
    store(seen, 0, plus(load(seen, 0, group), b1))
    store(room + here, 0, active)
    store(room + F * FLOAT_BYTES + here, 0, steep)
    for i in range(unit, unit + width(group), height(tile)):
        weights = whole(start, state, F * V + F + i * V, tile)
        z = plus_mixed(z, load(room + i * FLOAT_BYTES, 0, column_of(tile)), weights)
    return z


@njit(forceinline=True)
def recall(token: Any, start: Any, state: Any, trace: Any, room: Any, F: Any, tile: Any, group: Any) -> Any:
    """f(k), before the step."""
    z = whole(start, state, 2 * F * width(token.k) + F, token.k)
    for unit in range(0, F, width(group)):
        z = recall_units(token, start, state, unit, z, trace, room, F, tile, group)
    return z


@njit(forceinline=True)
def settle(token: Any, z: Any, F: Any) -> Any:
    """The update of f(k), given f(k)."""
    return scaled(-token.beta / np.float32(F), slope(z, token.target, token.gain, token.bias))


@njit(forceinline=True)
def learn_units(
    token: Any, update: Any, overlap: Any, start: Any, old: Any, new: Any, unit: Any, z: Any, trace: Any, room: Any,
    F: Any, tile: Any, group: Any,
) -> Any:  # fmt: skip
    """The step of a group of hidden units, from `old` to `new` (they may be one); returns z and their part of f(q)."""
    V, here, column = width(token.k), unit * FLOAT_BYTES, column_of(tile)
    seen, changes, steep = trace + F * FLOAT_BYTES, trace + 2 * F * FLOAT_BYTES, room + F * FLOAT_BYTES
    offset, second = F * V, F * V + F
    for i in range(unit, unit + width(group), height(tile)):
        store(changes + i * FLOAT_BYTES, 0, dots(whole(start, old, second + i * V, tile), update))
    change = times(load(steep + here, 0, group), load(changes + here, 0, group))
    after = plus_scaled(load(seen + here, 0, group), overlap, change)
    store(changes + here, 0, change)
    store(seen + here, 0, after)
    store(steep + here, 0, gelu(after))
    store_state(new, offset + unit, plus(load_state(old, offset + unit, group), change))
    for i in range(unit, unit + width(group), height(tile)):
        down, along = i * V, i * FLOAT_BYTES
        store_state(new, down, plus_outer(load_state(old, down, tile), load(changes + along, 0, column), token.k))
        rows = plus_outer(load_state(old, second + down, tile), load(room + along, 0, column), update)
        store_state(new, second + down, rows)
        weights = plus(rows, load(start + (second + down) * FLOAT_BYTES, V * FLOAT_BYTES, tile))
        z = plus_mixed(z, load(steep + along, 0, column), weights)
    return z


@njit(forceinline=True)
def finish(token: Any, update: Any, z: Any, z_read: Any, old: Any, new: Any, trace: Any, F: Any) -> Any:
    """The step of b2, and the end of the trace; returns y."""
    V = width(token.k)
    offset, answers = 2 * F * V + F, trace + 3 * F * FLOAT_BYTES
    store_state(new, offset, plus(load_state(old, offset, update), update))
    store(answers, 0, z)
    store(answers + V * FLOAT_BYTES, 0, z_read)
    return read(z_read, token.q, token.gain, token.bias)

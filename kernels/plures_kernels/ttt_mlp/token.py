"""One token of a two-layer memory under test-time training on the CPU, for numba functions.

A head's state is F·V + F + F·V + V floats: W1, b1, W2 and b2, both matrices with a row a hidden unit. So each of the
two passes, the loss's before the step and the update's, goes once over the units: G of them at a time (a group), whose
rows are worked on R at a time (a tile).
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
    load_state,
    minus,
    plus,
    plus_mixed,
    plus_outer,
    plus_scaled,
    prefetch_state,
    scaled,
    store,
    store_state,
    times,
    width,
)
from ..ttt.cpu import ONE, read, slope, whole
from .gelu import gelu, gelu_slope


@njit
def advance(
    old: Any, new: Any, soon: Any, start: Any, gain: Any, bias: Any, q: Any, k: Any, v: Any, beta: Any, trace: Any,
    room: Any, F: Any, V: Any, tile: Any, column: Any, group: Any,
) -> Any:  # fmt: skip
    """From the state `old` to `new` (they may be one); returns y.

    Left at trace: the hidden units under k, under q after the step, and what the step adds to b1, F floats each; f(k)
    before the step and f(q) after it, V each. `room`: for 2 F floats. On the way it asks for the state `soon`.
    """
    offset = 2 * F * V + F
    z = whole(start, old, offset, k)
    for unit in range(0, F, width(group)):
        z = recall(old, start, q, k, z, trace, room, unit, F, V, tile, column, group)
    update = scaled(-beta / np.float32(F), slope(z, minus(v, k), gain, bias))
    z_read = plus(whole(start, old, offset, k), update)
    overlap = dot(k, q) + ONE
    for unit in range(0, F, width(group)):
        z_read = learn(
            old, new, soon, start, update, k, overlap, z_read, trace, room, unit, F, V, tile, column, group
        )  # fmt: skip
    store_state(new, offset, plus(load_state(old, offset, k), update))
    store(trace + 3 * F * FLOAT_BYTES, 0, z)
    store(trace + (3 * F + V) * FLOAT_BYTES, 0, z_read)
    return read(z_read, q, gain, bias)


@njit
def recall(
    old: Any, start: Any, q: Any, k: Any, z: Any, trace: Any, room: Any, unit: Any, F: Any, V: Any, tile: Any,
    column: Any, group: Any,
) -> Any:  # fmt: skip
    """A group of hidden units under k and under q, before the step; returns z and their part of f(k)."""
    hidden, seen = trace, trace + F * FLOAT_BYTES
    for i in range(unit, unit + width(group), height(tile)):
        rows = whole(start, old, i * V, tile)
        store(hidden + i * FLOAT_BYTES, 0, dots(rows, k))
        store(seen + i * FLOAT_BYTES, 0, dots(rows, q))
    here = unit * FLOAT_BYTES
    b1 = whole(start, old, F * V + unit, group)
    h = plus(load(hidden + here, 0, group), b1)
    store(hidden + here, 0, h)
    store(seen + here, 0, plus(load(seen + here, 0, group), b1))
    store(room + here, 0, gelu(h))
    for i in range(unit, unit + width(group), height(tile)):
        z = plus_mixed(z, load(room + i * FLOAT_BYTES, 0, column), whole(start, old, F * V + F + i * V, tile))
    return z


@njit
def learn(
    old: Any, new: Any, soon: Any, start: Any, update: Any, k: Any, overlap: Any, z: Any, trace: Any, room: Any,
    unit: Any, F: Any, V: Any, tile: Any, column: Any, group: Any,
) -> Any:  # fmt: skip
    """The step of a group of hidden units, given that of f(k); returns z and their part of f(q)."""
    hidden, seen, changes = trace, trace + F * FLOAT_BYTES, trace + 2 * F * FLOAT_BYTES
    active, second = room + F * FLOAT_BYTES, F * V + F
    for i in range(unit, unit + width(group), height(tile)):
        store(changes + i * FLOAT_BYTES, 0, dots(whole(start, old, second + i * V, tile), update))
    here = unit * FLOAT_BYTES
    change = times(gelu_slope(load(hidden + here, 0, group)), load(changes + here, 0, group))
    after = plus_scaled(load(seen + here, 0, group), overlap, change)
    store(changes + here, 0, change)
    store(seen + here, 0, after)
    store(active + here, 0, gelu(after))
    store_state(new, F * V + unit, plus(load_state(old, F * V + unit, group), change))
    for i in range(unit, unit + width(group), height(tile)):
        down, along = i * V, i * FLOAT_BYTES
        prefetch_state(soon, down, tile)
        prefetch_state(soon, second + down, tile)
        store_state(new, down, plus_outer(load_state(old, down, tile), load(changes + along, 0, column), k))
        rows = plus_outer(load_state(old, second + down, tile), load(room + along, 0, column), update)
        store_state(new, second + down, rows)
        weights = plus(rows, load(start + (second + down) * FLOAT_BYTES, V * FLOAT_BYTES, tile))
        z = plus_mixed(z, load(active + along, 0, column), weights)
    return z

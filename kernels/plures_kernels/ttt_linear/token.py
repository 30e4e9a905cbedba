"""One token of a linear memory under test-time training on the CPU, for numba functions.

A head's state is V × V + V floats, W and then b; R rows of W are worked on at a time, a tile.
"""

from typing import Any

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
    plus_outer,
    plus_scaled,
    prefetch_state,
    scaled,
    store,
    store_state,
)
from ..ttt.cpu import ONE, read, slope, whole


@njit
def advance(
    old: Any, new: Any, soon: Any, start: Any, gain: Any, bias: Any, q: Any, k: Any, v: Any, beta: Any, trace: Any,
    V: Any, tile: Any, column: Any,
) -> Any:  # fmt: skip
    """From the state `old` to `new` (they may be one); returns y.

    f(k) before the step and f(q) after it are left at trace, V floats each. On the way it asks for the state `soon`.
    """
    z, z_read, offset = trace, trace + FLOAT_BYTES * V, V * V
    for i in range(0, V, height(tile)):
        rows = whole(start, old, i * V, tile)
        store(z + i * FLOAT_BYTES, 0, dots(rows, k))
        store(z_read + i * FLOAT_BYTES, 0, dots(rows, q))
    b = whole(start, old, offset, k)
    before = plus(b, load(z, 0, k))
    update = scaled(-beta, slope(before, minus(v, k), gain, bias))
    after = plus_scaled(plus(b, load(z_read, 0, k)), dot(k, q) + ONE, update)
    # For the columns of the update to be taken from.
    store(z, 0, update)
    for i in range(0, V, height(tile)):
        prefetch_state(soon, i * V, tile)
        change = load(z + i * FLOAT_BYTES, 0, column)
        store_state(new, i * V, plus_outer(load_state(old, i * V, tile), change, k))
    store_state(new, offset, plus(load_state(old, offset, k), update))
    store(z, 0, before)
    store(z_read, 0, after)
    return read(after, q, gain, bias)

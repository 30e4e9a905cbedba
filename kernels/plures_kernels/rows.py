"""How the CPU kernels go over a head's state of V × K: some rows at a time, which make a tile."""

import math
from typing import Any

from numba import njit

from .simd import height, load, store

# Floats of a state up to which it pays to ask for the next one: longer ones push out what is being worked on.
NEAR = 64 * 64
# Of up to 16 key channels, in a backward pass: half of the forward's, since there are twice as many operands.
MOST_BACKWARD = 4


def rows_at_a_time(V: int, K: int, most: int = 8) -> int:
    """R: a power of two that divides V; `most` up to 16 key channels, fewer for more, one from 64 on (measured)."""
    fit = max(1, most * 16 // max(K, 16)) if K < 64 else 1
    return math.gcd(V, 1 << (fit.bit_length() - 1))


@njit(forceinline=True)
def copy(old: Any, new: Any, stride: Any, V: Any, tile: Any) -> None:
    """The state at the address new becomes the one at old."""
    for i in range(0, V, height(tile)):
        store(new + i * stride, stride, load(old + i * stride, stride, tile))

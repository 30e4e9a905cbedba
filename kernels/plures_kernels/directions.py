"""Keys and queries in numba functions: brought to length one as by `norm.unit`, and the gradient of that.

A row is a block of one row; addresses are those of float32.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from .norm import EPSILON
from .simd import dot, load, plus_scaled, scaled

ONE = np.float32(1)
SMALL = np.float32(EPSILON)


@njit(forceinline=True)
def unit(row: Any) -> Any:
    """As `norm.unit`."""
    return scaled(ONE / np.float32(math.sqrt(dot(row, row) + SMALL)), row)


@njit(forceinline=True)
def direction(address: Any, row: Any, normalize: bool) -> Any:
    """The row at an address, of length one if asked for."""
    x = load(address, 0, row)
    if normalize:
        x = unit(x)
    return x


@njit(forceinline=True)
def query_and_key(q: Any, k: Any, row: Any, normalize: bool) -> Any:
    """The rows at two addresses, of length one if asked for."""
    return direction(q, row, normalize), direction(k, row, normalize)


@njit(forceinline=True)
def unit_backward(grad: Any, raw: Any, unit_row: Any) -> Any:
    """The gradient of x, given that of unit(x), the address of x, and unit(x)."""
    x = load(raw, 0, unit_row)
    return scaled(ONE / np.float32(math.sqrt(dot(x, x) + SMALL)), plus_scaled(grad, -dot(grad, unit_row), unit_row))

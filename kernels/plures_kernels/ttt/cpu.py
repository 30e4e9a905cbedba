"""The inner loss of test-time training on the CPU: its gradient, and the gradient of that, by hand.

All rows are blocks of one row of V channels. Of z: x the standardised row, r the factor 1 / sqrt(var z + 1e-6). Written
with P(a) = a − mean a − x mean(a ∘ x), which is symmetric, LN(z) = γ ∘ x + δ has the backward dz = r P(γ ∘ dLN).
"""

import math
from typing import Any

import numpy as np
from numba import njit

from ..simd import (
    FLOAT_BYTES,
    load,
    load_state,
    mean,
    minus,
    plus,
    plus_product,
    plus_scaled,
    scaled,
    shifted,
    times,
    width,
)
from .naive import EPSILON

ONE = np.float32(1)
SMALL = np.float32(EPSILON)


@njit
def whole(start: Any, state: Any, entry: Any, like: Any) -> Any:
    """The block of a memory's weights that begins at an entry: where they start, and what a life has added to that."""
    return plus(load(start + entry * FLOAT_BYTES, FLOAT_BYTES * width(like), like), load_state(state, entry, like))


@njit
def standardised(z: Any) -> Any:
    """As `naive.standardised`."""
    centred = shifted(z, -mean(z))
    scale = ONE / np.float32(math.sqrt(mean(times(centred, centred)) + SMALL))
    return scaled(scale, centred), scale


@njit
def projected(a: Any, x: Any) -> Any:
    """P(a): without its mean and its part along x."""
    return plus_scaled(shifted(a, -mean(a)), -mean(times(a, x)), x)


@njit
def read(z: Any, q: Any, gain: Any, bias: Any) -> Any:
    """As `naive.read`."""
    x, _ = standardised(z)
    return plus(q, plus_product(bias, gain, x))


@njit
def read_backward(dy: Any, z: Any, gain: Any) -> Any:
    """The gradients of z and of the gain, given that of the read; those of q and of the bias are dy."""
    x, scale = standardised(z)
    return scaled(scale, projected(times(gain, dy), x)), times(dy, x)


@njit
def slope(z: Any, target: Any, gain: Any, bias: Any) -> Any:
    """As `naive.slope`."""
    x, scale = standardised(z)
    error = minus(plus_product(bias, gain, x), target)
    return scaled(scale, projected(times(gain, error), x))


@njit
def slope_backward(dslope: Any, z: Any, target: Any, gain: Any, bias: Any) -> Any:
    """The gradients of z, the gain and the bias, given that of the slope r P(g); that of the target is −dbias.

    P is symmetric, so dg = P(dp) where dp = r dslope; through P's own x, dx = −mean(g ∘ x) dp − mean(dp ∘ x) g. And r
    changes with z by −r² x / V.
    """
    x, scale = standardised(z)
    error = minus(plus_product(bias, gain, x), target)
    g, dp = times(gain, error), scaled(scale, dslope)
    dg = projected(dp, x)
    derror = times(gain, dg)
    dx = plus_scaled(plus_scaled(times(gain, derror), -mean(times(g, x)), dp), -mean(times(dp, x)), g)
    along = -scale * mean(times(dp, projected(g, x)))
    dz = plus_scaled(scaled(scale, projected(dx, x)), along, x)
    return dz, plus_product(times(dg, error), derror, x), derror

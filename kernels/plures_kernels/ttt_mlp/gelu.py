"""GELU in its tanh form and its derivatives on blocks: x σ(A x + C x³), with p = σ(…) and t = A + 3 C x²."""

from typing import Any

import numpy as np
from numba import njit

from ..simd import plus, plus_product, scaled, shifted, sigmoid, times
from . import naive

A, C, C3, C6 = (np.float32(x) for x in (naive.A, naive.C, 3 * naive.C, 6 * naive.C))
ONE, TWO = np.float32(1), np.float32(2)


@njit
def gate(x: Any) -> Any:
    """σ(A x + C x³)."""
    return sigmoid(times(x, shifted(scaled(C, times(x, x)), A)))


@njit
def one_less(x: Any) -> Any:
    """1 − x."""
    return shifted(scaled(-ONE, x), ONE)


@njit
def gelu(x: Any) -> Any:
    """x p."""
    return times(x, gate(x))


@njit
def gelu_and_slope(x: Any) -> Any:
    """x p, and its first derivative: p + x p (1 − p) t."""
    p = gate(x)
    active = times(x, p)
    steep = times(active, one_less(p))
    return active, plus_product(p, steep, shifted(scaled(C3, times(x, x)), A))


@njit
def gelu_slope(x: Any) -> Any:
    """The first derivative."""
    return gelu_and_slope(x)[1]


@njit
def gelu_bend(x: Any) -> Any:
    """The second derivative: p (1 − p) (2 t + x (1 − 2 p) t² + 6 C x²)."""
    p, square = gate(x), times(x, x)
    steep = times(p, one_less(p))
    t = shifted(scaled(C3, square), A)
    middle = times(times(x, one_less(scaled(TWO, p))), times(t, t))
    return times(steep, plus(plus(scaled(TWO, t), middle), scaled(C6, square)))

"""What a memory under test-time training is told of one token, for numba functions."""

from typing import Any, NamedTuple

from numba import njit

from ..directions import direction
from ..simd import both, load, load_scalar, minus


class Token(NamedTuple):
    """What a head is told at once: rows of V, and the learning rate. `keys`: k and q, one block; `target`: v − k."""

    keys: Any
    k: Any
    q: Any
    target: Any
    gain: Any
    bias: Any
    beta: Any


@njit(forceinline=True)
def take(q: Any, k: Any, v: Any, gain: Any, bias: Any, beta: Any, normalize: bool, row: Any) -> Any:
    """The token whose parts lie at these addresses."""
    key, query = direction(k, row, normalize), direction(q, row, normalize)
    target = minus(load(v, 0, row), key)
    return Token(both(key, query), key, query, target, load(gain, 0, row), load(bias, 0, row), load_scalar(beta))

"""Random numbers by counter, as the server draws them: what a client must foresee of a task, it draws alike.

SplitMix64's finaliser (Steele, Lea & Flood, OOPSLA 2014), twice: bit for bit what `plures_kernels.counter` is.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GOLDEN, _STREAM = np.uint64(0x9E3779B97F4A7C15), 0xD1B54A32D192ED03


def bits(seed: ArrayLike, step: ArrayLike, stream: int = 0) -> NDArray[np.uint64]:
    """64 random bits for each (seed, step), which broadcast; both are whole numbers below 2^64."""
    of_stream = np.uint64((stream * _STREAM + int(_GOLDEN)) & 0xFFFFFFFFFFFFFFFF)
    # Arrays wrap around silently, scalars with a warning.
    seeds, steps = np.atleast_1d(np.asarray(seed, np.uint64)), np.atleast_1d(np.asarray(step, np.uint64))
    return _mixed(_mixed(seeds + of_stream) + steps * _GOLDEN)


def uniform(seed: ArrayLike, step: ArrayLike, stream: int = 0) -> NDArray[np.float32]:
    """Uniform float32 in [0, 1), a multiple of 2^-24."""
    return (bits(seed, step, stream) >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


def normal(seed: ArrayLike, step: ArrayLike, radius_stream: int, angle_stream: int) -> NDArray[np.float64]:
    """Standard normal numbers (Box & Muller 1958), up to the server's rounding to float32."""
    radius = np.sqrt(-2 * np.log1p(-uniform(seed, step, radius_stream).astype(np.float64)))
    angle = 2 * np.pi * uniform(seed, step, angle_stream).astype(np.float64)
    return np.asarray(radius * np.cos(angle), np.float64)


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))

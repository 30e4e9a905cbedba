"""Which particles go on, and how often. N particles."""

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidArgument

Weights = NDArray[np.float64]
HALVINGS = 60
MOST_EXPONENT = 6.5
"""exp(−exp(6.5)) is not yet 0 with a warning, and counts for nothing."""


def effective(weight_N: Weights) -> float:
    """The effective number of particles, 1 / Σ w² (Kong, Liu & Wong 1994)."""
    return float(1 / np.square(weight_N).sum())


def tempered(score_N: NDArray[np.floating], share: float) -> Weights:
    """Weights ∝ exp(score / T), with the least T that leaves an effective number of `share` · N.

    So they depend on how scores lie to each other, not on their scale (adaptive tempering: Del Moral, Doucet & Jasra
    2012). Particles that scored −∞ weigh nothing; where all that is left are equal, they weigh the same.

    Raises:
        InvalidArgument: a score is NaN or +∞, or all are −∞.
    """
    score_N = np.asarray(score_N, np.float64)
    if np.isnan(score_N).any() or np.isposinf(score_N).any() or np.isneginf(score_N).all():
        raise InvalidArgument(f"scores from {score_N.min()} to {score_N.max()} given; they are numbers, or −∞ for some")
    behind_N = score_N.max() - score_N
    finite_N = behind_N[np.isfinite(behind_N)]
    wanted = share * len(score_N)
    if finite_N.max() == 0 or wanted >= len(finite_N):
        equal_N: Weights = np.isfinite(behind_N) / len(finite_N)
        return equal_N
    # In logarithms: neither tiny nor huge differences overflow. −∞ stands for those that are best.
    with np.errstate(divide="ignore"):
        log_behind_N = np.log(behind_N)
    log_finite = log_behind_N[np.isfinite(log_behind_N)]
    # Between a temperature at which the best alone count and one at which all do.
    low, high = log_finite.min() - 5, log_finite.max() + np.log(len(score_N)) + 5
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if effective(_boltzmann(log_behind_N, middle)) < wanted else (low, middle)
    return _boltzmann(log_behind_N, high)


def _boltzmann(log_behind_N: Weights, log_temperature: float) -> Weights:
    weight_N: Weights = np.exp(-np.exp(np.minimum(log_behind_N - log_temperature, MOST_EXPONENT)))
    shared: Weights = weight_N / weight_N.sum()
    return shared


def systematic(weight_N: Weights, draw: float) -> NDArray[np.int64]:
    """How many descendants each has, N in all: ⌊N w⌋ or ⌈N w⌉ of each (Carpenter, Clifford & Fearnhead 1999).

    `draw` is uniform in [0, 1).
    """
    count = len(weight_N)
    edges = np.floor(weight_N.cumsum() / weight_N.sum() * count - draw + 1)
    edges[-1] = count
    descendants_N: NDArray[np.int64] = np.diff(edges.clip(0, count), prepend=0).astype(np.int64)
    return descendants_N

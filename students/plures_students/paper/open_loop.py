"""Free copies beside the people whose tasks they were given.

Shapes: N rows of lives, L lives, K situations, R resamples.
"""

from typing import Any

import numpy as np

from ..fidelity import compare_lives, compare_rates, compare_within_bounds
from ..fidelity.behaviour import Rates, observe
from ..lives import Lives
from .people import Real

ITERATIONS = 8
"""How often stimuli are shown that all are shown as often, but for few."""
_RESAMPLES = 1000


def compare_bandits(people: Lives, copies: Lives, each: int | None = None) -> dict[str, Any]:
    """All measures of `plures fidelity`, and how much of the people's rise the copies show.

    With `each`, so many classic learners a person play, too, and it is told by which steps copies give themselves away.
    """
    found = compare_lives(people, copies) if each is None else compare_within_bounds(people, copies, each)
    return {**found, "rise": _rise(people, copies)}


def compare_load(people: Lives, copies: Lives) -> dict[str, Any]:
    """Share of right answers by the size of the set and how often a stimulus was shown."""
    sizes = np.unique(people.observation_N[:, 1]) + 1
    report = compare_rates(_accuracy(people, sizes), _accuracy(copies, sizes))
    return {"sizes": sizes.tolist(), "iterations": ITERATIONS, **report}


def _accuracy(lives: Lives, sizes: Real) -> Rates:
    iteration_N, size_N = lives.extra["iteration"], lives.observation_N[:, 1] + 1
    early_N = iteration_N <= ITERATIONS
    kinds = len(sizes) * ITERATIONS
    kind_N = np.searchsorted(sizes, size_N) * ITERATIONS + iteration_N - 1
    place_N = (lives.life_of_row_N * kinds + kind_N)[early_N]
    right_N = (lives.action_N == lives.extra["best_action"])[early_N]
    size = len(lives) * kinds
    count, hit = (np.bincount(place_N, weights, size) for weights in (None, right_N.astype(np.float64)))
    return Rates(hit.reshape(-1, kinds).astype(np.float64), count.reshape(-1, kinds).astype(np.float64))


def _rise(people: Lives, copies: Lives) -> dict[str, Any]:
    """P(better) in the last third of a block less that in the first; resampled are people and copies alike."""
    rng = np.random.default_rng(0)
    thirds = {who: observe(lives, 1).rates["best_by_third"] for who, lives in (("people", people), ("copies", copies))}
    rise = {who: _last_less_first(rates.pooled(np.ones((1, len(rates.hit_LK)))))[0] for who, rates in thirds.items()}
    drawn = {who: _last_less_first(rates.pooled(_resampled(rng, len(rates.hit_LK)))) for who, rates in thirds.items()}
    low, high = np.percentile(drawn["copies"] / drawn["people"], (2.5, 97.5))
    share = float(rise["copies"] / rise["people"])
    return {
        **{who: float(value) for who, value in rise.items()},
        "share": share,
        "low": float(low),
        "high": float(high),
    }


def _last_less_first(third_RK: Real) -> Real:
    rise_R: Real = third_RK[:, 2] - third_RK[:, 0]
    return rise_R


def _resampled(rng: np.random.Generator, lives: int) -> Real:
    return rng.multinomial(lives, np.full(lives, 1 / lives), _RESAMPLES).astype(np.float64)

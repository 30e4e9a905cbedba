"""Whether lives of copies can be told from lives of their teacher, by the first steps of each: a two-sample test.

A logistic classifier sees how a life went up to a horizon (the rates that `observe` counts, and how long runs were) and
says whose it is; lives that it was not fitted to are ranked by what it says (Lopez-Paz & Oquab 2017,
arXiv:1610.06545). The area under the curve is the chance that a copy's life is thought more like a copy's than a
teacher's life is: .5 where nothing tells them apart, 1 where each life gives its kind away.

Shapes: N rows, L lives, F features, R resamples.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..identify.misfit import auc
from ..lives import Lives
from .behaviour import Behaviour, observe

Real = NDArray[np.float64]

SHORTEST = 20
"""Steps that a classifier sees at least."""
FEWEST = 10
"""Lives of each kind that telling takes."""
_PARTS = 5
_SPLITS = 20
_RESAMPLES = 400
_RIDGE = 1.0
_DESCENTS = 12
_RUNS = 2 ** np.arange(1, 7)


def horizons(lives: Lives) -> list[int]:
    """Numbers of steps, each twice the one before, up to the middle one of the lives' lengths."""
    longest = int(np.median(lives.lengths))
    doubled = [SHORTEST * 2**power for power in range(32) if SHORTEST * 2**power < longest]
    return [*doubled, longest]


def told_apart(teacher: Lives, others: Lives, seed: int = 0) -> list[dict[str, Any]]:
    """The area under the curve at each of the teacher's horizons, with a 95 % bootstrap interval over lives."""
    return [{"steps": steps, **_told(*_both(teacher, others, steps), seed)} for steps in horizons(teacher)]


def halves_told_apart(lives: Lives, seed: int = 0) -> list[dict[str, Any]]:
    """The same of random halves of the lives: the mean over ways to halve them, and what 95 of 100 stay below.

    Copies cannot be asked to be told less.
    """
    rng = np.random.default_rng(seed)
    first_RL = rng.permuted(np.tile(np.arange(len(lives)) < len(lives) // 2, (_SPLITS, 1)), axis=1)
    found = []
    for steps in horizons(lives):
        seen = observe(beginnings(lives, steps), bins=1)
        feature_LF = _features(seen, list(seen.rates))
        area_R = [_area(_scores(feature_LF, first_L, rng), first_L) for first_L in first_RL]
        found.append({"steps": steps, "mean": float(np.mean(area_R)), "p95": float(np.percentile(area_R, 95))})
    return found


def beginnings(lives: Lives, steps: int) -> Lives:
    """The first steps of each life; a shorter one as it is."""
    length_L = np.minimum(lives.lengths, steps)
    kept_N = np.arange(lives.steps) - np.repeat(lives.offsets[:-1], lives.lengths) < steps
    names = "step_N", "observation_N", "action_N", "reward_N", "done_N"
    columns = {name: getattr(lives, name)[kept_N] for name in names}
    extra = {name: values[kept_N] for name, values in lives.extra.items()}
    return replace(lives, offsets=np.append(0, np.cumsum(length_L)), extra=extra, **columns)


def _both(teacher: Lives, others: Lives, steps: int) -> tuple[Real, NDArray[np.bool_]]:
    """Features of all lives, and which of them are not the teacher's."""
    seen = [observe(beginnings(lives, steps), bins=1) for lives in (teacher, others)]
    names = [name for name in seen[0].rates if name in seen[1].rates]
    feature_LF = np.concatenate([_features(behaviour, names) for behaviour in seen])
    return feature_LF, np.repeat([False, True], [len(teacher), len(others)])


def _features(seen: Behaviour, names: Sequence[str]) -> Real:
    """How each life went; NaN where it never came to that."""
    rates = [seen.rates[name] for name in names if not name.endswith("by_trial")]
    with np.errstate(invalid="ignore"):
        rate_LF = np.concatenate([rate.hit_LK / rate.count_LK for rate in rates], axis=1)
        longer_LF = np.stack([seen.run_LK[:, length - 1 :].sum(axis=1) for length in _RUNS], axis=1)
        return np.concatenate([rate_LF, longer_LF / seen.run_LK.sum(axis=1, keepdims=True)], axis=1)


def _told(feature_LF: Real, other_L: NDArray[np.bool_], seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    score_L = _scores(feature_LF, other_L, rng)
    drawn = [_resampled(rng, other_L) for _ in range(_RESAMPLES)]
    low, high = np.percentile([_area(score_L[places], other_L[places]) for places in drawn], (2.5, 97.5))
    return {"mean": _area(score_L, other_L), "low": float(low), "high": float(high)}


def _resampled(rng: np.random.Generator, other_L: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Places of lives drawn anew, as many of each kind."""
    return np.concatenate([rng.choice(places, len(places)) for places in map(np.flatnonzero, (~other_L, other_L))])


def _scores(feature_LF: Real, other_L: NDArray[np.bool_], rng: np.random.Generator) -> Real:
    """What a classifier says of each life that was fitted to the lives of the other parts."""
    part_L = np.empty(len(other_L), np.int64)
    for places in map(np.flatnonzero, (~other_L, other_L)):
        part_L[places] = rng.permutation(np.arange(len(places)) % _PARTS)
    score_L = np.empty(len(other_L))
    for part in range(_PARTS):
        held_L = part_L == part
        score_L[held_L] = _fitted(feature_LF[~held_L], other_L[~held_L], feature_LF[held_L])
    return score_L


def _fitted(feature_LF: Real, other_L: NDArray[np.bool_], asked_LF: Real) -> Real:
    """Logistic regression with a ridge, by Newton's method; both kinds weigh as much, however many they are."""
    mean_F, spread_F = _nan_moments(feature_LF)
    known, asked = ((np.nan_to_num((x_LF - mean_F) / spread_F)) for x_LF in (feature_LF, asked_LF))
    known, asked = (np.concatenate([x_LF, np.ones((len(x_LF), 1))], axis=1) for x_LF in (known, asked))
    weight_L = np.where(other_L, 0.5 / other_L.mean(), 0.5 / (1 - other_L.mean()))
    ridge_FF = _RIDGE * np.eye(known.shape[1])
    slope_F = np.zeros(known.shape[1])
    for _ in range(_DESCENTS):
        chance_L = 1 / (1 + np.exp(-np.clip(known @ slope_F, -30, 30)))
        downhill_F = known.T @ (weight_L * (other_L - chance_L)) - ridge_FF @ slope_F
        bend_FF = (known * (weight_L * chance_L * (1 - chance_L))[:, None]).T @ known + ridge_FF
        slope_F = slope_F + np.linalg.solve(bend_FF, downhill_F)
    score_L: Real = asked @ slope_F
    return score_L


def _nan_moments(feature_LF: Real) -> tuple[Real, Real]:
    """Means and spreads of what is known; of what is nowhere known or never differs, 0 and 1."""
    known_LF = np.isfinite(feature_LF)
    count_F = np.maximum(known_LF.sum(axis=0), 1)
    mean_F = np.where(known_LF, feature_LF, 0).sum(axis=0) / count_F
    spread_F = np.sqrt(np.where(known_LF, (feature_LF - mean_F) ** 2, 0).sum(axis=0) / count_F)
    return mean_F, np.where(spread_F > 1e-12, spread_F, 1)


def _area(score_L: Real, other_L: NDArray[np.bool_]) -> float:
    return auc(score_L[~other_L], score_L[other_L])

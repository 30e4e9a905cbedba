"""How far copies behave from their teacher, against how far halves of the teacher's lives behave from each other.

Shapes: L lives, K places of a curve, R resamples.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..lives import Lives, LivesError
from .behaviour import BIN, Behaviour, Rates, action_count, observe, run_distance

_RESAMPLES = 1000
_INTERVAL = (2.5, 97.5)
_QUANTILES = (0.5, 0.9)
_NOTHING = 1e-12


def compare_lives(teacher: Lives, copies: Lives, seed: int = 0) -> dict[str, Any]:
    """Every measure of both with 95 % bootstrap intervals over lives, and the distance between them.

    A distance is the root mean square of differences over a curve's places, weighted by how often the teacher was
    there; for run lengths, Wasserstein-1 in powers of two. `halves` are distances between random halves of the
    teacher's lives: copies cannot be asked to be nearer than those.
    """
    if len(teacher) < 2:
        raise LivesError("the teacher has one life; two are needed to know how lives differ")
    if action_count(copies) != action_count(teacher):
        spaces = copies.card.action_space, teacher.card.action_space
        raise LivesError(f"copies choose from {spaces[0]}, their teacher from {spaces[1]}: they cannot be compared")
    bins = _bins(teacher)
    seen = {"teacher": observe(teacher, bins), "copies": observe(copies, bins)}
    rng = np.random.default_rng(seed)
    weights = {name: _resampled(rng, len(lives)) for name, lives in (("teacher", teacher), ("copies", copies))}
    halves = _halves(rng, len(teacher))
    shared = [name for name in seen["teacher"].rates if all(_happened(who, name) for who in seen.values())]
    return {
        "lives": {"teacher": len(teacher), "copies": len(copies)},
        "actions": action_count(teacher),
        "trials_a_place": BIN,
        "measures": {
            name: _rates({who: behaviour.rates[name] for who, behaviour in seen.items()}, weights, halves)
            for name in shared
        },
        "run_length": _runs(seen, weights, halves),
    }


def compare_rates(teacher: Rates, copies: Rates, seed: int = 0) -> dict[str, Any]:
    """One measure of both, of any kinds of situation, as `compare_lives` tells it."""
    rng = np.random.default_rng(seed)
    rates = {"teacher": teacher, "copies": copies}
    weights = {who: _resampled(rng, len(rate.hit_LK)) for who, rate in rates.items()}
    return _rates(rates, weights, _halves(rng, len(teacher.hit_LK)))


def _happened(behaviour: Behaviour, name: str) -> bool:
    return name in behaviour.rates and bool(behaviour.rates[name].count_LK.any())


def _bins(lives: Lives) -> int:
    """As many places as half of the teacher's episodes reach."""
    return max(1, int(np.median(np.diff(lives.episodes())) // BIN))


def _resampled(rng: np.random.Generator, lives: int) -> NDArray[np.float64]:
    """How often each life is drawn in bootstrap resamples, [R, L]."""
    return rng.multinomial(lives, np.full(lives, 1 / lives), _RESAMPLES).astype(np.float64)


def _halves(rng: np.random.Generator, lives: int) -> NDArray[np.float64]:
    """Random halves [R, L] as zeros and ones; of an odd number of lives, the first half is the smaller."""
    return rng.permuted(np.tile(np.arange(lives) < lives // 2, (_RESAMPLES, 1)), axis=1).astype(np.float64)


def _rates(
    rates: dict[str, Rates], weights: dict[str, NDArray[np.float64]], half_RL: NDArray[np.float64]
) -> dict[str, Any]:
    once = {who: np.ones((1, len(rate.hit_LK))) for who, rate in rates.items()}
    mean = {who: rate.pooled(once[who]) for who, rate in rates.items()}
    weight_K = rates["teacher"].count_LK.sum(axis=0)
    first_RK, second_RK = (rates["teacher"].pooled(half) for half in (half_RL, 1 - half_RL))
    described = {who: _with_interval(mean[who][0], rate.pooled(weights[who])) for who, rate in rates.items()}
    distance = float(_distance(mean["teacher"], mean["copies"], weight_K)[0])
    return {**described, "distance": distance, "halves": _spread(_distance(first_RK, second_RK, weight_K))}


def _runs(
    seen: dict[str, Behaviour], weights: dict[str, NDArray[np.float64]], half_RL: NDArray[np.float64]
) -> dict[str, Any]:
    run_LK = {who: behaviour.run_LK for who, behaviour in seen.items()}
    whole = {who: counts.sum(axis=0, keepdims=True) for who, counts in run_LK.items()}
    described = {
        who: {
            **_with_interval(_quantiles(whole[who])[0], _quantiles(weights[who] @ counts)),
            "share_at_least": _survival(whole[who][0]),
        }
        for who, counts in run_LK.items()
    }
    halves = run_distance(half_RL @ run_LK["teacher"], (1 - half_RL) @ run_LK["teacher"])
    distance = float(run_distance(whole["teacher"], whole["copies"])[0])
    return {"quantiles": _QUANTILES, **described, "distance": distance, "halves": _spread(halves)}


def _with_interval(mean_K: NDArray[np.float64], resampled_RK: NDArray[np.float64]) -> dict[str, Any]:
    low_K, high_K = np.full((2, len(mean_K)), np.nan)
    # Of what happened in no resample, there is no interval.
    known_K = np.isfinite(resampled_RK).any(axis=0)
    low_K[known_K], high_K[known_K] = np.nanpercentile(resampled_RK[:, known_K], _INTERVAL, axis=0)
    return {"mean": _told(mean_K), "low": _told(low_K), "high": _told(high_K)}


def _told(value_K: NDArray[np.float64]) -> list[float | None]:
    """As JSON knows numbers: null for what never happened."""
    return [value if np.isfinite(value) else None for value in value_K.tolist()]


def _distance(
    mean_RK: NDArray[np.float64], other_RK: NDArray[np.float64], weight_K: NDArray[np.float64]
) -> NDArray[np.float64]:
    square_RK = (mean_RK - other_RK) ** 2
    # Where only one of them ever was, they cannot be compared.
    weight_RK = np.where(np.isfinite(square_RK), weight_K, 0)
    total_R = np.maximum(weight_RK.sum(axis=1), _NOTHING)
    distance: NDArray[np.float64] = np.sqrt((np.nan_to_num(square_RK) * weight_RK).sum(axis=1) / total_R)
    return distance


def _spread(values_R: NDArray[np.float64]) -> dict[str, float]:
    return {"mean": float(values_R.mean()), "p95": float(np.percentile(values_R, 95))}


def _quantiles(run_RK: NDArray[np.float64]) -> NDArray[np.float64]:
    """Run lengths [R, quantile]."""
    cdf_RK = np.cumsum(run_RK, axis=1) / run_RK.sum(axis=1, keepdims=True)
    return np.stack([(cdf_RK < q).sum(axis=1) + 1.0 for q in _QUANTILES], axis=1)


def _survival(run_K: NDArray[np.float64]) -> list[float]:
    """Share of runs of at least 1, 2, 4, … choices, as long as there are some."""
    share_K = np.cumsum(run_K[::-1])[::-1] / run_K.sum()
    shares = [float(share_K[2**power - 1]) for power in range(int(np.log2(len(run_K))) + 1)]
    return [share for share in shares if share > 0]

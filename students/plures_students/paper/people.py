"""Figures over people: every person counts once, as the mean over the students (of several seeds) that met them.

Shapes: P people, R resamples, S seeds.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Result = dict[str, Any]

_RESAMPLES = 2000
_INTERVAL = (2.5, 97.5)


def loss_of_people(results: Sequence[Result], part: str, pooled: bool, lives: set[int] | None = None) -> dict[str, Any]:
    """Log-loss of one part of lives: mean, 95 % bootstrap interval over people, and the mean of each seed.

    `pooled`: a choice counts once; else a person does. `lives`: whom to count, by default all.
    """
    loss, weight = (_mean_by_person(results, f"{part}_{name}", lives) for name in ("nll", "choices"))
    weight = weight if pooled else np.ones_like(weight)
    return {**mean_with_interval(loss, weight), "by_seed": _by_seed(results, part, pooled, lives)}


def gain_of_people(results: Sequence[Result], less: str, than: str) -> dict[str, Any]:
    """How much less the log-loss of one part is than that of another, paired by person, a person counting once."""
    gain = _mean_by_person(results, f"{than}_nll", None) - _mean_by_person(results, f"{less}_nll", None)
    return mean_with_interval(gain, np.ones_like(gain))


def gain_over(results: Sequence[Result], part: str, known: Mapping[int, float]) -> dict[str, Any]:
    """How much less the log-loss of a part is than that `known` of the same people, who are those counted."""
    ours, theirs = _mean_by_person(results, f"{part}_nll", set(known)), _known_of_met(results, known)
    return {"theirs": float(theirs.mean()), **mean_with_interval(theirs - ours, np.ones_like(ours))}


def mean_with_interval(value_P: Real, weight_P: Real) -> dict[str, Any]:
    """Weighted mean, and its 95 % bootstrap interval over people; no interval of one person."""
    mean = float(value_P @ weight_P / weight_P.sum())
    if len(value_P) < 2:
        return {"mean": mean, "low": None, "high": None, "people": len(value_P)}
    rng = np.random.default_rng(0)
    drawn_RP = rng.multinomial(len(value_P), np.full(len(value_P), 1 / len(value_P)), _RESAMPLES)
    low, high = np.percentile(drawn_RP @ (value_P * weight_P) / (drawn_RP @ weight_P), _INTERVAL)
    return {"mean": mean, "low": float(low), "high": float(high), "people": len(value_P)}


def _known_of_met(results: Sequence[Result], known: Mapping[int, float]) -> Real:
    met = {person["life"] for result in results for person in result["people"]}
    return np.array([known[life] for life in sorted(met & known.keys())])


def _by_seed(results: Sequence[Result], part: str, pooled: bool, lives: set[int] | None) -> list[dict[str, Any]]:
    entries = []
    for seed in sorted({result["settings"]["seed"] for result in results}):
        those = [result for result in results if result["settings"]["seed"] == seed]
        loss, weight = (_mean_by_person(those, f"{part}_{name}", lives) for name in ("nll", "choices"))
        mean = float(np.average(loss, weights=weight if pooled else None))
        entries.append({"seed": seed, "folds": len(those), "mean": mean})
    return entries


def _mean_by_person(results: Sequence[Result], entry: str, lives: set[int] | None) -> Real:
    """Means over results, [P], people in order of their numbers."""
    values: dict[int, list[float]] = defaultdict(list)
    for person in (person for result in results for person in result["people"]):
        if lives is None or person["life"] in lives:
            values[person["life"]].append(person[entry])
    return np.array([np.mean(values[life]) for life in sorted(values)])

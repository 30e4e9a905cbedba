"""What was measured on lives that were not trained on. L lives, N rows, A actions."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..lives import Lives
from ..model import Student
from .histories import Histories
from .likelihood import mean_by_life, nll, segment_log_probs


def compare_predictions(lives: Lives, log_prob_NA: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    """Likelihood of the lives' choices under several predictors, and the last one's gain over each other, by life."""
    scores = {name: _score(lives, values_NA) for name, values_NA in log_prob_NA.items()}
    *others, last = log_prob_NA
    by_life = {name: mean_by_life(lives, nll(values_NA, lives.action_N)) for name, values_NA in log_prob_NA.items()}
    gains = {name: mean_and_error(by_life[name] - by_life[last]) for name in others}
    return {"lives": len(lives), "choices": lives.steps, "predictors": scores, f"gain_of_{last}_over": gains}


def becoming(student: Student, lives: Lives) -> dict[str, Any]:
    """What replaying a life teaches a copy about whom it is: its gain, in nats a choice, on the life's last episode.

    Compares the copy that lived all episodes before with a newborn one, on the same choices, paired by life. Lives of
    one episode are left out.
    """
    bounds = lives.episodes()
    last_L = bounds[np.searchsorted(bounds, lives.offsets[1:]) - 1]
    places = np.flatnonzero(last_L > lives.offsets[:-1])
    if len(places) == 0:
        return {"lives": 0, "gain": mean_and_error(np.zeros(0))}
    histories = Histories(lives)
    start_B, episode_B, stop_B = lives.offsets[:-1][places], last_L[places], lives.offsets[1:][places]
    replayed = _mean_of_tail(student, histories, start_B, episode_B, stop_B)
    newborn = _mean_of_tail(student, histories, episode_B, episode_B, stop_B)
    return {
        "lives": len(places),
        "nll_newborn": float(newborn.mean()),
        "nll_replayed": float(replayed.mean()),
        "gain": mean_and_error(newborn - replayed),
    }


def mean_and_error(values: NDArray[np.float64]) -> dict[str, float | None]:
    """Mean and its standard error; no error of fewer than two values."""
    if len(values) < 2:
        return {"mean": float(values.mean()) if len(values) else None, "standard_error": None}
    return {"mean": float(values.mean()), "standard_error": float(values.std(ddof=1) / np.sqrt(len(values)))}


def _score(lives: Lives, log_prob_NA: NDArray[np.float64]) -> dict[str, float]:
    mean = float(nll(log_prob_NA, lives.action_N).mean())
    right = float((log_prob_NA.argmax(axis=1) == lives.action_N).mean())
    return {"nll": mean, "likelihood": float(np.exp(-mean)), "accuracy": right}


def _mean_of_tail(
    student: Student,
    histories: Histories,
    start_B: NDArray[np.int64],
    tail_B: NDArray[np.int64],
    stop_B: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Mean log-loss [B] of rows [tail, stop), by copies born at row `start`."""
    log_prob_MA = segment_log_probs(student, histories, start_B, stop_B)
    ends = np.cumsum(stop_B - start_B)
    action_N = histories.lives.action_N
    tails = zip(ends - (stop_B - tail_B), ends, tail_B, stop_B, strict=True)
    return np.array([nll(log_prob_MA[a:b], action_N[tail:stop]).mean() for a, b, tail, stop in tails])

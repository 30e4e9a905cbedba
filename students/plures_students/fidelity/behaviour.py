"""What lives look like from outside: rates and curves of behaviour, counted by life so that lives can be resampled.

Shapes: N rows of lives, L lives, K places of a curve, R resamples.
"""

from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from ..lives import Lives, LivesError

BIN = 10
"""Trials that a place of a curve over the episode covers."""
LONGEST_RUN = 1024


@dataclass(frozen=True)
class Rates:
    """Events `hit_LK` of `count_LK` occasions, in K kinds of situation."""

    hit_LK: NDArray[np.float64]
    count_LK: NDArray[np.float64]

    def pooled(self, weight_RL: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rates [R, K] over all lives, each life counted as often as its weight says; NaN where nothing happened."""
        with np.errstate(invalid="ignore", divide="ignore"):
            rates: NDArray[np.float64] = (weight_RL @ self.hit_LK) / (weight_RL @ self.count_LK)
        return rates


@dataclass(frozen=True)
class Behaviour:
    """Measures by name, and numbers of runs of one action by length (1 to LONGEST_RUN), [L, LONGEST_RUN]."""

    rates: dict[str, Rates]
    run_LK: NDArray[np.float64]


def observe(lives: Lives, bins: int) -> Behaviour:
    """Measure lives, episode by episode; curves have `bins` places of BIN trials.

    reward; best (action) by thirds of the episode and by trial, if the lives have a column best_action; stay (with the
    previous action) after no reward and after reward; switch by trial.
    """
    action_count(lives)
    return _Rows(lives, bins).behaviour()


def action_count(lives: Lives) -> int:
    """How many actions there are; raise LivesError when they cannot be counted."""
    space = lives.card.action_space
    if not isinstance(space, Discrete):
        raise LivesError(f"actions of the lives are {space}; behaviour is measured of Discrete ones")
    return int(space.n)


class _Rows:
    """Where each row stands in its episode."""

    def __init__(self, lives: Lives, bins: int) -> None:
        self.lives = lives
        self.bins = bins
        bounds = lives.episodes()
        length_N = np.repeat(np.diff(bounds), np.diff(bounds))
        self.trial_N = np.arange(lives.steps) - np.repeat(bounds[:-1], np.diff(bounds))
        self.third_N = self._thirds(length_N)
        self.same_N = np.append(False, lives.action_N[1:] == lives.action_N[:-1]) & (self.trial_N > 0)

    def behaviour(self) -> Behaviour:
        early_N = self.trial_N < self.bins * BIN
        later_N = self.trial_N > 0
        paid_N = np.roll(self.lives.reward_N, 1) > 0
        everywhere_N = np.zeros(self.lives.steps, np.int64)
        rates = {"reward": self._rates(everywhere_N, 1, self.lives.reward_N)}
        if "best_action" in self.lives.extra:
            best_N = self.lives.action_N == self.lives.extra["best_action"]
            rates["best_by_third"] = self._rates(self.third_N, 3, best_N)
            rates["best_by_trial"] = self._rates(self.trial_N // BIN, self.bins, best_N, early_N)
        rates["stay_by_reward"] = self._rates(paid_N.astype(np.int64), 2, self.same_N, later_N)
        rates["switch_by_trial"] = self._rates(self.trial_N // BIN, self.bins, ~self.same_N, early_N & later_N)
        return Behaviour(rates, self._runs())

    def _thirds(self, length_N: NDArray[np.int64]) -> NDArray[np.int64]:
        """A third k of an episode of n trials is the trials from n k // 3 on."""
        return (self.trial_N >= length_N // 3).astype(np.int64) + (self.trial_N >= 2 * length_N // 3)

    def _rates(
        self,
        kind_N: NDArray[np.int64],
        kinds: int,
        event_N: NDArray[np.generic],
        rows_N: NDArray[np.bool_] | slice = slice(None),
    ) -> Rates:
        place_N = (self.lives.life_of_row_N * kinds + kind_N)[rows_N]
        shape, size = (len(self.lives), kinds), len(self.lives) * kinds
        hit = np.bincount(place_N, event_N[rows_N].astype(np.float64), size)
        count = np.bincount(place_N, minlength=size)
        return Rates(hit.astype(np.float64).reshape(shape), count.astype(np.float64).reshape(shape))

    def _runs(self) -> NDArray[np.float64]:
        """Lengths of runs of one action; the end of an episode ends a run."""
        first = np.flatnonzero(~self.same_N)
        length = np.minimum(np.diff(np.append(first, self.lives.steps)), LONGEST_RUN)
        place = self.lives.life_of_row_N[first] * LONGEST_RUN + length - 1
        counts = np.bincount(place, minlength=len(self.lives) * LONGEST_RUN)
        return counts.reshape(len(self.lives), LONGEST_RUN).astype(np.float64)


def run_distance(run_RK: NDArray[np.float64], other_RK: NDArray[np.float64]) -> NDArray[np.float64]:
    """Wasserstein-1 distance [R] between distributions of log2 run length."""
    cdf_RK, other_cdf_RK = (np.cumsum(x, axis=1) / x.sum(axis=1, keepdims=True) for x in (run_RK, other_RK))
    width_K = np.diff(np.log2(np.arange(1, LONGEST_RUN + 1)))
    distance: NDArray[np.float64] = np.abs(cdf_RK - other_cdf_RK)[:, :-1] @ width_K
    return distance

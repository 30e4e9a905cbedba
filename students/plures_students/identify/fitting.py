"""Maximum likelihood for algorithms: one set of parameters a life, or one for all lives; every candidate at once.

Shapes: L lives, G groups of lives that share parameters, C candidates, P parameters, N rows, A actions, B = C · L.
"""

from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from plures_kernels.errors import InvalidArgument

from ..lives import Lives
from ..teachers import Learner, Step, foreseen
from ..teachers.learner import Real, Whole
from .algorithms import Algorithm
from .search import SearchSettings, search

_SMALLEST = 1e-12
_NUMBERS_AT_ONCE = 2_000_000
"""Values of tables that are updated together: few enough to stay in a processor's caches for the most part."""


@dataclass(frozen=True)
class Fits:
    """Most likely parameters of each group, [G, P], and their log-likelihood of all of its choices, nats [G]."""

    value_GP: Real
    log_likelihood_G: Real


def fit(
    algorithm: Algorithm,
    lives: Lives,
    group_L: NDArray[np.int64] | None = None,
    settings: SearchSettings | None = None,
    seed: int = 0,
) -> Fits:
    """Fit an algorithm to lives of Discrete spaces. `group_L` numbers from 0 who share parameters; None: nobody does.

    InvalidArgument: other spaces.
    """
    group_L = np.arange(len(lives)) if group_L is None else group_L
    likelihood = _Likelihood(algorithm, lives)

    def of_groups(unit_CGP: Real) -> Real:
        found_CL = likelihood(algorithm.from_unit(unit_CGP)[:, group_L])
        summed_CG = np.zeros(unit_CGP.shape[:2])
        np.add.at(summed_CG.T, group_L, found_CL.T)
        return summed_CG

    groups, rng = int(group_L.max()) + 1, np.random.default_rng(seed)
    unit_GP, best_G = search(of_groups, groups, len(algorithm.parameters), settings or SearchSettings(), rng)
    return Fits(algorithm.from_unit(unit_GP), best_G)


class _Likelihood:
    """Log-likelihoods [C, L] of lives under parameters [C, L, P]."""

    def __init__(self, algorithm: Algorithm, lives: Lives) -> None:
        self.algorithm, self.lives = algorithm, lives
        self.observations, self.actions = sizes(lives)
        self.seen_TL, self.action_TL, self.reward_TL, self.done_TL, self.real_TL = _by_time(lives)
        self.sure_TL = self._without_lapses() if algorithm.only_lapses else None

    def __call__(self, value_CLP: Real) -> Real:
        if self.sure_TL is not None:
            return np.stack([self._mixed(value_LP[:, 0]) for value_LP in value_CLP])
        each = max(1, _NUMBERS_AT_ONCE // (len(self.lives) * self.observations * self.actions))
        parts = [self._of(value_CLP[first : first + each]) for first in range(0, len(value_CLP), each)]
        return np.concatenate(parts)

    def _of(self, value_CLP: Real) -> Real:
        candidates = len(value_CLP)
        learner = self.algorithm.learner(value_CLP.reshape(-1, value_CLP.shape[-1]))
        return self._lived(learner, candidates).reshape(candidates, -1)

    def _lived(self, learner: Learner, candidates: int) -> Real:
        mind = learner.begin(candidates * len(self.lives), self.observations, self.actions)
        total_B, rows = np.zeros(candidates * len(self.lives)), np.arange(candidates * len(self.lives))

        for t in range(len(self.seen_TL) - 1):
            action_B, seen_B, next_B, reward_B, done_B, real_B = (
                np.tile(values_L, candidates)
                for values_L in (
                    self.action_TL[t], self.seen_TL[t], self.seen_TL[t + 1],
                    self.reward_TL[t], self.done_TL[t], self.real_TL[t],
                )
            )  # fmt: skip
            chance_B = mind.probabilities(seen_B)[rows, action_B]
            total_B += np.where(real_B, np.log(np.maximum(chance_B, _SMALLEST)), 0.0)
            mind.learn(Step(seen_B, action_B, reward_B, done_B, next_B))
        return total_B

    def _without_lapses(self) -> Real:
        """What the algorithm that never lapses would have given each choice that was made."""
        chance_N = foreseen(self.algorithm.learner({"lapse": 0.0}), self.lives)
        chosen_N = np.take_along_axis(chance_N, self.lives.action_N[:, None].astype(np.int64), axis=1)[:, 0]
        sure_TL = np.ones(self.real_TL.shape)
        sure_TL.T[self.real_TL.T] = chosen_N
        return sure_TL

    def _mixed(self, lapse_L: Real) -> Real:
        assert self.sure_TL is not None
        chance_TL = (1 - lapse_L) * self.sure_TL + lapse_L / self.actions
        summed_L: Real = np.where(self.real_TL, np.log(np.maximum(chance_TL, _SMALLEST)), 0.0).sum(axis=0)
        return summed_L


def sizes(lives: Lives) -> tuple[int, int]:
    """How many observations and actions there are; InvalidArgument where they cannot be counted."""
    spaces = lives.card.observation_space, lives.card.action_space
    if not all(isinstance(space, Discrete) for space in spaces):
        raise InvalidArgument(f"algorithms know Discrete spaces alone, not {spaces[0]} and {spaces[1]}")
    return int(spaces[0].n), int(spaces[1].n)  # type: ignore[attr-defined]


def _by_time(lives: Lives) -> tuple[Whole, Whole, Real, NDArray[np.bool_], NDArray[np.bool_]]:
    """Columns as [T, L], observations as [T + 1, L]; a life that has ended goes on with its last row, not real."""
    steps = np.arange(int(lives.lengths.max()) + 1)[:, None]
    row_TL = np.minimum(lives.offsets[:-1] + steps, lives.offsets[1:] - 1)
    real_TL = (steps < lives.lengths)[:-1]
    whole = (column_N[row_TL].astype(np.int64) for column_N in (lives.observation_N, lives.action_N))
    seen_TL, action_TL = whole
    now_TL = row_TL[:-1]
    return seen_TL, action_TL[:-1], lives.reward_N[now_TL].astype(np.float64), lives.done_N[now_TL], real_TL

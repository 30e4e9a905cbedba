"""Teachers that know arms alone: what they saw does not matter.

Shapes: B lives, A arms, G points of a grid.
"""

from dataclasses import dataclass

import numpy as np

from .learner import Real, Setting, Step, Whole, column, greedy, require, softmax

_GRID = (np.arange(400) + 0.5) / 400
_LOG_LIKELIHOOD_2G = np.log(np.stack([1 - _GRID, _GRID]))
_SMALLEST = 1e-300


@dataclass(frozen=True)
class Ucb1:
    """UCB1 (Auer, Cesa-Bianchi & Fischer 2002, Machine Learning 47:235, fig. 1): mean + √(width · ln n / n_a).

    Arms not tried yet come first; equals are drawn among. `width` is 2 in the paper.
    """

    width: Setting = 2.0

    def __post_init__(self) -> None:
        require(self, 0, np.inf, "width")

    def begin(self, lives: int, observations: int, actions: int) -> "_Ucb1":
        return _Ucb1(self.width, np.zeros((lives, actions)), np.zeros((lives, actions)))


@dataclass
class _Ucb1:
    width: Setting
    count_BA: Real
    sum_BA: Real

    def probabilities(self, observation_B: Whole) -> Real:
        tried_BA = self.count_BA > 0
        count_BA = np.maximum(self.count_BA, 1)
        log_B1 = np.log(np.maximum(self.count_BA.sum(axis=1, keepdims=True), 1))
        bound_BA = self.sum_BA / count_BA + np.sqrt(column(self.width) * log_B1 / count_BA)
        return greedy(np.where(tried_BA, bound_BA, np.inf))

    def learn(self, now: Step) -> None:
        rows = np.arange(len(now.action_B))
        self.count_BA[rows, now.action_B] += 1
        self.sum_BA[rows, now.action_B] += now.reward_B


@dataclass(frozen=True)
class Thompson:
    """Thompson sampling for arms that pay 0 or 1, with a uniform prior (Thompson 1933; Chapelle & Li 2011, alg. 2).

    The probability of an action is that of its arm being the best, ∫ f_a(x) Π_{b≠a} F_b(x) dx with the densities f and
    distributions F of the arms' Beta posteriors, summed over a grid.
    """

    def begin(self, lives: int, observations: int, actions: int) -> "_Thompson":
        uniform_G = np.full(len(_GRID), 1 / len(_GRID))
        density_BAG = np.tile(uniform_G, (lives, actions, 1))
        return _Thompson(np.zeros((lives, actions, 2)), density_BAG, _below(density_BAG))


@dataclass
class _Thompson:
    outcomes_BA2: Real  # failures, successes
    density_BAG: Real
    below_BAG: Real

    def probabilities(self, observation_B: Whole) -> Real:
        others_BAG = self.below_BAG.prod(axis=1, keepdims=True) / self.below_BAG
        best_BA = np.einsum("bag,bag->ba", self.density_BAG, others_BAG)
        shares: Real = best_BA / best_BA.sum(axis=1, keepdims=True)
        return shares

    def learn(self, now: Step) -> None:
        rows = np.arange(len(now.action_B))
        self.outcomes_BA2[rows, now.action_B, (now.reward_B > 0).astype(int)] += 1
        log_density_BG = self.outcomes_BA2[rows, now.action_B] @ _LOG_LIKELIHOOD_2G
        density_BG = np.exp(log_density_BG - log_density_BG.max(axis=-1, keepdims=True))
        density_BG /= density_BG.sum(axis=-1, keepdims=True)
        self.density_BAG[rows, now.action_B] = density_BG
        self.below_BAG[rows, now.action_B] = _below(density_BG)


def _below(density_BG: Real) -> Real:
    """Up to the middle of a cell: all that is below it, and half of it."""
    below: Real = np.maximum(density_BG.cumsum(axis=-1) - density_BG / 2, _SMALLEST)
    return below


@dataclass(frozen=True)
class GradientBandit:
    """Preferences that climb the expected reward (Sutton & Barto 2018, eq. 2.12), with the mean reward as baseline."""

    learning_rate: Setting = 0.2

    def __post_init__(self) -> None:
        require(self, 0, np.inf, "learning_rate")

    def begin(self, lives: int, observations: int, actions: int) -> "_GradientBandit":
        return _GradientBandit(self.learning_rate, np.zeros((lives, actions)), np.zeros(lives), 0)


@dataclass
class _GradientBandit:
    learning_rate: Setting
    preference_BA: Real
    mean_B: Real
    steps: int

    def probabilities(self, observation_B: Whole) -> Real:
        return softmax(self.preference_BA)

    def learn(self, now: Step) -> None:
        self.steps += 1
        self.mean_B = self.mean_B + (now.reward_B - self.mean_B) / self.steps
        chosen_BA = np.eye(self.preference_BA.shape[1])[now.action_B]
        surprise_B1 = (now.reward_B - self.mean_B)[:, None]
        self.preference_BA = self.preference_BA + column(self.learning_rate) * surprise_B1 * (
            chosen_BA - softmax(self.preference_BA)
        )

"""Teachers that are optimisers: they go down a valley by its slope, or by trial.

What they would do is a real number; what they do is one of the two nearest levels of valley.py, drawn so that the mean
is right.

Shapes: B lives, V levels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from plures_kernels.errors import InvalidArgument

from .learner import Real, Setting, Step, Whole, require
from .valley import LEVELS_V

_TINY = 1e-8
_BELOW_ONE = 0.999999


@dataclass(frozen=True)
class Sgd:
    """Gradient descent with momentum (Polyak 1964): m ← momentum · m + g, step −learning_rate · m."""

    learning_rate: Setting = 0.1
    momentum: Setting = 0.0

    def __post_init__(self) -> None:
        require(self, 0, np.inf, "learning_rate")
        require(self, 0, 1, "momentum")

    def begin(self, lives: int, observations: int, actions: int) -> "_Sgd":
        _check(observations, actions)
        return _Sgd(self, np.zeros(lives))


@dataclass
class _Sgd:
    learner: Sgd
    motion_B: Real

    def probabilities(self, observation_B: Whole) -> Real:
        return rounded(-self.learner.learning_rate * self._moved(observation_B))

    def learn(self, now: Step) -> None:
        self.motion_B = self._moved(now.observation_B)

    def _moved(self, observation_B: Whole) -> Real:
        moved_B: Real = self.learner.momentum * self.motion_B + LEVELS_V[observation_B]
        return moved_B


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba, arXiv:1412.6980, alg. 1)."""

    learning_rate: Setting = 0.1
    beta1: Setting = 0.9
    beta2: Setting = 0.99

    def __post_init__(self) -> None:
        require(self, 0, np.inf, "learning_rate")
        require(self, 0, _BELOW_ONE, "beta1", "beta2")

    def begin(self, lives: int, observations: int, actions: int) -> "_Adam":
        _check(observations, actions)
        return _Adam(self, np.zeros(lives), np.zeros(lives))


@dataclass
class _Adam:
    learner: Adam
    mean_B: Real
    square_B: Real
    steps: int = 0

    def probabilities(self, observation_B: Whole) -> Real:
        mean_B, square_B = self._moments(observation_B)
        unbiased_B = mean_B / (1 - self.learner.beta1 ** (self.steps + 1))
        scale_B = np.sqrt(square_B / (1 - self.learner.beta2 ** (self.steps + 1))) + _TINY
        return rounded(-self.learner.learning_rate * unbiased_B / scale_B)

    def learn(self, now: Step) -> None:
        self.mean_B, self.square_B = self._moments(now.observation_B)
        self.steps += 1

    def _moments(self, observation_B: Whole) -> tuple[Real, Real]:
        slope_B, learner = LEVELS_V[observation_B], self.learner
        mean_B = learner.beta1 * self.mean_B + (1 - learner.beta1) * slope_B
        return mean_B, learner.beta2 * self.square_B + (1 - learner.beta2) * slope_B**2


@dataclass(frozen=True)
class Evolution:
    """The (1+1) evolution strategy with the one-fifth rule (Kern et al. 2004, Nat. Comput. 3:77, fig. 2).

    A trial is a normal step of deviation σ; a trial that did not pay is taken back by the next action. σ grows by
    `growth` with a success, and shrinks by its fourth root with a failure. Slopes do not matter.
    """

    deviation: Setting = 1.0
    growth: Setting = 1.5

    def __post_init__(self) -> None:
        require(self, 0, np.inf, "deviation")
        require(self, 1, np.inf, "growth")

    def begin(self, lives: int, observations: int, actions: int) -> "_Evolution":
        _check(observations, actions)
        return _Evolution(self, np.full(lives, self.deviation), np.full(lives, -1))


@dataclass
class _Evolution:
    learner: Evolution
    deviation_B: Real
    back_B: Whole
    """The action that takes the last one back; −1 where there is none to take back."""

    def probabilities(self, observation_B: Whole) -> Real:
        back_BV = np.eye(len(LEVELS_V))[self.back_B]
        return np.where((self.back_B >= 0)[:, None], back_BV, normal(self.deviation_B))

    def learn(self, now: Step) -> None:
        tried_B, won_B = self.back_B < 0, now.reward_B > 0
        factor_B = np.where(won_B, self.learner.growth, self.learner.growth**-0.25)
        self.deviation_B = np.where(tried_B, self.deviation_B * factor_B, self.deviation_B)
        self.back_B = np.where(tried_B & ~won_B, len(LEVELS_V) - 1 - now.action_B, -1)


def rounded(step_B: Setting) -> Real:
    """Chances [B, V] of the two levels about each step, with the step as their mean; beyond the last, the last."""
    clipped_B = np.clip(step_B, LEVELS_V[0], LEVELS_V[-1])
    upper_B = np.clip(np.searchsorted(LEVELS_V, clipped_B), 1, len(LEVELS_V) - 1)
    low_B, high_B = LEVELS_V[upper_B - 1], LEVELS_V[upper_B]
    share_B = (clipped_B - low_B) / (high_B - low_B)
    eye_VV = np.eye(len(LEVELS_V))
    chances: Real = share_B[:, None] * eye_VV[upper_B] + (1 - share_B[:, None]) * eye_VV[upper_B - 1]
    return chances


def normal(deviation_B: Real) -> Real:
    """Chances [B, V] of the level that is nearest to a normal number."""
    edges = np.concatenate([[-np.inf], (LEVELS_V[1:] + LEVELS_V[:-1]) / 2, [np.inf]])
    below_BE = torch.special.ndtr(torch.from_numpy(edges / np.maximum(deviation_B, _TINY)[:, None])).numpy()
    chances: Real = np.diff(below_BE, axis=1)
    return chances


def _check(observations: int, actions: int) -> None:
    if (observations, actions) != (len(LEVELS_V), len(LEVELS_V)):
        raise InvalidArgument(
            f"optimisers know {len(LEVELS_V)} slopes and as many steps, not {observations} observations and {actions} "
            "actions; let them live in the world valley"
        )

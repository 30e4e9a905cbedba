"""What a teacher is: a learning algorithm whose probabilities of acting are known at every step.

Shapes: B lives, O observations, A actions.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from plures_kernels.errors import InvalidArgument

Whole = NDArray[np.int64]
Real = NDArray[np.float64]
Setting = float | Real
"""A learner's parameter: one number for all lives, or a number a life, [B]."""


@dataclass(frozen=True)
class Step:
    """What B lives saw, did and got, whether an episode ended with it, and what they see next: after it, a new one."""

    observation_B: Whole
    action_B: Whole
    reward_B: Real
    done_B: NDArray[np.bool_]
    next_B: Whole


class Mind(Protocol):
    """B learners in the midst of their lives."""

    def probabilities(self, observation_B: Whole) -> Real:
        """Of each action at the next step, [B, A], given all that was learned."""
        ...

    def learn(self, now: Step) -> None:
        """Take in one step."""
        ...


class Learner(Protocol):
    """A learning algorithm with its parameters; those that are a `Setting` may differ from life to life."""

    def begin(self, lives: int, observations: int, actions: int) -> Mind:
        """Newborn minds."""
        ...


def require(learner: object, low: float, high: float, *names: str) -> None:
    """Raise InvalidArgument unless the settings of these names are finite numbers from `low` to `high`."""
    for name in names:
        value = np.asarray(getattr(learner, name), np.float64)
        if not (np.isfinite(value) & (value >= low) & (value <= high)).all():
            within = f"from {low:g} to {high:g}" if np.isfinite(high) else f"of at least {low:g}"
            raise InvalidArgument(f"{name} {value} of {type(learner).__name__} given; it is a number {within}")


def softmax(x_BA: Real) -> Real:
    e_BA = np.exp(x_BA - x_BA.max(axis=1, keepdims=True))
    softmaxed: Real = e_BA / e_BA.sum(axis=1, keepdims=True)
    return softmaxed


def greedy(value_BA: Real) -> Real:
    """All probability on the best action, shared among equals."""
    best_BA = value_BA == value_BA.max(axis=1, keepdims=True)
    shared: Real = best_BA / best_BA.sum(axis=1, keepdims=True)
    return shared


def lapsing(probability_BA: Real, lapse: Setting) -> Real:
    """As given, but with probability `lapse` any action."""
    lapse_B1 = column(lapse)
    mixed: Real = (1 - lapse_B1) * probability_BA + lapse_B1 / probability_BA.shape[1]
    return mixed


def column(setting: Setting) -> Real:
    """A setting to multiply values [B, A] with."""
    return np.asarray(setting, np.float64)[..., None]

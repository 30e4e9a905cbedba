"""What a teacher is: a learning algorithm whose probabilities of acting are known at every step.

Shapes: B lives, O observations, A actions.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]
Real = NDArray[np.float64]


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
    """A learning algorithm with its parameters."""

    def begin(self, lives: int, observations: int, actions: int) -> Mind:
        """Newborn minds."""
        ...


def softmax(x_BA: Real) -> Real:
    e_BA = np.exp(x_BA - x_BA.max(axis=1, keepdims=True))
    softmaxed: Real = e_BA / e_BA.sum(axis=1, keepdims=True)
    return softmaxed


def greedy(value_BA: Real) -> Real:
    """All probability on the best action, shared among equals."""
    best_BA = value_BA == value_BA.max(axis=1, keepdims=True)
    shared: Real = best_BA / best_BA.sum(axis=1, keepdims=True)
    return shared


def epsilon_greedy(value_BA: Real, epsilon: float) -> Real:
    """The best action, but with probability epsilon any."""
    explored: Real = (1 - epsilon) * greedy(value_BA) + epsilon / value_BA.shape[1]
    return explored

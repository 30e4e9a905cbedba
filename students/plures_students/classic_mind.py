"""The classic learner as a mind among the teachers: it can be set free in any world, or on recorded tasks.

Shapes: B lives, O observations, A actions.
"""

from dataclasses import dataclass

import numpy as np

from .classic import ClassicLearner
from .teachers.learner import Real, Step, Whole, softmax


@dataclass(frozen=True)
class Classic:
    """A learner as `teachers.record` and `Bandits.relive_by` take it; what it does is said in `classic`."""

    parameters: ClassicLearner

    def begin(self, lives: int, observations: int, actions: int) -> "ClassicMind":
        return ClassicMind(self.parameters, np.zeros((lives, observations, actions)), np.zeros((lives, actions)))


@dataclass
class ClassicMind:
    """Values and choice traces of B learners; both begin anew with each episode."""

    parameters: ClassicLearner
    value_BOA: Real
    trace_BA: Real

    def probabilities(self, observation_B: Whole) -> Real:
        value_BA = self.value_BOA[np.arange(len(observation_B)), observation_B]
        known = self.parameters
        return softmax(known.inverse_temperature * value_BA + known.kernel_weight * self.trace_BA)

    def learn(self, now: Step) -> None:
        rows, known = np.arange(len(now.action_B)), self.parameters
        old_B = self.value_BOA[rows, now.observation_B, now.action_B]
        self.value_BOA *= 1 - known.forgetting
        self.value_BOA[rows, now.observation_B, now.action_B] = old_B + known.learning_rate * (now.reward_B - old_B)
        chosen_BA = np.eye(self.trace_BA.shape[1])[now.action_B]
        self.trace_BA += known.kernel_rate * (chosen_BA - self.trace_BA)
        self.value_BOA[now.done_B], self.trace_BA[now.done_B] = 0, 0

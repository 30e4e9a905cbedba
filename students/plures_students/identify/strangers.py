"""Learners outside the family of algorithms, to see whether they are noticed.

Shapes: B lives, A actions.
"""

from dataclasses import dataclass

import numpy as np

from ..teachers import Learner, Step
from ..teachers.learner import Real, Setting, Whole, column, lapsing, softmax
from .algorithms import LAPSE, Algorithm, Parameter

_LAPSE = Parameter(LAPSE, 0.01, 0.3)


@dataclass(frozen=True)
class HabitualQ:
    """Values that gains and losses move at rates of their own, beside a trace of its choices.

    Softmax of inverse_temperature · Q + weight · C; Q ← Q + (gain_rate or loss_rate) (r − Q) as r − Q is positive or
    not (Lefebvre et al. 2017, Nat Hum Behav 1:0067), C ← C + 0.3 (1_a − C).
    """

    gain_rate: Setting = 0.3
    loss_rate: Setting = 0.3
    inverse_temperature: Setting = 5.0
    weight: Setting = 0.0

    def begin(self, lives: int, observations: int, actions: int) -> "_HabitualQ":
        return _HabitualQ(self, np.zeros((lives, actions)), np.zeros((lives, actions)))


@dataclass
class _HabitualQ:
    learner: HabitualQ
    value_BA: Real
    trace_BA: Real

    def probabilities(self, observation_B: Whole) -> Real:
        learner = self.learner
        return softmax(column(learner.inverse_temperature) * self.value_BA + column(learner.weight) * self.trace_BA)

    def learn(self, now: Step) -> None:
        rows = np.arange(len(now.action_B))
        surprise_B = now.reward_B - self.value_BA[rows, now.action_B]
        rate_B = np.where(surprise_B > 0, self.learner.gain_rate, self.learner.loss_rate)
        self.value_BA[rows, now.action_B] += rate_B * surprise_B
        self.trace_BA += 0.3 * (np.eye(self.trace_BA.shape[1])[now.action_B] - self.trace_BA)


@dataclass(frozen=True)
class Patient:
    """Stays until an arm has failed `patience` times in a row, then goes on to the next; with `lapse`, any."""

    patience: int = 3
    lapse: Setting = 0.1

    def begin(self, lives: int, observations: int, actions: int) -> "_Patient":
        return _Patient(self, np.full((lives, actions), 1 / actions), np.zeros(lives))


@dataclass
class _Patient:
    learner: Patient
    next_BA: Real
    failed_B: Real

    def probabilities(self, observation_B: Whole) -> Real:
        return lapsing(self.next_BA, self.learner.lapse)

    def learn(self, now: Step) -> None:
        actions = self.next_BA.shape[1]
        same_B = self.next_BA.argmax(axis=1) == now.action_B
        self.failed_B = np.where(now.reward_B > 0, 0, np.where(same_B, self.failed_B, 0) + 1)
        leaves_B = self.failed_B >= self.learner.patience
        self.failed_B[leaves_B] = 0
        self.next_BA = np.eye(actions)[(now.action_B + leaves_B) % actions]


@dataclass(frozen=True)
class Cycler:
    """Goes round the arms, `run` choices each, whatever they pay; with `lapse`, any."""

    run: int = 4
    lapse: Setting = 0.1

    def begin(self, lives: int, observations: int, actions: int) -> "_Cycler":
        return _Cycler(self, lives, actions)


@dataclass
class _Cycler:
    learner: Cycler
    lives: int
    actions: int
    steps: int = 0

    def probabilities(self, observation_B: Whole) -> Real:
        turn = self.steps // self.learner.run % self.actions
        return lapsing(np.tile(np.eye(self.actions)[turn], (self.lives, 1)), self.learner.lapse)

    def learn(self, now: Step) -> None:
        self.steps += 1


def _habitual(weight: Setting, inverse_temperature: Setting) -> Learner:
    return HabitualQ(inverse_temperature=inverse_temperature, weight=weight)


def _one_sided(loss_rate: Setting, inverse_temperature: Setting) -> Learner:
    return HabitualQ(0.6, loss_rate, inverse_temperature)


STRANGERS: dict[str, Algorithm] = {
    "habitual_q": Algorithm(_habitual, (Parameter("weight", 1.0, 3.0), Parameter("inverse_temperature", 2.0, 8.0))),
    "one_sided_q": Algorithm(
        _one_sided, (Parameter("loss_rate", 0.02, 0.1), Parameter("inverse_temperature", 2.0, 8.0))
    ),
    "patient": Algorithm(lambda lapse: Patient(lapse=lapse), (_LAPSE,)),
    "cycler": Algorithm(lambda lapse: Cycler(lapse=lapse), (_LAPSE,)),
}

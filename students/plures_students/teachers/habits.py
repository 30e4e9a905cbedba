"""Teachers that hardly learn: what they did last, and whether it paid, is all they go by.

Shapes: B lives, A actions.
"""

from dataclasses import dataclass

import numpy as np

from .learner import Real, Setting, Step, Whole, column, lapsing, require, softmax


@dataclass(frozen=True)
class WinStayLoseShift:
    """The last action again if it paid, else any other; with probability `lapse`, any (Wilson & Collins 2019, model 2).

    Before the first action, any.
    """

    lapse: Setting = 0.1

    def __post_init__(self) -> None:
        require(self, 0, 1, "lapse")

    def begin(self, lives: int, observations: int, actions: int) -> "_WinStayLoseShift":
        return _WinStayLoseShift(self.lapse, np.full((lives, actions), 1 / actions))


@dataclass
class _WinStayLoseShift:
    lapse: Setting
    next_BA: Real

    def probabilities(self, observation_B: Whole) -> Real:
        return lapsing(self.next_BA, self.lapse)

    def learn(self, now: Step) -> None:
        actions = self.next_BA.shape[1]
        same_BA = np.eye(actions)[now.action_B]
        # The only arm there is, is stayed with.
        others_BA = (1 - same_BA) / (actions - 1) if actions > 1 else same_BA
        self.next_BA = np.where(now.reward_B[:, None] > 0, same_BA, others_BA)


@dataclass(frozen=True)
class Perseverator:
    """Does what it has done: a trace of its choices alone, softmax(weight · C) (Wilson & Collins 2019, model 4).

    C ← C + kernel_rate (1_a − C) after action a; rewards do not matter.
    """

    kernel_rate: Setting = 0.2
    weight: Setting = 3.0

    def __post_init__(self) -> None:
        require(self, 0, 1, "kernel_rate")
        require(self, -np.inf, np.inf, "weight")

    def begin(self, lives: int, observations: int, actions: int) -> "_Perseverator":
        return _Perseverator(self, np.zeros((lives, actions)))


@dataclass
class _Perseverator:
    learner: Perseverator
    trace_BA: Real

    def probabilities(self, observation_B: Whole) -> Real:
        return softmax(column(self.learner.weight) * self.trace_BA)

    def learn(self, now: Step) -> None:
        done_BA = np.eye(self.trace_BA.shape[1])[now.action_B]
        self.trace_BA = self.trace_BA + column(self.learner.kernel_rate) * (done_BA - self.trace_BA)

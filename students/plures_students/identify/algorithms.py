"""The classic algorithms that a teacher may be, with their free parameters.

Shapes: P parameters, […] any leading axes, B lives.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..teachers import (
    ActorCritic,
    GradientBandit,
    Learner,
    Mind,
    Perseverator,
    QLearner,
    Step,
    Thompson,
    Ucb1,
    WinStayLoseShift,
)
from ..teachers.learner import Real, Setting, Whole, lapsing

LAPSE = "lapse"


@dataclass(frozen=True)
class Parameter:
    """A free parameter and the range that it is drawn from and sought in, evenly, or evenly in its logarithm."""

    name: str
    low: float
    high: float
    log: bool = False

    def from_unit(self, unit: Real) -> Real:
        """Places in [0, 1] as values."""
        low, high = (np.log([self.low, self.high])) if self.log else (self.low, self.high)
        value: Real = low + (high - low) * unit
        return np.exp(value) if self.log else value


@dataclass(frozen=True)
class Algorithm:
    """A learning algorithm up to its parameters: `build` makes the learner of them, one number or a number a life."""

    build: Callable[..., Learner]
    parameters: tuple[Parameter, ...]

    def learner(self, value_P: Mapping[str, Setting] | Real) -> Learner:
        """The learner of parameters by name, or in order along the last axis [B, P]."""
        if isinstance(value_P, np.ndarray):
            value_P = {parameter.name: value_P[..., i] for i, parameter in enumerate(self.parameters)}
        return self.build(**value_P)

    def from_unit(self, unit_P: Real) -> Real:
        """Places in the unit cube […, P] as values of the parameters."""
        return np.stack([p.from_unit(unit_P[..., i]) for i, p in enumerate(self.parameters)], axis=-1)

    @property
    def only_lapses(self) -> bool:
        """Whether nothing is free but how often it acts at random: then lives tell all else without search."""
        return [parameter.name for parameter in self.parameters] == [LAPSE]


@dataclass(frozen=True)
class Lapsing:
    """A learner that acts at random with probability `lapse`, and learns from that, too."""

    learner: Learner
    lapse: Setting

    def begin(self, lives: int, observations: int, actions: int) -> "_Lapsing":
        return _Lapsing(self.learner.begin(lives, observations, actions), self.lapse)


@dataclass
class _Lapsing:
    mind: Mind
    lapse: Setting

    def probabilities(self, observation_B: Whole) -> Real:
        return lapsing(self.mind.probabilities(observation_B), self.lapse)

    def learn(self, now: Step) -> None:
        self.mind.learn(now)


def _softmax_q(learning_rate: Setting, inverse_temperature: Setting, forgetting: Setting = 0.0) -> Learner:
    return QLearner(learning_rate, 0.0, forgetting, "softmax", inverse_temperature=inverse_temperature)


_RATE = Parameter("learning_rate", 0.05, 0.95)
_TEMPERATURE = Parameter("inverse_temperature", 2.0, 12.0)
_LAPSE = Parameter(LAPSE, 0.01, 0.3)

ALGORITHMS: dict[str, Algorithm] = {
    "q_epsilon": Algorithm(
        lambda learning_rate, epsilon: QLearner(learning_rate, epsilon=epsilon),
        (_RATE, Parameter("epsilon", 0.05, 0.4)),
    ),
    "q_softmax": Algorithm(_softmax_q, (_RATE, _TEMPERATURE)),
    "q_forgetting": Algorithm(_softmax_q, (_RATE, _TEMPERATURE, Parameter("forgetting", 0.05, 0.6))),
    "ucb1": Algorithm(
        lambda width, lapse: Lapsing(Ucb1(width), lapse), (Parameter("width", 0.1, 4.0, log=True), _LAPSE)
    ),
    "thompson": Algorithm(lambda lapse: Lapsing(Thompson(), lapse), (_LAPSE,)),
    "gradient_bandit": Algorithm(GradientBandit, (Parameter("learning_rate", 0.05, 1.5, log=True),)),
    "actor_critic": Algorithm(
        lambda actor_rate, critic_rate: ActorCritic(actor_rate, critic_rate, 0.0),
        (Parameter("actor_rate", 0.1, 2.0, log=True), Parameter("critic_rate", 0.02, 0.9)),
    ),
    "win_stay_lose_shift": Algorithm(WinStayLoseShift, (_LAPSE,)),
    "perseverator": Algorithm(Perseverator, (Parameter("kernel_rate", 0.05, 0.95), Parameter("weight", 1.0, 6.0))),
}

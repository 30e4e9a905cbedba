"""Teachers that keep a table over what they see: Q-learning and an actor with a critic.

Shapes: B lives, O observations, A actions.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from plures_kernels.errors import InvalidArgument

from .learner import Real, Setting, Step, Whole, column, greedy, lapsing, require, softmax


@dataclass(frozen=True)
class QLearner:
    """Q-learning (Watkins 1989; Sutton & Barto 2018, eq. 6.8): Q ← Q + α (r + γ max Q' − Q).

    It explores by chance with `epsilon`, or by softmax with `inverse_temperature`, as `explore` says. `forgetting`
    draws all values but the one learned towards 0. Values begin as `optimism`: above what can be earned, what was not
    tried yet looks best (Sutton & Barto 2018, §2.6).
    """

    learning_rate: Setting = 0.3
    discount: Setting = 0.0
    forgetting: Setting = 0.0
    explore: Literal["epsilon", "softmax"] = "epsilon"
    epsilon: Setting = 0.1
    inverse_temperature: Setting = 5.0
    optimism: Setting = 0.0

    def __post_init__(self) -> None:
        if self.explore not in ("epsilon", "softmax"):
            raise InvalidArgument(f"explore {self.explore!r} is neither epsilon nor softmax")
        require(self, 0, 1, "learning_rate", "discount", "forgetting", "epsilon")
        require(self, -np.inf, np.inf, "inverse_temperature", "optimism")

    def begin(self, lives: int, observations: int, actions: int) -> "_QLearner":
        value_BOA = np.zeros((lives, observations, actions))
        return _QLearner(self, value_BOA + column(self.optimism)[..., None])


@dataclass
class _QLearner:
    learner: QLearner
    value_BOA: Real

    def probabilities(self, observation_B: Whole) -> Real:
        value_BA = self.value_BOA[np.arange(len(observation_B)), observation_B]
        if self.learner.explore == "softmax":
            return softmax(column(self.learner.inverse_temperature) * value_BA)
        return lapsing(greedy(value_BA), self.learner.epsilon)

    def learn(self, now: Step) -> None:
        rows, learner = np.arange(len(now.action_B)), self.learner
        ahead_B = np.where(now.done_B, 0, self.value_BOA[rows, now.next_B].max(axis=1))
        old_B = self.value_BOA[rows, now.observation_B, now.action_B]
        new_B = old_B + learner.learning_rate * (now.reward_B + learner.discount * ahead_B - old_B)
        if np.any(learner.forgetting):
            self.value_BOA *= 1 - column(learner.forgetting)[..., None]
        self.value_BOA[rows, now.observation_B, now.action_B] = new_B


@dataclass(frozen=True)
class ActorCritic:
    """A softmax actor taught by a critic's temporal-difference error (Sutton & Barto 2018, §13.5, without traces)."""

    actor_rate: Setting = 0.5
    critic_rate: Setting = 0.2
    discount: Setting = 0.9

    def __post_init__(self) -> None:
        require(self, 0, np.inf, "actor_rate")
        require(self, 0, 1, "critic_rate", "discount")

    def begin(self, lives: int, observations: int, actions: int) -> "_ActorCritic":
        return _ActorCritic(self, np.zeros((lives, observations, actions)), np.zeros((lives, observations)))


@dataclass
class _ActorCritic:
    learner: ActorCritic
    preference_BOA: Real
    value_BO: Real

    def probabilities(self, observation_B: Whole) -> Real:
        return softmax(self.preference_BOA[np.arange(len(observation_B)), observation_B])

    def learn(self, now: Step) -> None:
        rows, learner = np.arange(len(now.action_B)), self.learner
        ahead_B = np.where(now.done_B, 0, self.value_BO[rows, now.next_B])
        surprise_B = now.reward_B + learner.discount * ahead_B - self.value_BO[rows, now.observation_B]
        direction_BA = -self.probabilities(now.observation_B)
        direction_BA[rows, now.action_B] += 1
        self.value_BO[rows, now.observation_B] += learner.critic_rate * surprise_B
        self.preference_BOA[rows, now.observation_B] += column(learner.actor_rate) * surprise_B[:, None] * direction_BA

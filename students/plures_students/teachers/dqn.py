"""A deep Q-network as a teacher: its weights change at every step, and no table says what it has learned.

Shapes: B lives, O observations, F hidden units, A actions, M steps remembered, K steps replayed.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from plures_kernels import counter
from plures_kernels.errors import InvalidArgument
from torch import Tensor

from .learner import Real, Step, Whole, greedy, lapsing, require

_WEIGHTS = 1 << 40
"""More numbers than any network has."""


@dataclass(frozen=True)
class Dqn:
    """DQN (Mnih et al. 2015, Nature 518:529) with one hidden layer, on one-hot observations, a network a life.

    At each step it replays `batch` of the last `memory` steps, drawn evenly, and descends the squared error with Adam
    (Kingma & Ba, arXiv:1412.6980); the target network is renewed every `renew` steps. `seed` is that of the first
    weights and of what is replayed: life b draws the same numbers however many there are.
    """

    hidden: int = 32
    learning_rate: float = 0.005
    discount: float = 0.9
    epsilon: float = 0.1
    batch: int = 16
    memory: int = 1000
    renew: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("hidden", "batch", "memory", "renew"):
            if getattr(self, name) < 1:
                raise InvalidArgument(f"{name} {getattr(self, name)} is not at least 1")
        require(self, 0, math.inf, "learning_rate")
        require(self, 0, 1, "discount", "epsilon")

    def begin(self, lives: int, observations: int, actions: int) -> "_Dqn":
        return _Dqn(self, lives, observations, actions)


class _Dqn:
    def __init__(self, learner: Dqn, lives: int, observations: int, actions: int) -> None:
        self.learner = learner
        self._net = _network(learner, lives, observations, actions)
        self._target = [weight.detach().clone() for weight in self._net]
        self._optimiser = torch.optim.Adam(self._net, learner.learning_rate)
        self._replay = _Replay(learner, lives)

    def probabilities(self, observation_B: Whole) -> Real:
        with torch.no_grad():
            value_BA = _values(self._net, torch.from_numpy(observation_B)[:, None])[:, 0]
        return lapsing(greedy(value_BA.double().numpy()), self.learner.epsilon)

    def learn(self, now: Step) -> None:
        self._replay.keep(now)
        seen_BK, action_BK, reward_BK, goes_on_BK, next_BK = self._replay.draw()
        with torch.no_grad():
            ahead_BK = _values(self._target, next_BK.long()).amax(-1)
        aim_BK = reward_BK + self.learner.discount * goes_on_BK * ahead_BK
        value_BK = _values(self._net, seen_BK.long()).gather(-1, action_BK.long()[..., None])[..., 0]
        self._optimiser.zero_grad()
        # Summed over lives: each descends the mean over its own batch.
        (value_BK - aim_BK).square().mean(dim=1).sum().backward()
        self._optimiser.step()
        if self._replay.steps % self.learner.renew == 0:
            self._target = [weight.detach().clone() for weight in self._net]


class _Replay:
    """The last M steps of each life: observation, action, reward, whether it went on, what came next."""

    def __init__(self, learner: Dqn, lives: int) -> None:
        self._learner = learner
        self._columns_5BM = torch.zeros(5, lives, learner.memory)
        self.steps = 0

    def keep(self, now: Step) -> None:
        columns = now.observation_B, now.action_B, now.reward_B, ~now.done_B, now.next_B
        kept_5B = np.stack([column_B.astype(np.float32) for column_B in columns])
        self._columns_5BM[:, :, self.steps % self._learner.memory] = torch.from_numpy(kept_5B)
        self.steps += 1

    def draw(self) -> Tensor:
        """[5, B, K]."""
        lives, batch = self._columns_5BM.shape[1], self._learner.batch
        # The first numbers of a life's stream, up to _WEIGHTS, are its first weights.
        unit_BK = _uniform(self._learner.seed, lives, _WEIGHTS + self.steps * batch, batch)
        place_BK = (unit_BK * min(self.steps, self._learner.memory)).long()
        return self._columns_5BM.gather(2, place_BK.expand(5, -1, -1))


def _network(learner: Dqn, lives: int, observations: int, actions: int) -> list[Tensor]:
    """Weights [B, O, F], [B, F, A] and biases, uniform in ±1/√(inputs), as torch's layers start."""
    hidden = learner.hidden
    numbers = [observations * hidden, hidden, hidden * actions, actions]
    unit_B = 2 * _uniform(learner.seed, lives, 0, sum(numbers)) - 1
    first, first_bias, last, last_bias = torch.split(unit_B, numbers, dim=1)
    outer, inner = 1 / math.sqrt(observations), 1 / math.sqrt(hidden)
    net = [
        first.reshape(lives, observations, hidden) * outer,
        first_bias * outer,
        last.reshape(lives, hidden, actions) * inner,
        last_bias * inner,
    ]
    return [weight.clone().requires_grad_() for weight in net]


def _uniform(seed: int, lives: int, first: int, count: int) -> Tensor:
    """Numbers [B, count] in [0, 1): those from `first` on of a stream that each life has for itself."""
    life_B1 = torch.arange(lives)[:, None] + (seed << 32)
    return counter.uniform(life_B1, first + torch.arange(count))


def _values(net: list[Tensor], observation_BK: Tensor) -> Tensor:
    """Action values [B, K, A] of observations."""
    first_BOF, first_bias_BF, last_BFA, last_bias_BA = net
    lives_B1 = torch.arange(len(first_BOF))[:, None]
    hidden_BKF = torch.relu(first_BOF[lives_B1, observation_BK] + first_bias_BF[:, None])
    return hidden_BKF @ last_BFA + last_bias_BA[:, None]

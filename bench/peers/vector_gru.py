"""Many agents as they are run elsewhere: gymnasium's vector environment in a loop with a recurrent policy, a GRU.

A GRU has activations and no fast weights, so its agents are others and do other things; what is compared is the work:
as many slow weights, one step of everyone and of their environments a turn. The environment is written in NumPy for all
of them at once, the fastest that such a loop has.

B agents, A actions, I inputs, D width.
"""

from itertools import count
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces import Discrete
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from plures_students.model import Student
from torch import Tensor, nn
from torch.nn.functional import one_hot

from .agents import RATES, SEED


class Bandits(VectorEnv[Any, Any, Any]):
    """B two-armed bandits; what is seen is the last reward."""

    def __init__(self, agents: int) -> None:
        self.num_envs = agents
        self.single_action_space = Discrete(2)
        self.single_observation_space = gym.spaces.Box(0, 1, (1,), np.float32)
        self._rates = np.array(RATES[0], np.float32)
        self._nobody = np.zeros(agents, np.bool_)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        self._random = np.random.default_rng(seed)
        return np.zeros((self.num_envs, 1), np.float32), {}

    def step(self, actions: NDArray[np.int64]) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        reward = (self._random.random(self.num_envs, np.float32) < self._rates[actions]).astype(np.float32)
        return reward[:, None], reward, self._nobody, self._nobody, {}


class GruPolicy(nn.Module):
    """(last action, last reward) → GRU → logits, of as many weights as fit in so many."""

    def __init__(self, weights: int, actions: int = 2) -> None:
        super().__init__()
        inputs = actions + 1
        width = next(width for width in count(1) if _weights(inputs, width + 1, actions) > weights)
        self.actions = actions
        self.cell = nn.GRUCell(inputs, width)
        self.head = nn.Linear(width, actions)

    def forward(self, action_B: Tensor, reward_B1: Tensor, hidden_BD: Tensor) -> tuple[Tensor, Tensor]:
        seen_BI = torch.cat([one_hot(action_B, self.actions).float(), reward_B1], dim=1)
        hidden_BD = self.cell(seen_BI, hidden_BD)
        return self.head(hidden_BD), hidden_BD


def _weights(inputs: int, width: int, actions: int) -> int:
    return 3 * width * (inputs + width + 2) + actions * (width + 1)


class GruAgents:
    """The loop: perceive, choose, step the environments."""

    def __init__(self, student: Student, agents: int) -> None:
        torch.manual_seed(SEED)
        self.policy = GruPolicy(sum(weight.numel() for weight in student.parameters())).requires_grad_(False)
        self._worlds = Bandits(agents)
        seen, _ = self._worlds.reset(seed=SEED)
        self._seen_B1 = torch.from_numpy(seen)
        self._hidden_BD = torch.zeros(agents, self.policy.cell.hidden_size)
        self._action_B = torch.zeros(agents, dtype=torch.long)
        self._reward_B = torch.zeros(agents)

    @torch.inference_mode()
    def step(self) -> None:
        logits, self._hidden_BD = self.policy(self._action_B, self._seen_B1, self._hidden_BD)
        self._action_B = logits.softmax(-1).multinomial(1).squeeze(1)
        seen, reward, *_ = self._worlds.step(self._action_B.numpy())
        self._seen_B1 = torch.from_numpy(seen)
        self._reward_B += torch.from_numpy(reward)

    def summary(self) -> Tensor:
        return self._reward_B[:, None]

    @property
    def bytes_an_agent(self) -> float:
        own = (self._hidden_BD, self._seen_B1, self._action_B, self._reward_B)
        return sum(tensor.nbytes for tensor in own) / len(self._hidden_BD)

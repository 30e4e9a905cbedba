"""A recorded life as it is replayed: a chunk of steps for some agents, and whether it makes sense.

Shapes: T steps, B agents.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray
from plures_students.spaces import dtype_of, is_element
from torch import Tensor

from .cohort import Ordinals
from .errors import InvalidArgument
from .students import Shape

_REWARDS = Box(-np.inf, np.inf, ())
_FLAGS = Discrete(2)


@dataclass(frozen=True)
class LifeChunk:
    """Consecutive steps, time first: what agents perceive, and are made to do. What is None takes its default.

    observation: [T, B, …]. reward, for the action before, float32 [T, B]. done: uint8 [T, B]. action: int32 [T, B].
    last_reward: float32 [B], for the last actions. ordinals: of the agents that the stream began with; None for all.
    """

    action: Tensor
    observation: Tensor | None = None
    reward: Tensor | None = None
    done: Tensor | None = None
    last_reward: Tensor | None = None
    ordinals: Ordinals | None = None


@dataclass(frozen=True)
class Steps:
    """A chunk that makes sense, with nothing left out: [T, B, …], and last_reward [B]."""

    observation: Tensor
    reward: Tensor
    done: Tensor
    action: Tensor
    last_reward: Tensor

    def __len__(self) -> int:
        return len(self.action)


def checked(chunk: LifeChunk, config: Shape, who: Ordinals, lived: NDArray[np.int64], reward: Tensor) -> Steps:
    """The chunk's steps for these agents, who have lived so many rows before, and expect these rewards [B].

    Raises InvalidArgument, naming the agent, the row of its life, and the value.
    """
    if chunk.action.ndim != 2 or len(chunk.action) == 0 or chunk.action.shape[1] != len(who):
        raise InvalidArgument(f"action has shape {list(chunk.action.shape)}, wanted is [steps, {len(who)} agents]")
    shape = chunk.action.shape
    if (observation := chunk.observation) is None:
        if config.observation_size != 1:
            raise InvalidArgument(f"observations are missing: {config.observation_space} has more than one element")
        space = config.observation_space
        observation = torch.zeros(*shape, *(space.shape or ()), dtype=dtype_of(space))
    steps = Steps(
        observation,
        _rewards(shape, reward) if chunk.reward is None else chunk.reward,
        torch.zeros(shape, dtype=torch.uint8) if chunk.done is None else chunk.done,
        chunk.action,
        torch.zeros(len(who)) if chunk.last_reward is None else chunk.last_reward,
    )
    rows = _Rows(shape, who, lived)
    rows.check(config.observation_space, dtype_of(config.observation_space), steps.observation, "observation")
    rows.check(_REWARDS, torch.float32, steps.reward, "reward")
    rows.check(_FLAGS, torch.uint8, steps.done, "done")
    rows.check(config.action_space, torch.int32, steps.action, "action")
    last = _Rows(shape[1:], who, lived + len(steps) - 1)
    last.check(_REWARDS, torch.float32, steps.last_reward, "last_reward")
    return steps


def _rewards(shape: torch.Size, first: Tensor) -> Tensor:
    reward = torch.zeros(shape)
    reward[0] = first
    return reward


@dataclass(frozen=True)
class _Rows:
    """What the rows of a chunk are called: `who` has lived so many before, [B]. shape: [T, B], or [B] for one row."""

    shape: torch.Size
    who: Ordinals
    lived: NDArray[np.int64]

    def check(self, space: Space[Any], dtype: torch.dtype, values: Tensor, what: str) -> None:
        wanted = [*self.shape, *(space.shape or ())]
        if values.dtype != dtype or list(values.shape) != wanted:
            raise InvalidArgument(f"{what} is {values.dtype} {list(values.shape)}, wanted is {dtype} {wanted}")
        good = is_element(space, values)
        if not bool(good.all()):
            where = (~good).nonzero()[0].tolist()
            *step, agent = where[: len(self.shape)]
            raise InvalidArgument(
                f"{what} {values[tuple(where)].item()} in row {self.lived[agent] + sum(step)} of the life of agent "
                f"{self.who[agent]} is not in {space}"
            )

"""Environments of gymnasium as tasks. They are Python, run on the CPU, one copy after another: tens of thousands of
steps a second, where the tasks that are this server's own make millions.

Shapes: B copies of the environment, R some of them.
"""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Discrete, Space
from plures_kernels.errors import InvalidArgument
from plures_students.spaces import dtype_of, space_from_json, space_to_json
from torch import Tensor

PREFIX = "gymnasium:"
MOST_COPIES = 16_384
"""Environments of one run: each is a Python object of a few kilobytes at least."""

Env = gymnasium.Env[Any, Any]


class Environment:
    """One of gymnasium's environments by its id. It takes no parameters.

    A copy is reset with its seed; when an episode ends or is cut short, the next begins at once, and the agent
    perceives that. Summary: `reward`, over all episodes; `episodes`, those that ended; `last_return`, of the last of
    them (0: none).
    """

    parameter_names: tuple[str, ...] = ()
    summary_names = ("reward", "episodes", "last_return")

    def __init__(self, identifier: str) -> None:
        """Raise InvalidArgument when there is no such environment, or no student could perceive it or act in it."""
        self._id = identifier
        env = self._make()
        self.observation_space = self._served(env.observation_space, "observation")
        self.action_space = self._served(env.action_space, "action")
        if not isinstance(self.action_space, Discrete):
            raise InvalidArgument(
                f"environment {identifier!r} has action space {env.action_space}; students choose among n actions: "
                "wrap it in one that is Discrete, and register that"
            )
        env.close()

    def check(self, parameters: Tensor) -> None:
        """There are none."""

    def begin(self, parameters_BP: Tensor, seed_B: Tensor, steps_B: Tensor) -> "EnvironmentEpisode":
        if len(seed_B) > MOST_COPIES:
            raise InvalidArgument(
                f"{len(seed_B):,} copies of environment {self._id!r} are too many; run at most {MOST_COPIES:,} at once"
            )
        return EnvironmentEpisode([self._make() for _ in seed_B], self.observation_space, seed_B)

    def _make(self) -> Env:
        try:
            # Its own checker looks at every step; `Watched` looks at what matters here.
            return gymnasium.make(self._id, disable_env_checker=True)
        except (gymnasium.error.Error, ImportError) as error:
            raise InvalidArgument(f"gymnasium can make no environment {self._id!r}: {error}") from error

    def _served(self, space: Space[Any], what: str) -> Space[Any]:
        """The space as students have it: numbers of a Box are float32."""
        try:
            return space_from_json(space_to_json(space))
        except InvalidArgument as error:
            raise InvalidArgument(f"the {what}s of environment {self._id!r} fit no student: {error}") from error


class EnvironmentEpisode:
    """Copies under way."""

    def __init__(self, envs: list[Env], space: Space[Any], seed_B: Tensor) -> None:
        self._envs = envs
        self._device = seed_B.device
        dtype = torch.empty(0, dtype=dtype_of(space)).numpy().dtype
        # gymnasium takes 32 bits of a seed.
        seen = [env.reset(seed=int(seed) & 0xFFFFFFFF)[0] for env, seed in zip(envs, seed_B.tolist(), strict=True)]
        self._seen_B = np.stack([np.asarray(one, dtype) for one in seen])
        self._ended_B = np.zeros(len(envs), np.uint8)
        self._return_B = np.zeros(len(envs))
        self._summary_BM = np.zeros((len(envs), 3), np.float32)

    def observation(self, rows: slice) -> Tensor:
        return torch.from_numpy(self._seen_B[rows].copy()).to(self._device)

    def step(self, rows: slice, action_R: Tensor, tick: int) -> Tensor:
        rewards = [self._step_one(rows.start + n, action) for n, action in enumerate(action_R.tolist())]
        return torch.tensor(rewards, dtype=torch.float32, device=self._device)

    def ended(self, rows: slice) -> Tensor:
        return torch.from_numpy(self._ended_B[rows].copy()).to(self._device)

    def summary(self) -> Tensor:
        return torch.from_numpy(self._summary_BM)

    def _step_one(self, copy: int, action: int) -> float:
        seen, reward, terminated, truncated, _ = self._envs[copy].step(action)
        self._return_B[copy] += float(reward)
        self._summary_BM[copy, 0] += float(reward)
        self._ended_B[copy] = terminated or truncated
        if self._ended_B[copy]:
            self._summary_BM[copy, 1:] = self._summary_BM[copy, 1] + 1, self._return_B[copy]
            self._return_B[copy] = 0
            seen, _ = self._envs[copy].reset()
        self._seen_B[copy] = seen
        return float(reward)

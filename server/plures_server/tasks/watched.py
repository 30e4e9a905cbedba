"""A task's code is not ours: what it raises or gets wrong fails the run that it is in, and nothing else, and says so.

Shapes: B copies of the environment, R some of them.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from gymnasium.spaces import Space
from numpy.typing import NDArray
from plures_students.spaces import dtype_of, is_element
from torch import Tensor

from ..errors import PluresError, TaskFailed
from .base import AskingEpisode, Asks, Episode, Task

T = TypeVar("T")


class Watched:
    """An episode whose rewards and observations are looked at before an agent perceives them."""

    def __init__(
        self, name: str, task: Task, parameters_BP: Tensor, seed_B: Tensor, steps_B: NDArray[np.int64]
    ) -> None:
        self._name = name
        self._space = task.observation_space
        self._columns = len(task.summary_names)
        self._copies = len(seed_B)
        device = seed_B.device
        begun_with = parameters_BP.to(device).contiguous(), seed_B, torch.from_numpy(steps_B).to(device)
        self._episode: Episode = self._from_task("begin", task.begin, *begun_with)

    def observation(self, rows: slice) -> Tensor:
        seen_R = self._from_task("observation", self._episode.observation, rows)
        self._require("observation", seen_R, (rows.stop - rows.start, *_shape(self._space)), dtype_of(self._space))
        # A GPU that is shown what is no element of a discrete space does nothing more for anybody.
        self._require_all("observation", seen_R, is_element(self._space, seen_R))
        return seen_R

    def step(self, rows: slice, action_R: Tensor, tick: int) -> Tensor:
        reward_R = self._from_task("step", self._episode.step, rows, action_R, tick)
        self._require("reward", reward_R, (rows.stop - rows.start,), torch.float32)
        self._require_all("reward", reward_R, reward_R.isfinite())
        return reward_R

    def ended(self, rows: slice) -> Tensor:
        ended_R = self._from_task("ended", self._episode.ended, rows)
        self._require("ended", ended_R, (rows.stop - rows.start,), torch.uint8)
        return ended_R

    def summary(self) -> Tensor:
        summary_BM = self._from_task("summary", self._episode.summary)
        self._require("summary", summary_BM, (self._copies, self._columns), torch.float32)
        return summary_BM

    def asks(self) -> Asks | None:
        """What its copies want others to do; None when the task never asks."""
        return self._from_task("asks", self._episode.asks) if isinstance(self._episode, AskingEpisode) else None

    def _from_task(self, what: str, work: Callable[..., T], *arguments: Any) -> T:
        try:
            return work(*arguments)
        except PluresError:
            raise
        except Exception as error:
            raise TaskFailed(f"task {self._name!r} failed in {what}: {error!r}") from error

    def _require(self, what: str, found: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        if not isinstance(found, Tensor):
            raise TaskFailed(f"task {self._name!r} returned {what} {type(found).__name__}, not a tensor")
        if found.shape != shape or found.dtype != dtype:
            raise TaskFailed(
                f"task {self._name!r} returned {what} {found.dtype} {list(found.shape)}, not {dtype} {list(shape)}"
            )

    def _require_all(self, what: str, found: Tensor, good: Tensor) -> None:
        if not bool(good.all()):
            place = (~good).nonzero()[0].tolist()
            raise TaskFailed(f"task {self._name!r} returned {what} {found[tuple(place)].item()} for row {place[0]}")


def _shape(space: Space[Any]) -> tuple[int, ...]:
    return space.shape or ()

"""Recorded lives, as clients have them, and the chunks in which they are replayed.

Shapes: T steps of a life, B agents.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from plures.v1.become_pb2 import LifeChunk

from . import ordinals as wire_ordinals
from .errors import InvalidArgument
from .tensors import cast, encode

CHUNK_BYTES = 1 << 20
MOST_STEPS = 4096
"""Of one chunk: a step later is a step that can be cancelled sooner."""


class Life:
    """What somebody saw, did and got, [T] each, from the first step on: the rows of a life in `lives.parquet`.

    reward: for the row's own action; done: whether that ended an episode. observation: [T, …observation space]; may be
    left out when the space has one element, as rewards may when there were none, and ends of episodes.
    """

    def __init__(
        self,
        action: ArrayLike,
        reward: ArrayLike | None = None,
        done: ArrayLike | None = None,
        observation: ArrayLike | None = None,
    ) -> None:
        self.action: NDArray[np.int32] = cast(action, np.int32)
        steps = len(self)
        self.reward: NDArray[np.float32] = cast(np.zeros(steps) if reward is None else reward, np.float32)
        self.done: NDArray[np.uint8] = cast(np.zeros(steps, np.uint8) if done is None else np.asarray(done), np.uint8)
        self.observation = None if observation is None else _numbers(observation)
        self._check()

    def __len__(self) -> int:
        return len(self.action) if self.action.ndim == 1 else 0

    def _check(self) -> None:
        if len(self) == 0:
            raise InvalidArgument(f"a life has actions of shape [steps], at least one; these have {self.action.shape}")
        for name in ("reward", "done", "observation"):
            values = getattr(self, name)
            if values is not None and (
                values.shape[:1] != (len(self),) or (name != "observation" and values.ndim != 1)
            ):
                raise InvalidArgument(f"{name} of shape {values.shape} given for {len(self)} actions")


@dataclass(frozen=True)
class Part:
    """The same steps of some lives, by their places among all."""

    places: NDArray[np.int64]
    steps: slice


def parts(lives: Sequence[Life], chunk_bytes: int = CHUNK_BYTES) -> Iterator[Part]:
    """Cut lives in chunks of like length. The first step goes alone: what is perceived there, the server knows."""
    lengths = np.array([len(life) for life in lives])
    row_bytes = 16 + max(0 if life.observation is None else life.observation[0].nbytes for life in lives)
    most = int(np.clip(chunk_bytes // (row_bytes * len(lives)), 1, MOST_STEPS))
    yield Part(np.arange(len(lives)), slice(0, 1))
    for first in range(1, int(lengths.max()), most):
        by_end: defaultdict[int, list[int]] = defaultdict(list)
        for place in np.flatnonzero(lengths > first):
            by_end[min(first + most, int(lengths[place]))].append(int(place))
        for end, places in by_end.items():
            yield Part(np.array(places), slice(first, end))


def chunk(lives: Sequence[Life], ordinals: NDArray[np.int64] | None, part: Part) -> LifeChunk:
    """The message of some steps of the lives of agents with these ordinals; None: all agents begun with."""
    some = [lives[place] for place in part.places]
    steps, before = part.steps, slice(part.steps.start - 1, part.steps.stop - 1)
    message = LifeChunk(
        ordinals=None if ordinals is None else wire_ordinals.encode(ordinals[part.places]),
        action=encode(np.stack([life.action[steps] for life in some], axis=1), np.int32),
    )
    if some[0].observation is not None:
        observation = np.stack([life.observation[steps] for life in some], axis=1)
        message.observation.CopyFrom(encode(observation, observation.dtype))
    if steps.start > 0:
        message.reward.CopyFrom(encode(np.stack([life.reward[before] for life in some], axis=1), np.float32))
        message.done.CopyFrom(encode(np.stack([life.done[before] for life in some], axis=1), np.uint8))
    last_reward = [life.reward[steps.stop - 1] for life in some]
    message.last_reward.CopyFrom(encode(np.array(last_reward), np.float32))
    return message


def _numbers(observation: ArrayLike) -> NDArray[Any]:
    array = np.asarray(observation)
    return cast(array, np.float32 if array.dtype.kind == "f" else np.int32)

"""Many lives in memory, end to end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .card import LivesCard


@dataclass(frozen=True)
class Lives:
    """L lives of N steps together, ragged: life i is the rows `offsets[i]` … `offsets[i + 1] - 1`.

    life_L: int64 ids, increasing. offsets: int64 [L + 1]. step_N: int64, increasing within a life. observation_N:
    [N, *space.shape], action_N: [N, *space.shape], int32 for discrete spaces and float32 for Box. reward_N: float32,
    for the row's action. done_N: bool, whether the row's action ended an episode. extra: further columns by name.
    """

    card: LivesCard
    life_L: NDArray[np.int64]
    offsets: NDArray[np.int64]
    step_N: NDArray[np.int64]
    observation_N: NDArray[Any]
    action_N: NDArray[Any]
    reward_N: NDArray[np.float32]
    done_N: NDArray[np.bool_]
    extra: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.life_L)

    @property
    def steps(self) -> int:
        return int(self.offsets[-1])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Steps of each life, [L]."""
        return np.diff(self.offsets)

    @property
    def life_of_row_N(self) -> NDArray[np.int64]:
        """Place (not id) of the life that each row belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def rows(self, place: int) -> slice:
        """The rows of one life, by its place."""
        return slice(int(self.offsets[place]), int(self.offsets[place + 1]))

    def select(self, places: Sequence[int] | NDArray[Any]) -> "Lives":
        """The lives at these places, in increasing order of place."""
        places = np.sort(np.asarray(places, np.int64))
        keep_N = np.isin(self.life_of_row_N, places)
        columns = ("step_N", "observation_N", "action_N", "reward_N", "done_N")
        return replace(
            self,
            life_L=self.life_L[places],
            offsets=np.concatenate([[0], np.cumsum(self.lengths[places])]),
            extra={name: values[keep_N] for name, values in self.extra.items()},
            **{name: getattr(self, name)[keep_N] for name in columns},
        )

    def episodes(self) -> NDArray[np.int64]:
        """Bounds of the episodes of all lives, [E + 1]: an episode ends after a done row, or with its life."""
        ends = np.union1d(np.flatnonzero(self.done_N) + 1, self.offsets)
        return np.union1d(ends, [0])


def join(parts: Sequence[Lives]) -> Lives:
    """The lives of several sets with like cards and columns, end to end, numbered anew from 0."""
    columns = ("step_N", "observation_N", "action_N", "reward_N", "done_N")
    lengths = np.concatenate([part.lengths for part in parts])
    joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}
    return replace(
        parts[0],
        life_L=np.arange(len(lengths)),
        offsets=np.append(0, np.cumsum(lengths)),
        extra={name: np.concatenate([part.extra[name] for part in parts]) for name in parts[0].extra},
        **joined,
    )


def split(lives: Lives, share: float, seed: int) -> tuple[Lives, Lives]:
    """Cut a data set in two by life: the first has round(share · L) lives, at least one, and leaves at least one."""
    order = np.random.default_rng(seed).permutation(len(lives))
    first = min(max(round(share * len(lives)), 1), len(lives) - 1)
    return lives.select(order[:first]), lives.select(order[first:])

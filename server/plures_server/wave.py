"""A wave: agents stepped together, as tensors on the device, cut in tiles of one constant size.

Shapes: B agents of the wave, T rows of a tile, A actions.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from plures_kernels import counter
from plures_students.model import Inputs
from plures_students.sampling import sample
from plures_students.spaces import dtype_of
from torch import Tensor

from .cohort import Cohort, Ordinals
from .crew import Crew
from .pages import Pages
from .students import ServedStudent

PADDING = -1
"""Slot of a row that stands for no agent."""


@dataclass
class Wave:
    """Agents of one student: where their states are read and written, and what each one is.

    read, write: int32 [B] pages. seed: int64 [B]. step: int64 [B], steps behind them. last_action: int32 [B].
    """

    read: Tensor
    write: Tensor
    seed: Tensor
    step: Tensor
    last_action: Tensor

    def __len__(self) -> int:
        return len(self.read)

    def rows(self, rows: slice) -> "Wave":
        """Some of the agents, sharing memory with the whole."""
        return Wave(self.read[rows], self.write[rows], self.seed[rows], self.step[rows], self.last_action[rows])


def agent_seeds(seed: int, ordinals: Ordinals, device: torch.device) -> Tensor:
    """The agents' own seeds, int64 [B]: a function of the cohort's seed and the ordinal."""
    base = torch.from_numpy(np.array([seed], np.uint64).view(np.int64)).to(device)
    return counter.bits(base, torch.from_numpy(ordinals.astype(np.int64)).to(device))


def wave_of(cohort: Cohort, ordinals: Ordinals, read: Tensor, write: Tensor) -> Wave:
    """The wave of some agents of a cohort."""
    device = read.device
    return Wave(
        read,
        write,
        seed=agent_seeds(cohort.seed, ordinals, device),
        step=torch.from_numpy(cohort.step[ordinals]).to(device),
        last_action=torch.from_numpy(cohort.last_action[ordinals]).to(device),
    )


def joined(waves: list[Wave]) -> Wave:
    """Several waves as one."""
    if len(waves) == 1:
        return waves[0]
    fields = ("read", "write", "seed", "step", "last_action")
    return Wave(**{name: torch.cat([getattr(wave, name) for wave in waves]) for name in fields})


class Stepper:
    """Steps tiles of one student's agents. Every tile has `tile` rows, so a row's result is the same in any wave."""

    def __init__(self, student: ServedStudent, pages: Pages, tile: int, crew: Crew) -> None:
        self.student = student
        self.pages = pages
        self.tile = tile
        self.crew = crew

    def batches(self, count: int) -> Iterator[list[slice]]:
        """Rows 0 … count - 1 as tiles, as many at a time as the crew steps side by side."""
        tiles = [slice(first, min(first + self.tile, count)) for first in range(0, count, self.tile)]
        return (tiles[i : i + self.crew.workers] for i in range(0, len(tiles), self.crew.workers))

    def logits(self, wave: Wave, observation: Tensor, reward: Tensor, done: Tensor) -> Tensor:
        """Logits [B, A] of at most one tile of agents; their states move from wave.read to wave.write."""
        read, write, action, observation, reward, done = (
            self._padded(x, filler)
            for x, filler in (
                (wave.read, PADDING),
                (wave.write, PADDING),
                (wave.last_action, 0),
                (observation, 0),
                (reward, 0),
                (done, 0),
            )
        )
        inputs = Inputs(observation, action, reward, done)
        return self.student.model.step(self.pages.data, read, write, inputs)[: len(wave)]

    def choose(self, wave: Wave, logits: Tensor) -> Tensor:
        """Each agent's own draw: actions int32 [B]."""
        return sample(logits, wave.seed, wave.step)

    def blank_observation(self, count: int) -> Tensor:
        """Observations of zeros, for spaces of one element."""
        space = self.student.config.observation_space
        return torch.zeros((count, *(space.shape or ())), dtype=dtype_of(space), device=self.pages.data.device)

    def _padded(self, x: Tensor, filler: int) -> Tensor:
        if len(x) == self.tile:
            return x
        padding = x.new_full((self.tile - len(x), *x.shape[1:]), filler)
        return torch.cat([x, padding])

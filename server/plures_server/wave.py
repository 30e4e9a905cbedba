"""A wave: agents stepped together, as tensors on the device.

Shapes: B agents of the wave.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from plures_kernels import counter
from torch import Tensor

from .cohort import Cohort, Ordinals


@dataclass
class Wave:
    """Agents of one student: where their states are read and written, and what each one is.

    read, write: int32 [B] slots, once the agents are seated. seed: int64 [B]. step: int64 [B], steps behind them.
    last_action: int32 [B].
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


def agent_seeds(seed: int, numbers: NDArray[np.integer], device: torch.device) -> Tensor:
    """The agents' own seeds, int64 [B]: a function of the cohort's seed and the agent's number."""
    base = torch.from_numpy(np.array([seed], np.uint64).view(np.int64)).to(device)
    return counter.bits(base, torch.from_numpy(numbers.astype(np.int64)).to(device))


UNSEATED = -1
"""Slot of an agent whose state was not made ready to be stepped."""


def wave_of(cohort: Cohort, ordinals: Ordinals, device: torch.device) -> Wave:
    """The wave of some agents of a cohort, not seated."""
    unseated = torch.full((len(ordinals),), UNSEATED, dtype=torch.int32, device=device)
    return Wave(
        read=unseated,
        write=unseated.clone(),
        seed=agent_seeds(cohort.seed, cohort.number[ordinals], device),
        step=torch.from_numpy(cohort.step[ordinals]).to(device),
        last_action=torch.from_numpy(cohort.last_action[ordinals]).to(device),
    )


def joined(waves: list[Wave]) -> Wave:
    """Several waves as one."""
    if len(waves) == 1:
        return waves[0]
    fields = ("read", "write", "seed", "step", "last_action")
    return Wave(**{name: torch.cat([getattr(wave, name) for wave in waves]) for name in fields})

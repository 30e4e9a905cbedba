"""A wave: agents stepped together, as tensors on the device.

Shapes: B agents of the wave.
"""

from collections.abc import Sequence
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


def agent_seeds(seed: int | NDArray[np.uint64], numbers: NDArray[np.integer], device: torch.device) -> Tensor:
    """The agents' own seeds, int64 [B]: a function of the cohort's seed, one for all or one each, and the number."""
    base = torch.from_numpy(np.atleast_1d(np.asarray(seed, np.uint64)).view(np.int64)).to(device)
    return counter.bits(base, torch.from_numpy(numbers.astype(np.int64)).to(device))


UNSEATED = -1
"""Slot of an agent whose state was not made ready to be stepped."""


def wave_of(cohort: Cohort, ordinals: Ordinals, device: torch.device) -> Wave:
    """The wave of some agents of a cohort, not seated."""
    return wave_of_all([(cohort, ordinals)], device)


def wave_of_all(parts: Sequence[tuple[Cohort, Ordinals]], device: torch.device) -> Wave:
    """The wave of agents of several cohorts, not seated."""
    counts = [len(ordinals) for _, ordinals in parts]
    seed = np.repeat(np.array([cohort.seed for cohort, _ in parts], np.uint64), counts)
    number, step, last_action = (
        np.concatenate([getattr(cohort, name)[ordinals] for cohort, ordinals in parts])
        for name in ("number", "step", "last_action")
    )
    unseated = torch.full((len(seed),), UNSEATED, dtype=torch.int32, device=device)
    return Wave(
        read=unseated,
        write=unseated.clone(),
        seed=agent_seeds(seed, number, device),
        step=torch.from_numpy(step).to(device),
        last_action=torch.from_numpy(last_action).to(device),
    )

"""Lives as the student perceives them, cut into segments and padded to batches.

Shapes: N rows of lives, B segments, T steps, A actions.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..lives import Lives
from ..model import NO_ACTION, Inputs

PADDING = -1


@dataclass(frozen=True)
class Batch:
    """Inputs [B, T, …] and the actions that were taken, int64 [B, T]; PADDING where a segment has ended."""

    inputs: Inputs
    action_BT: Tensor

    @property
    def real_BT(self) -> Tensor:
        return self.action_BT != PADDING


class Histories:
    """The rows of lives as tensors. A segment [start, stop) of rows is perceived from birth: its past is forgotten."""

    def __init__(self, lives: Lives) -> None:
        self.lives = lives
        self._observation_N = torch.from_numpy(lives.observation_N)
        self._action_N = torch.from_numpy(lives.action_N).long()
        self._reward_N = torch.from_numpy(lives.reward_N)
        self._done_N = torch.from_numpy(lives.done_N)

    def batch(self, start_B: NDArray[np.int64], stop_B: NDArray[np.int64], relabel_BA: Tensor | None = None) -> Batch:
        """Segments of rows, with actions renamed: a becomes relabel_BA[b, a]."""
        start_B1, stop_B1 = (torch.from_numpy(bound_B)[:, None] for bound_B in (start_B, stop_B))
        row_BT = start_B1 + torch.arange(int((stop_B - start_B).max()))
        real_BT = row_BT < stop_B1
        row_BT = row_BT.clamp(max=len(self._action_N) - 1)
        action_BT = self._action_N[row_BT]
        if relabel_BA is not None:
            action_BT = relabel_BA.gather(1, action_BT)
        # What is perceived at a step came of the row before it, but for the first step of a newborn.
        before_BT = row_BT[:, :-1]
        inputs = Inputs(
            observation=self._observation_N[row_BT],
            previous_action=_after_birth(NO_ACTION, action_BT[:, :-1]),
            reward=_after_birth(0, self._reward_N[before_BT]),
            done=_after_birth(0, self._done_N[before_BT]),
        )
        return Batch(inputs, action_BT.masked_fill(~real_BT, PADDING))


def _after_birth(first: int, rest_BT: Tensor) -> Tensor:
    return torch.cat([rest_BT.new_full((len(rest_BT), 1), first), rest_BT], dim=1)

"""Renaming what is observed: where observations have no meaning but the one that an episode gives them, as stimuli that
are new in every block, any names are as good, and a student that has seen all of them cannot take names for meanings.

Shapes: N rows of lives, B segments, T steps, E episodes of a segment, S names.
"""

from dataclasses import replace

import numpy as np
import torch
from gymnasium.spaces import MultiDiscrete
from numpy.typing import NDArray
from plures_kernels.errors import InvalidArgument
from torch import Tensor

from ..lives import Lives
from .histories import Batch


class Renaming:
    """Gives the elements of some columns of a MultiDiscrete observation new names, others in every episode.

    The columns speak of the same things, so they are renamed alike. Names are those of the smallest column; what else
    a larger one may hold, as "nothing", keeps its name. InvalidArgument: there are no such columns.
    """

    def __init__(self, lives: Lives, columns: tuple[int, ...], seed: int) -> None:
        space = lives.card.observation_space
        if not isinstance(space, MultiDiscrete) or not all(0 <= column < len(space.nvec) for column in columns):
            raise InvalidArgument(f"observations are {space}; columns {list(columns)} of them cannot be renamed")
        self._columns = list(columns)
        self._names = int(space.nvec[self._columns].min())
        self._largest = int(space.nvec[self._columns].max())
        self._seed = seed
        bounds = lives.episodes()
        self._episode_N = torch.from_numpy(np.repeat(np.arange(len(bounds) - 1), np.diff(bounds)))

    def __call__(self, batch: Batch, start_B: NDArray[np.int64], step: int) -> Batch:
        """The batch of the training's step, of segments that begin in rows `start_B`, with other names."""
        observation_BTC = batch.inputs.observation.clone()
        row_BT = torch.from_numpy(start_B)[:, None] + torch.arange(observation_BTC.size(1))
        episode_BT = self._episode_N[row_BT.clamp(max=len(self._episode_N) - 1)]
        episode_BT -= episode_BT[:, :1].clone()
        name_BES = self._draw(len(start_B), int(episode_BT.max()) + 1, step)
        old_BTK = observation_BTC[..., self._columns].long()
        place_BTK = episode_BT[..., None] * self._largest + old_BTK
        new_BTK = name_BES.flatten(1).gather(1, place_BTK.flatten(1)).view_as(old_BTK)
        observation_BTC[..., self._columns] = new_BTK.to(observation_BTC.dtype)
        return replace(batch, inputs=replace(batch.inputs, observation=observation_BTC))

    def _draw(self, segments: int, episodes: int, step: int) -> Tensor:
        """New names [B, E, S]."""
        rng = np.random.default_rng([self._seed, step, 2])
        name_BES = np.tile(np.arange(self._largest), (segments, episodes, 1))
        name_BES[..., : self._names] = rng.permuted(name_BES[..., : self._names], axis=-1)
        return torch.from_numpy(name_BES)

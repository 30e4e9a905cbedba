"""Which parts of which lives are learned from at a step: a function of (seed, step) alone, so that training resumes."""

import math
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..lives import Lives
from .settings import ImitationSettings


class Segments:
    """Draws segments of lives that begin where an episode begins, or a life if settings want it so."""

    def __init__(self, lives: Lives, actions: int, settings: ImitationSettings) -> None:
        self._settings = settings
        self._actions = actions
        self._start_S = lives.offsets[:-1] if settings.births else _starts(lives, settings.short)
        life_S = np.searchsorted(lives.offsets, self._start_S, side="right") - 1
        self._end_S = lives.offsets[life_S + 1]

    def draw(self, step: int, progress: float) -> tuple[NDArray[np.int64], NDArray[np.int64], Tensor | None]:
        """Bounds of the step's segments [B], and new names for their actions [B, A]; progress runs from 0 to 1."""
        rng = np.random.default_rng([self._settings.seed, step])
        length = self._length(rng, progress)
        picked_B = rng.integers(0, len(self._start_S), max(1, self._settings.batch // length))
        start_B = self._start_S[picked_B]
        stop_B = np.minimum(start_B + length, self._end_S[picked_B])
        return start_B, stop_B, self._names(rng, len(picked_B))

    def _length(self, rng: np.random.Generator, progress: float) -> int:
        shortest, longest = self._settings.short, max(self._settings.short, self._settings.length)
        if rng.random() < 0.5:
            return shortest
        grown = min(1.0, progress / self._settings.growth)
        return int(shortest * math.pow(longest / shortest, grown))

    def _names(self, rng: np.random.Generator, segments: int) -> Tensor | None:
        if not self._settings.relabel:
            return None
        return torch.from_numpy(rng.permuted(np.tile(np.arange(self._actions), (segments, 1)), axis=1))


def _starts(lives: Lives, spacing: int) -> NDArray[np.int64]:
    """First rows of episodes; inside episodes much longer than `spacing`, a row every `spacing` steps, too."""
    spans = pairwise(lives.episodes())
    return np.concatenate([np.arange(start, max(start + 1, stop - spacing // 2), spacing) for start, stop in spans])

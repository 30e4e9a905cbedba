"""What free copies are held to: how often teachers take the best action, and how long they keep to one.

A moment is the frequency of an event in situations of one kind: of teachers, counted; of copies, the mean probability
that they give to the event, which is differentiable in their slow weights.

Shapes: N rows of lives, B plays, T steps, A actions, M kinds of situation.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..bandits import Played
from ..lives import Lives

_STRETCHES = (0, 20, 40, 60, 80, 100)
"""Trials of an episode where a new stretch of time begins."""
_RUNS = (1, 2, 3, 4, 6, 9, 14, 21)
"""Choices in a row where a new kind of run begins."""


class Moments:
    """Frequencies `teacher_M` of an event, and the share `weight_M` of all steps that each kind of situation has."""

    def __init__(self, key_N: NDArray[np.int64], event_N: NDArray[np.bool_], kinds: int) -> None:
        """`key_N`: the kind of situation of each row that counts, `event_N`: whether it happened there."""
        count_M = np.bincount(key_N, minlength=kinds)
        hit_M = np.bincount(key_N, event_N, kinds)
        self.kinds = kinds
        self.teacher_M = torch.from_numpy(hit_M / np.maximum(count_M, 1)).float()
        self.weight_M = torch.from_numpy(count_M / max(1, len(key_N))).float()

    def mean(self, key: Tensor, prob: Tensor) -> tuple[Tensor, Tensor]:
        """Means [M] of probabilities by kind of situation, and of how many steps each is."""
        count_M = torch.bincount(key, minlength=self.kinds)
        return torch.zeros(self.kinds).index_add(0, key, prob) / count_M.clamp(min=1), count_M


class Learning:
    """How often the best action is taken, by what it pays and by time in the episode."""

    def __init__(self, lives: Lives, trial_N: NDArray[np.int64]) -> None:
        pay_N = lives.extra["p_best"]
        edges = np.unique(np.quantile(pay_N, (0.25, 0.5, 0.75)))
        key_N = np.searchsorted(edges, pay_N) * len(_STRETCHES) + np.searchsorted(_STRETCHES, trial_N, side="right") - 1
        self._key_N = torch.from_numpy(key_N)
        best_N = lives.action_N == lives.extra["best_action"]
        self.moments = Moments(key_N, best_N, (len(edges) + 1) * len(_STRETCHES))

    def of(self, played: Played, prob_BTA: Tensor, best_BT: Tensor) -> tuple[Tensor, Tensor]:
        prob_BT = prob_BTA.gather(2, best_BT[..., None])[..., 0]
        return self.moments.mean(self._key_N[played.row_BT][played.real_BT], prob_BT[played.real_BT])


class Persistence:
    """How often the last action is taken again, by how many times in a row it was, and whether it was rewarded."""

    def __init__(self, lives: Lives, trial_N: NDArray[np.int64]) -> None:
        action_N, rewarded_N = torch.from_numpy(lives.action_N)[None], torch.from_numpy(lives.reward_N)[None] > 0
        key_N = _run_key(action_N, rewarded_N, torch.from_numpy(trial_N)[None])[0].numpy()
        again_N = np.append(False, lives.action_N[1:] == lives.action_N[:-1])
        later_N = trial_N > 0
        self.moments = Moments(key_N[later_N], again_N[later_N], 2 * len(_RUNS))

    def of(self, played: Played, prob_BTA: Tensor) -> tuple[Tensor, Tensor]:
        """Of plays that begin where an episode does."""
        trial_BT = torch.arange(played.action_BT.size(1)).expand_as(played.action_BT)
        key_BT = _run_key(played.action_BT, played.reward_BT > 0, trial_BT)
        later_BT = played.real_BT & (trial_BT > 0)
        last_BT = played.action_BT.roll(1, dims=1)
        prob_BT = prob_BTA.gather(2, last_BT[..., None])[..., 0]
        return self.moments.mean(key_BT[later_BT], prob_BT[later_BT])


def _run_key(action_BT: Tensor, rewarded_BT: Tensor, trial_BT: Tensor) -> Tensor:
    """The kind of situation of each step that is not the first of its episode: by what was done until then."""
    place_T = torch.arange(action_BT.size(1))
    fresh_BT = (action_BT != action_BT.roll(1, dims=1)) | (trial_BT == 0)
    run_BT = place_T - torch.where(fresh_BT, place_T, 0).cummax(dim=1).values + 1
    kind_BT = torch.searchsorted(torch.tensor(_RUNS), run_BT, right=True) - 1
    key_BT = 2 * kind_BT + rewarded_BT.long()
    return key_BT.roll(1, dims=1)

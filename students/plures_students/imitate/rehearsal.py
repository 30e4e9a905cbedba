"""Rehearsal: the student plays for itself, and is held to how its teachers fared.

One-step likelihood hardly sees what a learner is for. Recorded choices reveal a preference that rewards have formed,
so a student can foresee them from the choices alone; left to itself it then never forms the preference (the delusion
of Ortega et al. 2021, arXiv:2110.10819). So, where the lives tell the task that was played, copies play it freely, and
the probability that they give to the best action is moved to the frequency with which the teachers took it, on average
over plays of like payoff at a like time. It is moment matching on the student's own histories, by the training lives
alone; all else is left to the likelihood.

Shapes: N rows of lives, B plays, T steps, A actions, M moments.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..bandits import Bandits, Before, Played
from ..lives import Lives
from ..model import Student
from .histories import Histories

_BINS = (0, 20, 40, 60, 80, 100)
"""Trials of an episode where a new stretch of time begins."""


@dataclass(frozen=True)
class RehearsalSettings:
    """Every so many steps after `begin` (a share of the training), `plays` episodes of at most `steps` are played.

    Half of the copies first relive the `context` steps that came before the episode, where there are as many. `weight`
    is that of the squared gaps against the log-loss; gaps are averaged over rehearsals with `smoothing`.
    """

    every: int = 3
    begin: float = 0.3
    plays: int = 96
    steps: int = 150
    context: int = 300
    weight: float = 10.0
    smoothing: float = 0.8


class Rehearsal:
    """Rehearses on the bandits of the training lives. `gap_M` is the student's surplus in each moment, smoothed."""

    def __init__(self, histories: Histories, settings: RehearsalSettings, seed: int) -> None:
        self.settings = settings
        self._seed = seed
        self._histories = histories
        self._bandits = Bandits(histories.lives)
        self._spans = np.array(list(pairwise(histories.lives.episodes())))
        self._learning = _Learning(histories.lives, self._spans)
        self.gap_M = torch.zeros(len(self._learning.teacher_M))
        self.count = torch.zeros(())

    def is_due(self, step: int, progress: float) -> bool:
        return step % self.settings.every == 0 and progress >= self.settings.begin

    def loss(self, student: Student, step: int) -> Tensor:
        """A loss whose gradient closes the gaps between copies and teachers."""
        rng = np.random.default_rng([self._seed, step, 1])
        start_B, stop_B = self._spans[rng.choice(len(self._spans), self.settings.plays)].T
        stop_B = np.minimum(stop_B, start_B + self.settings.steps)
        names_BA = self._names(rng, len(start_B))
        before = self._before(student, rng, start_B, names_BA)
        played = self._bandits.play(student, start_B, stop_B, int(rng.integers(2**62)), before, names_BA)
        best_BT = names_BA.gather(1, self._bandits.best_N[played.row_BT])
        prob_BT = _probability_of(student, played, before, best_BT)
        student_M, count_M = self._learning.of(prob_BT, played)
        return self.settings.weight * self._pull(student_M, count_M)

    def _pull(self, student_M: Tensor, count_M: Tensor) -> Tensor:
        """Σ weight · gap², but with the gap that is squared taken over several rehearsals."""
        gap_M = torch.where(count_M > 0, student_M - self._learning.teacher_M, 0).detach()
        keep = self.settings.smoothing
        self.gap_M = keep * self.gap_M + (1 - keep) * gap_M
        self.count += 1
        smooth_M = self.gap_M / (1 - keep**self.count)
        return 2 * (self._learning.weight_M * smooth_M * student_M).sum()

    def _names(self, rng: np.random.Generator, plays: int) -> Tensor:
        actions = self._bandits.pay_NA.shape[1]
        return torch.from_numpy(rng.permuted(np.tile(np.arange(actions), (plays, 1)), axis=1))

    def _before(
        self, student: Student, rng: np.random.Generator, start_B: NDArray[np.int64], names_BA: Tensor
    ) -> Before:
        """Newborns, half of which then relive what came before the episode, where it is long enough."""
        lives = self._histories.lives
        born_B = lives.offsets[np.searchsorted(lives.offsets, start_B, side="right") - 1]
        older = np.flatnonzero((start_B - born_B >= self.settings.context) & (rng.random(len(start_B)) < 0.5))
        before = Before.birth(student, len(start_B))
        if len(older) == 0:
            return before
        batch = self._histories.batch(start_B[older] - self.settings.context, start_B[older], names_BA[older])
        with torch.no_grad():
            _, states = student(batch.inputs)
        last = start_B[older] - 1
        before.pages[older] = torch.stack(states, dim=1).flatten(1)
        before.action[older] = batch.action_BT[:, -1]
        before.reward[older] = torch.from_numpy(lives.reward_N[last])
        before.done[older] = torch.from_numpy(lives.done_N[last])
        return before


class _Learning:
    """How often the best action is taken, by what it pays and by time in the episode: the moments M."""

    def __init__(self, lives: Lives, spans: NDArray[np.int64]) -> None:
        pay_N = lives.extra["p_best"]
        edges = np.unique(np.quantile(pay_N, (0.25, 0.5, 0.75)))
        trial_N = np.arange(lives.steps) - np.repeat(spans[:, 0], np.diff(spans, axis=1)[:, 0])
        key_N = np.searchsorted(edges, pay_N) * len(_BINS) + np.searchsorted(_BINS, trial_N, side="right") - 1
        self._size = (len(edges) + 1) * len(_BINS)
        self._key_N = torch.from_numpy(key_N)
        count_M = np.bincount(key_N, minlength=self._size)
        hit_M = np.bincount(key_N, lives.action_N == lives.extra["best_action"], self._size)
        self.teacher_M = torch.from_numpy(hit_M / np.maximum(count_M, 1)).float()
        self.weight_M = torch.from_numpy(count_M / lives.steps).float()

    def of(self, prob_BT: Tensor, played: Played) -> tuple[Tensor, Tensor]:
        """Means [M] of the copies' probabilities of the best action, and of how many steps."""
        key = self._key_N[played.row_BT][played.real_BT]
        count_M = torch.bincount(key, minlength=self._size)
        return torch.zeros(self._size).index_add(0, key, prob_BT[played.real_BT]) / count_M.clamp(min=1), count_M


def _probability_of(student: Student, played: Played, before: Before, action_BT: Tensor) -> Tensor:
    """Probabilities [B, T] of given actions, differentiable in the slow weights."""
    states = [state.contiguous() for state in before.pages.view(-1, *student.config.state_shape).unbind(1)]
    prob_BTA: Tensor = student(played.inputs, states)[0].softmax(-1)
    return prob_BTA.gather(2, action_BT[..., None])[..., 0]

"""Rehearsal: the student plays for itself, and is held to how its teachers fared.

One-step likelihood hardly sees what a learner is for. Recorded choices reveal a preference that rewards have formed,
so a student can foresee them from the choices alone; left to itself it then never forms the preference (the delusion
of Ortega et al. 2021, arXiv:2110.10819). So, where the lives tell the task that was played, copies play it freely, and
two kinds of probability are moved to the teachers' frequencies: that of the best action, on average over plays of like
payoff at a like time; and that of the last action, after like runs of it. It is moment matching on the student's own
histories, by the training lives alone; all else is left to the likelihood.

Shapes: N rows of lives, B plays, T steps, A actions, M moments.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ..bandits import Bandits, Played, Standing
from ..lives import Lives
from ..model import Student
from .moments import Learning, Persistence


@dataclass(frozen=True)
class RehearsalSettings:
    """Every so many steps after `begin` (a share of the training), `copies` play an episode each, of at most `trials`.

    `weight` is that of the squared gaps in taking the best action against the log-loss, `persistence` that of those in
    keeping to an action; gaps are averaged over rehearsals with `smoothing`.
    """

    every: int = 3
    begin: float = 0.3
    copies: int = 96
    trials: int = 150
    weight: float = 20.0
    persistence: float = 4.0
    smoothing: float = 0.8


class Rehearsal:
    """A troupe of copies that live lives of their own, episode by episode, on the bandits of the training lives.

    With `rename`, actions have other names in each life, as in a training that relabels them. Else they must not have:
    what is observed may name them, and teachers may prefer one.
    """

    def __init__(self, lives: Lives, student: Student, settings: RehearsalSettings, seed: int, rename: bool) -> None:
        self.settings = settings
        self._seed = seed
        self._rename = rename
        self._bandits = Bandits(lives)
        self._spans = np.array(list(pairwise(lives.episodes())))
        self._first = np.flatnonzero(np.isin(self._spans[:, 0], lives.offsets))
        trial_N = np.arange(lives.steps) - np.repeat(self._spans[:, 0], np.diff(self._spans, axis=1)[:, 0])
        self._learning, self._persistence = Learning(lives, trial_N), Persistence(lives, trial_N)
        parts = {self._learning.moments: settings.weight, self._persistence.moments: settings.persistence}
        self._teacher_M = torch.cat([moments.teacher_M for moments in parts])
        self._weight_M = torch.cat([weight * moments.weight_M for moments, weight in parts.items()])
        rng = np.random.default_rng([seed, 0, 1])
        copies = settings.copies
        self.episode_B = torch.from_numpy(rng.integers(0, len(self._spans), copies))
        self.names_BA = self._names(rng, copies)
        self.standing = Standing.birth(student, copies)
        self.gap_M = torch.zeros(len(self._teacher_M))
        self.count = torch.zeros(())

    def is_due(self, step: int, progress: float) -> bool:
        return step % self.settings.every == 0 and progress >= self.settings.begin

    def loss(self, student: Student, step: int) -> Tensor:
        """Play the next episodes; a loss whose gradient closes the gaps between copies and teachers."""
        rng = np.random.default_rng([self._seed, step, 1])
        start_B, stop_B = self._spans[self.episode_B.numpy()].T
        stop_B = np.minimum(stop_B, start_B + self.settings.trials)
        before = self.standing
        played = self._bandits.play(student, start_B, stop_B, int(rng.integers(2**62)), before, self.names_BA)
        best_BT = self.names_BA.gather(1, self._bandits.best_N[played.row_BT])
        prob_BTA = _probabilities(student, played, before)
        means = self._learning.of(played, prob_BTA, best_BT), self._persistence.of(played, prob_BTA)
        student_M, count_M = (torch.cat(parts) for parts in zip(*means, strict=True))
        self._go_on(student, played.after, rng)
        return self._pull(student_M, count_M)

    def state(self) -> dict[str, Tensor]:
        """Everything that changes, to go on from."""
        return {
            **vars(self.standing),
            "episode": self.episode_B,
            "names": self.names_BA,
            "gap": self.gap_M,
            "count": self.count,
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.standing = Standing(*(state[name] for name in vars(self.standing)))
        self.episode_B, self.names_BA, self.gap_M, self.count = (state[n] for n in ("episode", "names", "gap", "count"))

    def _pull(self, student_M: Tensor, count_M: Tensor) -> Tensor:
        """Σ weight · gap², but with the gap that is squared taken over several rehearsals."""
        gap_M = torch.where(count_M > 0, student_M - self._teacher_M, 0).detach()
        keep = self.settings.smoothing
        self.gap_M = keep * self.gap_M + (1 - keep) * gap_M
        self.count = self.count + 1
        smooth_M = self.gap_M / (1 - keep**self.count)
        return 2 * (self._weight_M * smooth_M * student_M).sum()

    def _go_on(self, student: Student, after: Standing, rng: np.random.Generator) -> None:
        """On to the next episode; whose life has ended is born again into another."""
        episode_B = self.episode_B.numpy() + 1
        over_B = np.isin(episode_B, self._first) | (episode_B == len(self._spans))
        episode_B[over_B] = rng.choice(self._first, over_B.sum())
        self.episode_B = torch.from_numpy(episode_B)
        over_B1 = torch.from_numpy(over_B)
        self.names_BA = torch.where(over_B1[:, None], self._names(rng, len(over_B)), self.names_BA)
        newborn = Standing.birth(student, len(over_B))
        # An episode that was cut short at `trials` ended there for the copy, too.
        self.standing = Standing(
            pages=torch.where(over_B1[:, None], newborn.pages, after.pages),
            action=torch.where(over_B1, newborn.action, after.action),
            reward=torch.where(over_B1, newborn.reward, after.reward),
            done=~over_B1,
        )

    def _names(self, rng: np.random.Generator, copies: int) -> Tensor:
        names_BA = np.tile(np.arange(self._bandits.pay_NA.shape[1]), (copies, 1))
        return torch.from_numpy(rng.permuted(names_BA, axis=1) if self._rename else names_BA)


def _probabilities(student: Student, played: Played, before: Standing) -> Tensor:
    """Probabilities [B, T, A] of all actions, differentiable in the slow weights."""
    states = [state.contiguous() for state in before.pages.view(-1, *student.config.state_shape).unbind(1)]
    prob_BTA: Tensor = student(played.inputs, states)[0].softmax(-1)
    return prob_BTA

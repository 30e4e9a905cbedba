"""The outer loop: slow weights descend the log-loss of lives, seen through the fast weights that they drive."""

import copy
import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from plures_kernels.errors import PluresError
from torch import nn
from torch.nn.functional import cross_entropy

from ..bandits import can_play
from ..config import StudentConfig
from ..lives import Lives
from ..model import Student
from .histories import PADDING, Histories
from .likelihood import loss_by_life
from .rehearsal import Rehearsal
from .renaming import Renaming
from .segments import Segments
from .settings import ImitationSettings

_LAST_RATE = 0.03
"""The learning rate ends at this share of its peak."""


class Diverged(PluresError):
    """A training whose loss is no number any more."""


@dataclass
class Course:
    """Where a training stands.

    lowest_L: the lowest validation loss so far, by life. curve: (step, training loss since the last entry, validation
    loss) at each validation.
    """

    step: int = 0
    seconds: float = 0.0
    kept_step: int = 0
    lowest_L: list[float] = field(default_factory=list)
    loss_sum: float = 0.0
    loss_count: int = 0
    curve: list[tuple[int, float, float]] = field(default_factory=list)


class Trainer:
    """Fits a student; `average` follows its weights, and `best` keeps the newest average that foresees well.

    Well is: the validation lives no worse than the average that foresaw them best, but for one standard error of the
    difference, paired by life. A few lives cannot tell near equals apart, and the newest has learned the most.
    """

    def __init__(self, config: StudentConfig, settings: ImitationSettings, train: Lives, valid: Lives) -> None:
        self.settings = settings
        self.course = Course()
        self.histories, self.valid = Histories(train), Histories(valid)
        self.segments = Segments(train, config.actions, settings)
        self.renaming = Renaming(train, settings.rename, settings.seed) if settings.rename else None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.student = Student(config)
        self.rehearsal = _rehearsal(train, self.student, settings)
        self.average, self.best = (copy.deepcopy(self.student).requires_grad_(False) for _ in range(2))
        self.optimiser = _optimiser(self.student, settings)

    @property
    def progress(self) -> float:
        """From 0 to 1, by steps or by time, whichever is further."""
        limit_s = 60 * self.settings.minutes if self.settings.minutes else math.inf
        return min(1.0, max(self.course.step / self.settings.steps, self.course.seconds / limit_s))

    def advance(self) -> float:
        """One step; returns its loss, in nats a choice."""
        began = time.perf_counter()
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * self._rate()
        loss = self._loss()
        if not loss.isfinite():
            raise Diverged(
                f"the loss is {loss.item()} at step {self.course.step}; lower the learning rate, scale rewards"
            )
        self.optimiser.zero_grad()
        (loss + self._rehearsed()).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.student.parameters(), self.settings.clip)
        self.optimiser.step()
        self.course.step += 1
        self._follow()
        self.course.loss_sum += loss.item()
        self.course.loss_count += 1
        self.course.seconds += time.perf_counter() - began
        return loss.item()

    def validate(self) -> float:
        """Log-loss of the average on the validation lives; keeps the average if it foresees them well."""
        began = time.perf_counter()
        loss_L = loss_by_life(self.average, self.valid)
        loss = float(loss_L @ self.valid.lives.lengths / self.valid.lives.steps)
        self.course.curve.append((self.course.step, self.course.loss_sum / max(1, self.course.loss_count), loss))
        self.course.loss_sum, self.course.loss_count = 0.0, 0
        if self._foresees_well(loss_L):
            self.course.kept_step = self.course.step
            self.best.load_state_dict(self.average.state_dict())
        self.course.seconds += time.perf_counter() - began
        return loss

    def _foresees_well(self, loss_L: NDArray[np.float64]) -> bool:
        """Compare with the lowest losses so far, and take these for the lowest if they are."""
        worse_L = loss_L - np.array(self.course.lowest_L or loss_L)
        if worse_L.mean() <= 0:
            self.course.lowest_L = loss_L.tolist()
        error = worse_L.std(ddof=1) / math.sqrt(len(worse_L)) if len(worse_L) > 1 else 0.0
        return bool(worse_L.mean() <= error)

    def _loss(self) -> torch.Tensor:
        start_B, stop_B, names_BA = self.segments.draw(self.course.step, self.progress)
        batch = self.histories.batch(start_B, stop_B, names_BA)
        if self.renaming is not None:
            batch = self.renaming(batch, start_B, self.course.step)
        logits_BTA, _ = self.student(batch.inputs)
        return cross_entropy(logits_BTA.flatten(0, 1), batch.action_BT.flatten(), ignore_index=PADDING)

    def _rehearsed(self) -> torch.Tensor | float:
        if self.rehearsal is None or not self.rehearsal.is_due(self.course.step, self.progress):
            return 0.0
        return self.rehearsal.loss(self.student, self.course.step)

    def _rate(self) -> float:
        warm = min(1.0, (self.course.step + 1) / self.settings.warmup)
        falling = 0.5 * (1 + math.cos(math.pi * self.progress))
        return warm * (_LAST_RATE + (1 - _LAST_RATE) * falling)

    def _follow(self) -> None:
        """Exponential average of the weights, quicker while there are few."""
        kept = min(self.settings.averaging, self.course.step / (self.course.step + 10))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.student.parameters(), strict=True):
                mean.lerp_(now, 1 - kept)


def _rehearsal(train: Lives, student: Student, settings: ImitationSettings) -> Rehearsal | None:
    if not (settings.rehearse and can_play(train)):
        return None
    return Rehearsal(train, student, settings.rehearsal, settings.seed, settings.relabel)


def _optimiser(student: Student, settings: ImitationSettings) -> torch.optim.AdamW:
    """AdamW that leaves gains and biases undecayed."""
    matrices = [p for p in student.parameters() if p.ndim > 1]
    others = [p for p in student.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))

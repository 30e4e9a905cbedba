"""How well the choices of people held out were foreseen, by person.

Shapes: N rows of lives, L lives, A actions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imitate.histories import Histories
from ..imitate.likelihood import log_probs, nll, segment_log_probs
from ..lives import Lives
from ..model import Student

Real = NDArray[np.float64]

LATE = 9
"""The block from which the later part of a bandit player's life is counted, as in the first eight and the last four."""


@dataclass(frozen=True)
class Scores:
    """Sums of log-loss in nats, and numbers of choices, by person [L] and by the part of life they are of."""

    life_L: NDArray[np.int64]
    loss_L: dict[str, Real]
    choices_L: dict[str, NDArray[np.int64]]

    def by_person(self) -> list[dict[str, Any]]:
        return [
            {
                "life": int(life),
                **{f"{part}_nll": float(loss[i]) / int(self.choices_L[part][i]) for part, loss in self.loss_L.items()},
                **{f"{part}_choices": int(choices[i]) for part, choices in self.choices_L.items()},
            }
            for i, life in enumerate(self.life_L)
        ]


def score_bandit(student: Student, held: Lives) -> Scores:
    """All choices; those of late blocks, by copies that lived the person's early ones; the same, by newborns."""
    histories = Histories(held)
    loss_N = nll(log_probs(student, histories), held.action_N)
    late_N = held.extra["block"] >= LATE
    start_L = held.offsets[:-1] + _sums(held, ~late_N).astype(np.int64)
    newborn_MA = segment_log_probs(student, histories, start_L, held.offsets[1:])
    newborn_N = np.zeros(held.steps)
    newborn_N[late_N] = nll(newborn_MA, held.action_N[late_N])
    late_L = _sums(held, late_N).astype(np.int64)
    return Scores(
        held.life_L,
        {"all": _sums(held, loss_N), "late": _sums(held, loss_N * late_N), "newborn": _sums(held, newborn_N)},
        {"all": held.lengths, "late": late_L, "newborn": late_L},
    )


def score_load(student: Student, held: Lives) -> Scores:
    """All choices; the first of a block counts ln 3, as in the likelihoods that were published (Collins 2025)."""
    loss_N = nll(log_probs(student, Histories(held)), held.action_N)
    first_N = np.append(True, held.done_N[:-1])
    return Scores(held.life_L, {"all": _sums(held, np.where(first_N, np.log(3), loss_N))}, {"all": held.lengths})


SCORES: dict[str, Callable[[Student, Lives], Scores]] = {"bandit": score_bandit, "load": score_load}


def _sums(lives: Lives, values_N: NDArray[Any]) -> Real:
    sums_L: Real = np.add.reduceat(values_N.astype(np.float64), lives.offsets[:-1])
    return sums_L

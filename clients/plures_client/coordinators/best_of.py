"""BestOf: every item is done several times, and the best result counts."""

from dataclasses import dataclass
from math import inf
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..aio.cohort import AsyncCohort
from .problem import Results, Scored
from .strategy import Queued, at_least, one_an_item

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class BestOf(Queued):
    """`n` attempts at each item, `at_once` of them at a time (None: all); an item that scores `enough` gets no more.

    Attempts differ by the seeds of environment and copy. With an exact score this is search with a verifier, and an
    item's chance of success grows as 1 − (1 − p)ⁿ (Brown et al. 2024, arXiv:2407.21787).
    """

    n: int
    at_once: int | None = None
    enough: float = inf

    def __post_init__(self) -> None:
        at_least("n", self.n, 1)
        at_least("at_once", self.at_once or 1, 1)

    async def solve(self, cohort: AsyncCohort, problem: Scored[Answer]) -> Answer:
        """The answer of the best attempts; raises what `Workshop.do` raises."""
        items = problem.split()
        still, best_score, kept = np.arange(len(items)), np.full(len(items), -inf), None
        async with self.workshop(cohort) as workshop:
            for first in range(0, self.n, self.at_once or self.n):
                times = min(self.at_once or self.n, self.n - first)
                done = await workshop.do(f"attempts from {first + 1}", items.rows(still).again(times, first))
                results, score = _best(problem, done, times)
                kept = results if kept is None else kept
                is_better = score > best_score[still]
                kept = kept.replaced(still[is_better], results.rows(is_better))
                best_score[still] = np.maximum(score, best_score[still])
                still = still[best_score[still] < self.enough]
                if not len(still):
                    break
        assert kept is not None
        return problem.combine(kept)


def _best(problem: Scored[Answer], done: Results, times: int) -> tuple[Results, NDArray[np.float64]]:
    """Of each item's attempts the best, and its score."""
    score = np.asarray(problem.score(done), np.float64)
    one_an_item("score", score, len(done))
    by_item = score.reshape(-1, times)
    best = by_item.argmax(axis=1)
    return done.rows(np.arange(len(by_item)) * times + best), by_item.max(axis=1)

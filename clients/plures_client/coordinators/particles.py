"""Particles: copies at work side by side; of those that do well more are made, those that do badly are retired."""

from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..aio.cohort import AsyncCohort
from ..errors import InvalidArgument
from .generations import Ordinals
from .problem import Lasting, Results
from .resampling import systematic, tempered
from .strategy import Generational, as_many, at_least, one_an_item

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Particles(Generational):
    """`rounds` rounds of a lasting problem, one item a copy; between them, resampling by score.

    Scores are tempered so that the effective number of particles is `share` of them all: a share of 1 retires none.
    A copy takes with it what it has learned, and its descendants go on where it stood. None has more than `most`.
    """

    rounds: int = 8
    share: float = 0.5
    most: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        at_least("rounds", self.rounds, 1)
        at_least("most", self.most, 1)
        if not 0 < self.share <= 1:
            raise InvalidArgument(f"a share of {self.share} given; it is above 0, and at most 1")

    async def solve(self, cohort: AsyncCohort, problem: Lasting[Answer]) -> Answer:
        """The answer of the last round's copies; raises what a run raises."""
        items = problem.split()
        rng = np.random.default_rng(self.seed)
        async with await self.generations(cohort, len(items)) as generations:
            first = partial(_forked, ancestor_N=np.arange(len(items)), seed=self.seed)
            results: Results = await generations.live(items, first)
            for number in range(1, self.rounds):
                ancestor_N = self._ancestors(problem.score(results), len(items), rng)
                items = problem.go_on(items.rows(ancestor_N), results.rows(ancestor_N), number)
                as_many(items, len(ancestor_N))
                bear = partial(_forked, ancestor_N=ancestor_N, seed=self.seed + number)
                results = await generations.live(items, bear)
        return problem.combine(results)

    def _ancestors(self, score_N: NDArray[np.floating], count: int, rng: np.random.Generator) -> Ordinals:
        one_an_item("score", np.asarray(score_N), count)
        descendants_N = capped(systematic(tempered(score_N, self.share), rng.random()), self.most, score_N)
        return np.repeat(np.arange(count), descendants_N)


def capped(descendants_N: Ordinals, most: int, score_N: NDArray[np.floating]) -> Ordinals:
    """The same number of descendants in all, at most `most` of each: what is over goes to the best that have room."""
    kept_N = descendants_N.clip(max=most)
    for n in np.argsort(-score_N, kind="stable"):
        kept_N[n] += min(most - kept_N[n], descendants_N.sum() - kept_N.sum())
    return kept_N


async def _forked(parents: AsyncCohort, ordinals: Ordinals, name: str, *, ancestor_N: Ordinals, seed: int) -> Ordinals:
    """A generation of copies of rows `ancestor_N` (ascending) of the parents.

    A fork makes equally many copies of each agent. Those too many are retired: before they step they cost nothing.
    """
    survivors, descendants = np.unique(ancestor_N, return_counts=True)
    copies = int(descendants.max())
    forked = await parents.fork(name, ordinals[survivors], copies=copies, seed=seed)
    born = np.arange(len(survivors) * copies).reshape(-1, copies)
    is_wanted = np.arange(copies) < descendants[:, None]
    if not is_wanted.all():
        await forked.retire(born[~is_wanted])
    return born[is_wanted]

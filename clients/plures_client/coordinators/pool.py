"""Pool: copies work apart, what they have learned is merged, and all go on with that."""

from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from ..aio.cohort import AsyncCohort
from .generations import Ordinals
from .problem import Lasting, Results
from .resampling import Weights, tempered
from .strategy import Generational, as_many, at_least, one_an_item

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Pool(Generational):
    """`rounds` rounds of a lasting problem, one item a copy; between them, all become the mean of what all learned.

    With `share` below 1 the mean is weighted by score, as `Particles` weighs. Merging makes sense for copies that
    learned the same kind of thing: weights that say opposite things cancel out.
    """

    rounds: int = 4
    share: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        at_least("rounds", self.rounds, 1)
        at_least("share", self.share, 1e-9)

    async def solve(self, cohort: AsyncCohort, problem: Lasting[Answer]) -> Answer:
        """The answer of the last round's copies; raises what a run or a merge raises."""
        items = problem.split()
        async with await self.generations(cohort, len(items)) as generations:
            results: Results = await generations.live(items, partial(_forked, seed=self.seed))
            for number in range(1, self.rounds):
                score_N = np.asarray(problem.score(results))
                one_an_item("score", score_N, len(items))
                items = problem.go_on(items, results, number)
                as_many(items, len(score_N))
                bear = partial(_merged, weight_N=tempered(score_N, self.share), seed=self.seed + number)
                results = await generations.live(items, bear)
        return problem.combine(results)


async def _forked(parents: AsyncCohort, ordinals: Ordinals, name: str, *, seed: int) -> Ordinals:
    await parents.fork(name, ordinals, seed=seed)
    return np.arange(len(ordinals))


async def _merged(parents: AsyncCohort, ordinals: Ordinals, name: str, *, weight_N: Weights, seed: int) -> Ordinals:
    """A generation each of which knows what all its parents know together."""
    await parents.merge(name, ordinals, weights=weight_N.tolist(), copies=len(ordinals), seed=seed)
    return np.arange(len(ordinals))

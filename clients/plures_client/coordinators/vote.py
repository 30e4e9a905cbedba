"""Vote: every item is done several times, and what most chose counts."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..aio.cohort import AsyncCohort
from .problem import Choosing
from .strategy import Queued, at_least, one_an_item

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Vote(Queued):
    """`n` attempts at each item; the problem combines, for each, the first result that chose as most did.

    Of choices with equally many votes, the one made first. Votes help where a copy is right more often than it makes
    any one mistake, and harm where it is not (Chen et al. 2024, arXiv:2403.02419).
    """

    n: int

    def __post_init__(self) -> None:
        at_least("n", self.n, 1)

    async def solve(self, cohort: AsyncCohort, problem: Choosing[Answer]) -> Answer:
        """The answer of the majorities; raises what `Workshop.do` raises."""
        items = problem.split()
        async with self.workshop(cohort) as workshop:
            done = await workshop.do("votes", items.again(self.n))
        choice = np.asarray(problem.choice(done))
        one_an_item("choice", choice, len(done))
        return problem.combine(done.rows(np.arange(len(items)) * self.n + majority(choice.reshape(-1, self.n))))


def majority(choice_IN: NDArray[np.integer]) -> NDArray[np.int64]:
    """For each item [I] the first attempt that chose as most of its N did; between equals, the choice made first."""
    votes_IN = (choice_IN[:, :, None] == choice_IN[:, None, :]).sum(axis=2)
    first_I: NDArray[np.int64] = votes_IN.argmax(axis=1)
    return first_I

"""Asking: agents that ask agents. What an item finds, the server puts on the queue for others, without us."""

from dataclasses import dataclass
from typing import TypeVar

from ..aio.cohort import AsyncCohort
from .problem import Problem
from .strategy import Queued

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Asking(Queued):
    """Put a problem's items on the queue, and wait until all is done that came of them.

    For tasks whose copies ask. As `Tree`, but nobody waits for a level to end, and what an item asks for is there if
    and only if its own result counts. The problem combines the results of all, in the order in which they came.
    """

    async def solve(self, cohort: AsyncCohort, problem: Problem[Answer]) -> Answer:
        """The answer of all that was asked; raises what `Workshop.do` raises."""
        items = problem.split()
        async with self.workshop(cohort) as workshop:
            return problem.combine((await workshop.follow("asked", items)).results())

"""Map: every item is done once, and the results are combined."""

from dataclasses import dataclass
from typing import TypeVar

from ..aio.cohort import AsyncCohort
from .problem import Problem
from .strategy import Queued

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Map(Queued):
    """Split a problem into items, let a cohort's agents (or those named) do each once, combine the results."""

    async def solve(self, cohort: AsyncCohort, problem: Problem[Answer]) -> Answer:
        """The problem's answer; raises what `Workshop.do` raises."""
        items = problem.split()
        async with self.workshop(cohort) as workshop:
            return problem.combine(await workshop.do("items", items))

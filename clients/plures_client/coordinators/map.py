"""Map: every item is done once, and the results are combined."""

from dataclasses import dataclass
from typing import TypeVar

from ..aio.cohort import AsyncCohort
from ..aio.queue import Keep
from ..ordinals import OrdinalsLike
from .problem import Problem
from .progress import Report, quietly
from .workshop import Workshop

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Map:
    """Split a problem into items, let a cohort's agents (or those named) do each once, combine the results."""

    keep: Keep = "nothing"
    ordinals: OrdinalsLike = None
    report: Report = quietly

    async def solve(self, cohort: AsyncCohort, problem: Problem[Answer]) -> Answer:
        """The problem's answer; raises what `Workshop.do` raises."""
        items = problem.split()
        async with Workshop(cohort, keep=self.keep, ordinals=self.ordinals, report=self.report) as workshop:
            return problem.combine(await workshop.do("items", items))

"""MapReduce: more items than anyone holds at once, in portions whose answers are put together as they come."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from ..aio.cohort import AsyncCohort
from ..errors import InvalidArgument
from ..items import Items
from .problem import Portioned
from .strategy import Queued, at_least
from .tray import Tray
from .workshop import Workshop

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class MapReduce(Queued):
    """Portion after portion, `ahead` of them on the queue at a time, so that copies need not wait for a next one."""

    ahead: int = 2

    def __post_init__(self) -> None:
        at_least("ahead", self.ahead, 1)

    async def solve(self, cohort: AsyncCohort, problem: Portioned[Answer]) -> Answer:
        """The answer of all portions together; raises what `Workshop.do` raises."""
        portions = iter(problem.portions())
        async with self.workshop(cohort) as workshop:
            waiting: deque[Tray] = deque()
            await _top_up(workshop, waiting, portions, self.ahead)
            answer = problem.combine(await workshop.collect("portion 1", _next(waiting)))
            number = 1
            while True:
                await _top_up(workshop, waiting, portions, self.ahead)
                if not waiting:
                    return answer
                number += 1
                part = problem.combine(await workshop.collect(f"portion {number}", waiting.popleft()))
                answer = problem.reduce(answer, part)


async def _top_up(workshop: Workshop, waiting: deque[Tray], portions: Iterator[Items], most: int) -> None:
    while len(waiting) < most and (items := next(portions, None)) is not None:
        waiting.append(await workshop.submit(items))


def _next(waiting: deque[Tray]) -> Tray:
    if not waiting:
        raise InvalidArgument("the problem has no portions; it needs at least one")
    return waiting.popleft()

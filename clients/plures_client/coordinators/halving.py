"""Halving: a tournament by successive halving (Karnin, Koren & Somekh 2013; Jamieson & Talwalkar 2016)."""

import time
from dataclasses import dataclass, field
from typing import TypeVar

from ..aio.cohort import AsyncCohort
from .problem import AHeat, Contest, Evidence, Outcome
from .schedule import Schedule
from .strategy import Queued

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Halving(Queued):
    """Rounds of items between the candidates of a contest; the better share goes on, until one is left.

    All rounds may cost the same, so that the fewer are left, the more is learned about each.
    """

    schedule: Schedule = field(default_factory=Schedule)

    async def solve(self, cohort: AsyncCohort, contest: Contest[AHeat, Evidence, Answer]) -> Answer:
        """The contest's answer; raises what `Workshop.do` raises."""
        began = time.perf_counter()
        copies = await self.copies(cohort)
        still_in = contest.entrants(copies, self.schedule)
        sizes = self.schedule.sizes(len(still_in))
        items, evidence = [], None
        async with self.workshop(cohort) as workshop:
            for number, left in enumerate(sizes[1:]):
                heat = contest.split(still_in, number, len(sizes) - 1, copies)
                results = await workshop.do(f"round {number + 1} of {len(sizes) - 1}", heat.items)
                evidence = contest.combine(evidence, heat, results)
                still_in = contest.rank(still_in, evidence)[:left]
                items.append(heat.items)
        return contest.conclude(
            Outcome(
                winner=int(still_in[0]),
                entrants=sizes[0],
                copies=copies,
                rounds=len(items),
                items=sum(map(len, items)),
                steps=sum(each.total_steps for each in items),
                seconds=time.perf_counter() - began,
            )
        )

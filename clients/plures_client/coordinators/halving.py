"""Halving: a tournament by successive halving (Karnin, Koren & Somekh 2013; Jamieson & Talwalkar 2016)."""

import time
from dataclasses import dataclass, field
from typing import TypeVar

from .. import ordinals as wire_ordinals
from ..aio.cohort import AsyncCohort
from ..aio.queue import Keep
from ..ordinals import OrdinalsLike
from .problem import AHeat, Contest, Evidence, Outcome
from .progress import Report, quietly
from .schedule import Schedule
from .workshop import Workshop

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Halving:
    """Rounds of items between the candidates of a contest; the better share goes on, until one is left.

    All rounds may cost the same, so that the fewer are left, the more is learned about each.
    """

    schedule: Schedule = field(default_factory=Schedule)
    keep: Keep = "nothing"
    ordinals: OrdinalsLike = None
    report: Report = quietly

    async def solve(self, cohort: AsyncCohort, contest: Contest[AHeat, Evidence, Answer]) -> Answer:
        """The contest's answer; raises what `Workshop.do` raises."""
        began = time.perf_counter()
        named = wire_ordinals.count(self.ordinals)
        copies = (await cohort.describe()).alive if named is None else named
        still_in = contest.entrants(copies, self.schedule)
        sizes = self.schedule.sizes(len(still_in))
        items, evidence = [], None
        async with Workshop(cohort, keep=self.keep, ordinals=self.ordinals, report=self.report) as workshop:
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

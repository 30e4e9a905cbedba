"""A problem too wide for one copy: the best of 4,096 arms, under a fixed budget of pulls a copy."""

from dataclasses import dataclass

import numpy as np

from ..coordinators import Halving, progress_bar
from ..problems import BestArm, BestArmAnswer
from ..sync.cohort import Cohort

ARMS = 4096
PULLS_PER_COPY = 128


@dataclass(frozen=True)
class Solved:
    """What so many copies found. speed_up: pulls per second over those of the one copy, and over the person's."""

    answer: BestArmAnswer
    speed_up_over_one: float
    speed_up_over_person: float


def solve(crowd: Cohort, sizes: list[int], person_seconds_per_decision: float) -> list[Solved]:
    """Halving by the first 1, 10, 100, … copies of the crowd, each size on the same arms."""
    # Most arms pay seldom, a few often: what makes looking at all of them worth it.
    rates = np.random.default_rng(8).beta(1, 4, size=ARMS)
    problem = BestArm(rates, pulls=PULLS_PER_COPY, seed=9)
    answers = []
    for copies in sizes:
        with progress_bar() as report:
            answers.append(crowd.solve(Halving(ordinals=range(copies), report=report), problem))
    paces = [answer.pulls / answer.seconds for answer in answers]
    return [
        Solved(answer, pace / paces[0], pace * person_seconds_per_decision)
        for answer, pace in zip(answers, paces, strict=True)
    ]

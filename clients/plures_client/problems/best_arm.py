"""Best arm: which of K slot machines pays most often, asked of copies that can each tell but two of them apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..coordinators.problem import Outcome, Results
from ..coordinators.schedule import Schedule, round_budget
from ..errors import InvalidArgument
from .duels import SHORTEST, Arms, Duels, largest_field
from .evidence import Evidence


@dataclass(frozen=True)
class BestArmAnswer:
    """The arm that was chosen and how good it is.

    `quality` is its rate as a share of the best rate, `rank` the share of the other arms that are not better than it.
    Where `entrants` is less than `arms`, the budget did not give every arm a duel, and so many were drawn.
    """

    arm: int
    rate: float
    best_rate: float
    quality: float
    rank: float
    arms: int
    entrants: int
    copies: int
    duels: int
    rounds: int
    pulls: int
    budget: int
    seconds: float

    @property
    def drawn(self) -> bool:
        """Whether only some of the arms took part, drawn at random."""
        return self.entrants < self.arms


class BestArm:
    """K arms that pay 1 with hidden rates [K]; N copies may make N · `pulls` pulls in all, as many in each round.

    For `Halving`: candidates are the arms, items are duels on the task `bandit`. What copies have seen of an arm is
    pooled over all of its duels. Everything drawn here follows from `seed`.
    """

    def __init__(self, rates: ArrayLike, *, pulls: int, seed: int = 0) -> None:
        self.rates: NDArray[np.float64] = np.asarray(rates, np.float64)
        if self.rates.ndim != 1 or len(self.rates) < 2:
            raise InvalidArgument(f"rates of shape {self.rates.shape} given; a list of at least 2 is wanted")
        if not ((self.rates >= 0) & (self.rates <= 1)).all():
            raise InvalidArgument(
                f"rates from {self.rates.min()} to {self.rates.max()} given; they lie between 0 and 1"
            )
        self.pulls = pulls
        self.seed = seed

    def entrants(self, copies: int, schedule: Schedule) -> Arms:
        """All arms in a drawn order, or as many of them as the budget gives a duel in every round."""
        size = largest_field(len(self.rates), self._budget(copies), schedule)
        if size == 0:
            raise InvalidArgument(f"{copies} × {self.pulls} pulls are too few; one duel takes at least {SHORTEST}")
        return self._rng(0).permutation(len(self.rates))[:size]

    def split(self, field: Arms, number: int, rounds: int, copies: int) -> Duels:
        """The duels of one round between the arms still in."""
        budget = round_budget(self._budget(copies), number, rounds)
        return Duels.between(field, self.rates, budget, copies, self._rng(number + 1))

    def combine(self, evidence: Evidence | None, heat: Duels, results: Results) -> Evidence:
        """All that is known after a round."""
        return (evidence or Evidence.none(len(self.rates))).with_duels(heat.arms_D2, results)

    def rank(self, field: Arms, evidence: Evidence) -> Arms:
        """The arms still in, the best first."""
        return evidence.rank(field)

    def conclude(self, outcome: Outcome) -> BestArmAnswer:
        """How good the arm is that was left."""
        rate, best = float(self.rates[outcome.winner]), float(self.rates.max())
        return BestArmAnswer(
            arm=outcome.winner,
            rate=rate,
            best_rate=best,
            quality=rate / best if best > 0 else 1.0,
            rank=1 - int(np.count_nonzero(self.rates > rate)) / (len(self.rates) - 1),
            arms=len(self.rates),
            entrants=outcome.entrants,
            copies=outcome.copies,
            duels=outcome.items,
            rounds=outcome.rounds,
            pulls=outcome.steps,
            budget=self._budget(outcome.copies),
            seconds=outcome.seconds,
        )

    def _budget(self, copies: int) -> int:
        return copies * self.pulls

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream])

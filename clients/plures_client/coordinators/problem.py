"""What a coordinator is given: a problem says how to split and combine, a strategy says who works on what."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..items import Items
from ..results import column
from .schedule import Schedule

# Legend: I items, S columns of a summary.

Answer = TypeVar("Answer", covariant=True)
Evidence = TypeVar("Evidence")


@dataclass(frozen=True)
class Results:
    """Exactly one result an item, in the items' order: summaries [I, S], and which agent [I] did each."""

    summary: NDArray[np.float32]
    columns: tuple[str, ...]
    ordinal: NDArray[np.uint32]

    def column(self, name: str) -> NDArray[np.float32]:
        """The column [I] of the summary that has this name."""
        return column(self.summary, self.columns, name)


class Problem(Protocol[Answer]):
    """For `Map`: a problem that falls into items once."""

    def split(self) -> Items: ...
    def combine(self, results: Results) -> Answer: ...


class Heat(Protocol):
    """One round's items. What else it holds is the contest's own: which candidates an item is about, say."""

    @property
    def items(self) -> Items: ...


AHeat = TypeVar("AHeat", bound=Heat)


@dataclass(frozen=True)
class Outcome:
    """How a contest went: the candidate that was left of `entrants`, after so many rounds, items and steps."""

    winner: int
    entrants: int
    copies: int
    rounds: int
    items: int
    steps: int
    seconds: float


class Contest(Protocol[AHeat, Evidence, Answer]):
    """For `Halving`: candidates, numbered from 0, that are compared in rounds until one is left."""

    def entrants(self, copies: int, schedule: Schedule) -> NDArray[np.int64]:
        """Who takes part when so many copies work on it."""
        ...

    def split(self, field: NDArray[np.int64], number: int, rounds: int, copies: int) -> AHeat:
        """The items of round `number` (from 0) of `rounds` between the candidates still in."""
        ...

    def combine(self, evidence: Evidence | None, heat: AHeat, results: Results) -> Evidence:
        """What is known after a round, given what was known before it (None: nothing)."""
        ...

    def rank(self, field: NDArray[np.int64], evidence: Evidence) -> NDArray[np.int64]:
        """The candidates still in, the best first."""
        ...

    def conclude(self, outcome: Outcome) -> Answer:
        """The answer, when one candidate is left."""
        ...

"""What a coordinator is given: a problem says how to split and combine, a strategy says who works on what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..items import Items, Rows
from ..results import column
from .schedule import Schedule

# Legend: I items, S columns of a summary.

Answer = TypeVar("Answer", covariant=True)
Evidence = TypeVar("Evidence")
Part = TypeVar("Part")


@dataclass(frozen=True)
class Results:
    """Exactly one result an item, in the items' order: summaries [I, S], and which agent [I] did each."""

    summary: NDArray[np.float32]
    columns: tuple[str, ...]
    ordinal: NDArray[np.uint32]

    def column(self, name: str) -> NDArray[np.float32]:
        """The column [I] of the summary that has this name."""
        return column(self.summary, self.columns, name)

    def __len__(self) -> int:
        return len(self.summary)

    def replaced(self, rows: Rows, others: "Results") -> "Results":
        """These, but for some rows, which are those of `others`."""
        summary, ordinal = self.summary.copy(), self.ordinal.copy()
        summary[rows], ordinal[rows] = others.summary, others.ordinal
        return Results(summary, self.columns, ordinal)

    def rows(self, rows: Rows) -> "Results":
        """The results of some of the items, in this order."""
        return Results(self.summary[rows], self.columns, self.ordinal[rows])

    @classmethod
    def join(cls, parts: "Sequence[Results]") -> "Results":
        """Results behind each other; at least one part, all of the same columns."""
        summary, ordinal = (np.concatenate([getattr(part, name) for part in parts]) for name in ("summary", "ordinal"))
        return cls(summary, parts[0].columns, ordinal)


class Problem(Protocol[Answer]):
    """What every strategy takes: a problem that falls into items, whose results make an answer."""

    def split(self) -> Items: ...
    def combine(self, results: Results) -> Answer: ...


class Scored(Problem[Answer], Protocol[Answer]):
    """For `BestOf`: a problem that can tell how good a result is."""

    def score(self, results: Results) -> NDArray[np.floating]:
        """One number a result [I]; higher is better."""
        ...


class Choosing(Problem[Answer], Protocol[Answer]):
    """For `Vote`: a problem whose results are choices."""

    def choice(self, results: Results) -> NDArray[np.integer]:
        """What each result chose [I]."""
        ...


class Lasting(Scored[Answer], Protocol[Answer]):
    """For `Particles` and `Pool`: a problem that is worked on in rounds, each going on where the last one ended."""

    def go_on(self, items: Items, results: Results, number: int) -> Items:
        """The items of round `number` (from 1), row by row after those that had these results."""
        ...


class Portioned(Protocol[Part]):
    """For `MapReduce`: more items than one would hold at once, whose parts of the answer can be put together."""

    def portions(self) -> Iterable[Items]: ...
    def combine(self, results: Results) -> Part:
        """What a portion's results say."""
        ...

    def reduce(self, one: Part, other: Part) -> Part:
        """Both together; in whatever order portions are put together, the answer is the same."""
        ...


@dataclass(frozen=True)
class Nodes:
    """Items of a tree and their results: row i grew out of row `parent[i]` (−1: a root), `depth[i]` levels below it."""

    items: Items
    results: Results
    parent: NDArray[np.int64]
    depth: int


@dataclass(frozen=True)
class Children:
    """The items that nodes of a level ask for: item i on behalf of row `parent[i]` of that level."""

    items: Items
    parent: NDArray[np.int64]


class Branching(Protocol[Answer]):
    """For `Tree`: a problem whose items' results say what to ask next."""

    def split(self) -> Items:
        """The roots."""
        ...

    def grow(self, level: Nodes) -> Children | None:
        """What the nodes of a level ask for; None: nothing more."""
        ...

    def combine(self, levels: "Sequence[Nodes]") -> Answer:
        """The answer, from all levels, the roots first."""
        ...


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

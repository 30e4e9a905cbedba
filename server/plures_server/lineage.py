"""What happened to agents and to those they come from, one record an event for all agents of a cohort alike.

A cohort's `Lineage` outlives it for as long as descendants refer to it. B agents of an event.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.uint32]


class Kind(IntEnum):
    """What can happen to an agent beside steps; the numbers are the wire's."""

    BIRTH = 1
    FORK = 2
    MERGE = 3
    RESTORE = 4
    BECOME = 5


@dataclass(frozen=True)
class Parents:
    """Agents of one cohort that others come from. For a merge: which, and by which weights they entered."""

    lineage: "Lineage"
    ordinals: Rows | None = None
    weights: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Event:
    """Something that happened at once to agents of a cohort; numbers grow along a life.

    ordinals: increasing; None for all agents of the cohort. Of every `copies` agents in a row all is alike, so that the
    other arrays [B / copies] are short. step: steps behind them. parent_ordinals: whom they were copied from, of the
    one cohort in `parents`. steps: how many they were made to live.
    """

    number: int
    kind: Kind
    step: NDArray[np.int64]
    ordinals: Rows | None = None
    copies: int = 1
    parents: tuple[Parents, ...] = ()
    parent_ordinals: Rows | None = None
    steps: NDArray[np.int64] | None = None
    snapshot: str = ""

    def of(self, ordinals: Rows) -> "Event":
        """What of it happened to these agents, in full."""
        if self.ordinals is not None:
            ordinals = ordinals[np.isin(ordinals, self.ordinals)]
        places = ordinals if self.ordinals is None else np.searchsorted(self.ordinals, ordinals)
        rows = places // self.copies
        return replace(
            self,
            ordinals=ordinals,
            copies=1,
            step=self.step[rows],
            parent_ordinals=None if self.parent_ordinals is None else self.parent_ordinals[rows],
            steps=None if self.steps is None else self.steps[rows],
        )


@dataclass(eq=False)
class Lineage:
    """A cohort's events, from the one by which it came to be, whose number tells cohorts of one name apart."""

    cohort: str
    student: str
    events: list[Event] = field(default_factory=list)

    @property
    def number(self) -> int:
        return self.events[0].number


@dataclass(eq=False)
class _Wanted:
    """Agents of a cohort, and up to which event they matter."""

    lineage: Lineage
    until: dict[int, Rows] = field(default_factory=dict)

    def add(self, ordinals: Rows, until: int) -> None:
        known = self.until.get(until, np.empty(0, np.uint32))
        self.until[until] = np.union1d(known, ordinals).astype(np.uint32)

    def of(self, event: Event) -> Event:
        mattering = [ordinals for until, ordinals in self.until.items() if until > event.number]
        return event.of(np.unique(np.concatenate([np.empty(0, np.uint32), *mattering])))


def history(lineage: Lineage, ordinals: Rows, until: int) -> list[tuple[Lineage, Event]]:
    """What happened before event `until` to agents, and to their ancestors while they were that, oldest first."""
    return sorted(_backwards(lineage, ordinals, until), key=lambda found: found[1].number)


def _backwards(lineage: Lineage, ordinals: Rows, until: int) -> Iterator[tuple[Lineage, Event]]:
    # Descendants before ancestors, so that all who want an ancestor have said so.
    wanted = {lineage.number: _Wanted(lineage)}
    wanted[lineage.number].add(ordinals, until)
    latest = [-lineage.number]
    while latest:
        asked = wanted.pop(-heapq.heappop(latest))
        for each in asked.lineage.events:
            event = asked.of(each)
            if event.ordinals is None or len(event.ordinals) == 0:
                continue
            yield asked.lineage, event
            for parents in event.parents:
                chosen = parents.ordinals if event.parent_ordinals is None else event.parent_ordinals
                assert chosen is not None
                if parents.lineage.number not in wanted:
                    wanted[parents.lineage.number] = _Wanted(parents.lineage)
                    heapq.heappush(latest, -parents.lineage.number)
                wanted[parents.lineage.number].add(chosen, event.number)

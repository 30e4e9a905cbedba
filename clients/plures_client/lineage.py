"""Where agents come from, as the server tells it: events of whole cohorts, and what they say of one agent.

B agents of an event, P parents of a merge.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from plures.v1 import lineage_pb2 as pb

from .names import short
from .tensors import decode


@dataclass(frozen=True)
class Parents:
    """A cohort that agents come from; for a merge, which of its agents, and by which weights they entered [P]."""

    cohort: str
    cohort_number: int
    ordinals: NDArray[np.uint32] | None
    weights: NDArray[np.float64] | None

    @classmethod
    def read(cls, message: pb.LineageParents) -> Self:
        ordinals, weights = None, None
        if message.HasField("ordinals"):
            ordinals, weights = decode(message.ordinals, np.uint32, (None,)), np.array(message.weights)
        return cls(short(message.cohort), message.cohort_number, ordinals, weights)


@dataclass(frozen=True)
class Event:
    """What happened to agents of a cohort alike: `birth`, `fork`, `merge`, `restore` or `become`.

    ordinals, step: agents and steps behind them [B]. parent_ordinals: whom of the one cohort in `parents` each was
    copied from (fork, restore) [B]. steps: how many each was made to live (become) [B]. `cohort_number`: tells cohorts
    apart that bore one name.
    """

    number: int
    kind: str
    cohort: str
    cohort_number: int
    student: str
    ordinals: NDArray[np.uint32]
    step: NDArray[np.uint64]
    parent_ordinals: NDArray[np.uint32] | None
    parents: tuple[Parents, ...]
    steps: NDArray[np.uint64] | None
    snapshot: str | None

    @classmethod
    def read(cls, message: pb.GetLineageResponse) -> Self:
        ordinals = decode(message.ordinals, np.uint32, (None,))
        alike = (len(ordinals),)
        copied, lived = message.HasField("parent_ordinals"), message.HasField("steps")
        return cls(
            number=message.number,
            kind=pb.LineageEvent.Name(message.event).removeprefix("LINEAGE_EVENT_").lower(),
            cohort=short(message.cohort),
            cohort_number=message.cohort_number,
            student=short(message.student),
            ordinals=ordinals,
            step=decode(message.step, np.uint64, alike),
            parent_ordinals=decode(message.parent_ordinals, np.uint32, alike) if copied else None,
            parents=tuple(map(Parents.read, message.parents)),
            steps=decode(message.steps, np.uint64, alike) if lived else None,
            snapshot=short(message.snapshot) or None,
        )

    def of(self, ordinals: Iterable[int]) -> "Event":
        """The part of it that happened to some agents."""
        rows = np.isin(self.ordinals, list(ordinals))
        return Event(
            self.number,
            self.kind,
            self.cohort,
            self.cohort_number,
            self.student,
            self.ordinals[rows],
            self.step[rows],
            None if self.parent_ordinals is None else self.parent_ordinals[rows],
            self.parents,
            None if self.steps is None else self.steps[rows],
            self.snapshot,
        )


@dataclass(frozen=True)
class Lineage:
    """Events of agents of one cohort and of all their ancestors, oldest first."""

    events: tuple[Event, ...]

    def of(self, ordinal: int) -> list[Event]:
        """What happened to one of the agents, and to its ancestors before it parted from them, oldest first."""
        found: list[Event] = []
        cohort_number = max(event.cohort_number for event in self.events)
        # Agents that matter, and until which event: those of younger cohorts are known before those of older ones.
        until = {(cohort_number, ordinal): np.inf}
        for event in reversed(self.events):
            mattering = [int(o) for o in event.ordinals if until.get((event.cohort_number, int(o)), 0) > event.number]
            if mattering:
                found.append(part := event.of(mattering))
                for key in _parents(part):
                    until[key] = max(until.get(key, 0), event.number)
        return found[::-1]


def _parents(event: Event) -> list[tuple[int, int]]:
    return [
        (parents.cohort_number, int(ordinal))
        for parents in event.parents
        for ordinal in (event.parent_ordinals if parents.ordinals is None else parents.ordinals)  # type: ignore[union-attr]
    ]

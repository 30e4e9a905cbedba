"""Lineages on the wire: a message an event, in parts when it is of many agents."""

from collections.abc import Iterable, Iterator

import numpy as np
from plures.v1 import lineage_pb2 as pb

from ..lineage import Event, Lineage, Parents
from .convert import tensor_to

ROWS = 262_144
"""Agents of a message; parents of a merge, too, come with so many of them at most."""


def lineage_messages(events: Iterable[tuple[Lineage, Event]]) -> Iterator[pb.GetLineageResponse]:
    """The events in their order."""
    for lineage, event in events:
        yield from _messages(lineage, event)


def _messages(lineage: Lineage, event: Event) -> Iterator[pb.GetLineageResponse]:
    assert event.ordinals is not None
    most = max([0, *(len(parents.ordinals) for parents in event.parents if parents.ordinals is not None)])
    for first in range(0, max(len(event.ordinals), most), ROWS):
        rows = slice(first, first + ROWS)
        yield pb.GetLineageResponse(
            number=event.number,
            event=pb.LineageEvent.ValueType(event.kind),
            cohort=f"cohorts/{lineage.cohort}",
            cohort_number=lineage.number,
            student=f"students/{lineage.student}",
            ordinals=tensor_to(event.ordinals[rows]),
            step=tensor_to(event.step[rows].astype(np.uint64)),
            parent_ordinals=None if event.parent_ordinals is None else tensor_to(event.parent_ordinals[rows]),
            parents=[_parents(parents, rows) for parents in event.parents],
            snapshot=f"snapshots/{event.snapshot}" if event.snapshot else "",
            steps=None if event.steps is None else tensor_to(event.steps[rows].astype(np.uint64)),
        )


def _parents(parents: Parents, rows: slice) -> pb.LineageParents:
    return pb.LineageParents(
        cohort=f"cohorts/{parents.lineage.cohort}",
        cohort_number=parents.lineage.number,
        ordinals=None if parents.ordinals is None else tensor_to(parents.ordinals[rows]),
        weights=None if parents.weights is None else parents.weights[rows],
    )

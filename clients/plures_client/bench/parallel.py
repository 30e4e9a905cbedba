"""Parallel speed-up: items on a queue, done by 1 … N copies of one learner at once.

Strong scaling: the same items by more copies. Weak scaling: as many items a copy, whoever many there are.
"""

from dataclasses import dataclass

import numpy as np

from ..client import Client
from ..coordinators import Map
from ..coordinators.problem import Results
from ..items import Items
from ..sync.cohort import Cohort
from .law import Law, fit
from .serial import Note, cohort_of
from .settings import Settings
from .spread import Spread, repeated, seconds

STEPS = 32
"""Of an item."""
COPIES = (1, 2, 4, 16, 64, 256, 1024, 4096, 16384)
LEAST_ITEMS = 64


@dataclass(frozen=True)
class Work:
    """So many items of one task: a problem that is solved when all are done."""

    items: Items

    def split(self) -> Items:
        return self.items

    def combine(self, results: Results) -> int:
        return len(results.summary)


@dataclass(frozen=True)
class Shared:
    """`items` done by `copies`: from handing them over until all results were back."""

    copies: int
    items: int
    steps: int
    seconds: Spread

    @property
    def items_per_second(self) -> float:
        return self.items / self.seconds.median


@dataclass(frozen=True)
class Scaling:
    """One kind of scaling: measurements by copies, from one copy on, and the law that fits them."""

    shared: list[Shared]
    law: Law

    @classmethod
    def of(cls, shared: list[Shared]) -> "Scaling":
        return cls(shared, fit([each.copies for each in shared], [each.items_per_second for each in shared]))

    def speed_up(self, place: int) -> float:
        """Items a second over those of one copy."""
        return self.shared[place].items_per_second / self.shared[0].items_per_second


@dataclass(frozen=True)
class Parallel:
    strong: Scaling
    weak: Scaling


def measure(client: Client, settings: Settings, note: Note) -> Parallel:
    """Both scalings, each number of copies on a queue of its own."""
    most = max(settings.sizes)
    copies = [count for count in COPIES if count <= most]
    with cohort_of(client, settings, copies[-1]) as (cohort, _):
        each = _items_each(cohort, settings)
        total = max(LEAST_ITEMS, 4 * each)
        strong = [_shared(cohort, settings, count, total, note) for count in copies if count <= total]
        weak = [_shared(cohort, settings, count, count * max(1, each // 16), note) for count in copies]
    return Parallel(Scaling.of(strong), Scaling.of(weak))


def _items_each(cohort: Cohort, settings: Settings) -> int:
    """Items that one copy does in about the seconds of a repeat."""
    few = 8
    _solve(cohort, settings, 1, few)
    taken = seconds(lambda: _solve(cohort, settings, 1, few))
    return max(few, round(few * settings.seconds / taken))


def _shared(cohort: Cohort, settings: Settings, copies: int, items: int, note: Note) -> Shared:
    note(f"parallel: {items:,} items by {copies:,} copies")
    spread = repeated(lambda: _solve(cohort, settings, copies, items), settings.repeats)
    return Shared(copies, items, STEPS, spread)


def _solve(cohort: Cohort, settings: Settings, copies: int, items: int) -> None:
    rows_IP = np.tile(np.array(list(settings.parameters.values()), np.float32), (items, 1))
    work = Items.of(settings.task, rows_IP, steps=STEPS, seed=settings.seed)
    done = cohort.solve(Map(ordinals=range(copies)), Work(work))
    assert done == items, f"{items} items were handed over, {done} came back"

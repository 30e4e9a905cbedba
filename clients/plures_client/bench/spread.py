"""A figure that was measured several times: its median, and how far the repeats lie apart."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Self


@dataclass(frozen=True)
class Spread:
    """All `samples` in the order measured, and what they come to."""

    median: float
    least: float
    most: float
    samples: tuple[float, ...]

    @classmethod
    def of(cls, samples: list[float]) -> Self:
        return cls(median(samples), min(samples), max(samples), tuple(samples))

    def divided(self, by: float) -> "Spread":
        """Each sample divided by a number."""
        return Spread.of([sample / by for sample in self.samples])

    @property
    def percent(self) -> float:
        """Half of the range, in percent of the median."""
        return 50 * (self.most - self.least) / self.median if self.median else 0.0


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def repeated(work: Callable[[], object], times: int) -> Spread:
    """The seconds of so many repeats, after one that does not count."""
    work()
    return Spread.of([seconds(work) for _ in range(times)])

"""Counts that the engine's thread keeps, a few additions a wave. Others read them, and never write."""

from bisect import bisect_left
from dataclasses import dataclass, field

from .tracing import NO_TRACING, Tracing

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of buckets."""


@dataclass
class Histogram:
    """How often each bucket was hit, beyond the last bound at the end; and the sum of all."""

    bounds: tuple[float, ...] = SECONDS
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass
class Meter:
    """Of steps of one kind, acts or ticks of runs: how many agents stepped, in how many rows, how long it took.

    `rows` are those of tiles, padding among them; `state_bytes` were read, or written.
    """

    seconds: Histogram = field(default_factory=Histogram)
    agents: int = 0
    rows: int = 0
    state_bytes: int = 0

    def stepped(self, agents: int, rows: int, page_bytes: int, seconds: float) -> None:
        """One wave, or one tick of a run."""
        self.seconds.observe(seconds)
        self.agents += agents
        self.rows += rows
        self.state_bytes += 2 * agents * page_bytes


@dataclass(frozen=True)
class Meters:
    """Of an engine: what is counted, and how it is traced."""

    acts: Meter = field(default_factory=Meter)
    ticks: Meter = field(default_factory=Meter)
    tracing: Tracing = NO_TRACING

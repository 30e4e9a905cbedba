"""Black-box minimisation by copies of an imitated optimiser, each of which searches from a start of its own."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from ..coordinators.problem import Results
from ..errors import InvalidArgument
from ..items import Items, seeds
from .functions import MOST_DIMENSIONS, Function

By: TypeAlias = Literal["simplex", "leaps"]
TASKS = {"simplex": "simplex", "leaps": "minimise"}
EDGE = 5.0
FIRST_SIZE = 2.0
SMALLEST, LARGEST = 1e-6, 10.0
"""Edges of a simplex to begin with."""
LEAST = 1e-12
"""Nearer to 0 than this, float32 cannot tell values apart."""
TOLERANCE = 1e-3
"""By how much of itself what the server calls a value may differ from the function's, computed in float64."""


@dataclass(frozen=True)
class Minimum:
    """The best place found, [D], and how far its value is above the least: as the server told it, and as computed."""

    place: NDArray[np.float64]
    told: float
    value: float
    starts: int

    @property
    def orders(self) -> float:
        """Orders of magnitude that the value is below 1."""
        return float(-np.log10(max(self.value, LEAST)))

    @property
    def is_right(self) -> bool:
        """Whether the value at the place is what the server said."""
        return abs(self.told - self.value) <= TOLERANCE * (1 + abs(self.value))


class Minimise:
    """The place where a function is least, searched from `starts` places for `steps` steps each (and round).

    By `simplex`, copies do as Nelder and Mead's method does; by `leaps`, they choose among lengths of random leaps.
    Scored by −log₁₀ of the value. Rounds go on where the last one ended, a simplex with edges as long as it was wide.
    Everything drawn follows from `seed`.
    """

    def __init__(self, function: Function, *, starts: int, steps: int, seed: int = 0, by: By = "simplex") -> None:
        if starts < 1 or steps < 1:
            raise InvalidArgument(f"{starts} starts of {steps} steps given; at least one of each is wanted")
        if by not in TASKS:
            raise InvalidArgument(f"by={by!r} given; it is one of {', '.join(get_args(By))}")
        self.function, self.starts, self.steps, self.seed, self.by = function, starts, steps, seed, by

    def split(self) -> Items:
        """One item a start, drawn uniformly."""
        rng = np.random.default_rng([self.seed, 0])
        places = rng.uniform(-EDGE, EDGE, (self.starts, MOST_DIMENSIONS))
        return self._items(places, np.full(self.starts, FIRST_SIZE), 0)

    def score(self, results: Results) -> NDArray[np.float64]:
        """Orders of magnitude below 1."""
        return -np.log10(np.maximum(results.column("best").astype(np.float64), LEAST))

    def go_on(self, items: Items, results: Results, number: int) -> Items:
        """From where each ended; a search that left the box goes on from its edge."""
        sizes = results.column("size").clip(SMALLEST, LARGEST) if self.by == "simplex" else np.empty(len(results))
        return self._items(_places(results).clip(-EDGE, EDGE), sizes, number)

    def combine(self, results: Results) -> Minimum:
        """The best of all searches."""
        best = int(self.score(results).argmax())
        place = _places(results)[best, : self.function.dimension].astype(np.float64)
        told = float(results.column("best")[best])
        return Minimum(place, told, self.function(place), len(results))

    def _items(self, places: NDArray[np.floating], sizes: NDArray[np.floating], number: int) -> Items:
        function = self.function
        head = [function.number, function.dimension, function.instance, function.rotated]
        columns = [np.tile(np.array(head, np.float32), (len(places), 1)), places]
        if self.by == "simplex":
            columns.insert(1, sizes[:, None])
        seed = seeds([self.seed, number + 1], len(places))
        return Items.of(TASKS[self.by], np.hstack(columns).astype(np.float32), steps=self.steps, seed=seed)


def _places(results: Results) -> NDArray[np.float32]:
    return np.stack([results.column(f"x_{j}") for j in range(MOST_DIMENSIONS)], axis=1)

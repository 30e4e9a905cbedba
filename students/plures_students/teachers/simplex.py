"""What Nelder and Mead's method does, as actions: where each tries next, and what is then seen of it.

V vertices, one more than D coordinates.
"""

from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Discrete

from .learner import Real

REFLECT, EXPAND, OUTSIDE, INSIDE, SHRINK = range(5)
WAITING, READY, BEST, GOOD, FAIR, POOR = range(6)
"""Vertices wait for their values; all have theirs; the trial is below the best vertex, below the worst but one, below
the worst, not even that (or above what was tried from the same vertices)."""
ACTIONS, SIGHTS = Discrete(5), Discrete(6)


@dataclass(frozen=True)
class Coefficients:
    """How far trials lie from the centroid, for each action but SHRINK, and how much vertices draw in.

    They depend on the dimension (Gao & Han 2012, Comput. Optim. Appl. 51:259, eq. 4.1).
    """

    away: tuple[float, float, float, float]
    shrunk: float

    @classmethod
    def of(cls, dimension: int) -> "Coefficients":
        contracted = 0.75 - 1 / (2 * dimension)
        return cls((1.0, 1 + 2 / dimension, contracted, -contracted), 1 - 1 / dimension)


class Simplex:
    """One simplex in the midst of a search: Nelder & Mead 1965 (Comput. J. 7:308), a function value a step.

    Trials are made from the worst vertex through the centroid of the others. The best of those made from the same
    vertices is held, and takes the worst one's place when the next reflection begins; shrinking drops it. Vertices that
    shrank, and all but the first one at the beginning, wait for their values: whatever is done, the next gets it.
    """

    def __init__(self, vertices_VD: Real, value: float) -> None:
        self._vertices_VD = vertices_VD.copy()
        self._values_V = np.full(len(vertices_VD), np.inf)
        self._values_V[0] = value
        self._held: tuple[Real, float] | None = None
        self._coefficients = Coefficients.of(vertices_VD.shape[1])
        self.sight, self.lowest = WAITING, value

    def place(self, action: int) -> Real:
        """Where an action would have the function looked at, [D]."""
        place_D: Real
        if self.sight == WAITING:
            place_D = self._vertices_VD[self._waiting()]
            return place_D
        if action == SHRINK:
            place_D = self._shrunk()[1]
            return place_D
        vertices_VD, _ = self._settled() if action == REFLECT else (self._vertices_VD, self._values_V)
        centroid_D = vertices_VD[:-1].mean(axis=0)
        place_D = centroid_D + self._coefficients.away[action] * (centroid_D - vertices_VD[-1])
        return place_D

    def take(self, action: int, value: float) -> float:
        """Go on with the value there; what it pays: 1 for the lowest yet, else 0."""
        place_D, pays = self.place(action), float(value < self.lowest)
        self.lowest = min(value, self.lowest)
        if self.sight != WAITING and action != SHRINK:
            self._try(action, place_D, value)
            return pays
        if self.sight != WAITING:
            self._vertices_VD, self._held = self._shrunk(), None
            self._values_V[1:] = np.inf
        self._values_V[self._waiting()] = value
        self.sight = WAITING if np.isinf(self._values_V).any() else READY
        if self.sight == READY:
            self._sort()
        return pays

    def _try(self, action: int, place_D: Real, value: float) -> None:
        if action == REFLECT:
            (self._vertices_VD, self._values_V), self._held = self._settled(), None
        bounds = self._values_V[0], self._values_V[-2], self._values_V[-1]
        is_good = value < bounds[-1] and (self._held is None or value <= self._held[1])
        if is_good:
            self._held = place_D, value
        self.sight = BEST + int(np.searchsorted(bounds, value, side="right")) if is_good else POOR

    def _settled(self) -> tuple[Real, Real]:
        """Vertices and their values, sorted, with what is held in the worst one's place."""
        vertices_VD, values_V = self._vertices_VD.copy(), self._values_V.copy()
        if self._held is not None:
            vertices_VD[-1], values_V[-1] = self._held
        order_V = np.argsort(values_V, kind="stable")
        return vertices_VD[order_V], values_V[order_V]

    def _shrunk(self) -> Real:
        best_D = self._vertices_VD[0]
        shrunk_VD: Real = best_D + self._coefficients.shrunk * (self._vertices_VD - best_D)
        return shrunk_VD

    def _sort(self) -> None:
        self._vertices_VD, self._values_V = self._settled()

    def _waiting(self) -> int:
        return int(np.isinf(self._values_V).argmax())

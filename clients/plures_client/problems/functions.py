"""The server's functions to be minimised, as the client knows them: to check what copies say that they found.

Numbered as in the server's task `minimise`, drawn from the same numbers. D coordinates.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..counter import normal, uniform
from ..errors import InvalidArgument

NAMES = ("sphere", "ellipsoid", "rastrigin", "rosenbrock")
MOST_DIMENSIONS = 20
FARTHEST = 4.0
PLACE_STREAM, RADIUS_STREAM, ANGLE_STREAM = 1, 2, 3

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Function:
    """One of BBOB's functions (Hansen et al. 2009, INRIA RR-6829), without bends and noise; its least value is 0."""

    name: str = "sphere"
    dimension: int = 5
    instance: int = 1
    rotated: bool = True

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise InvalidArgument(f"no function {self.name!r} is known; known: {', '.join(NAMES)}")
        if not 2 <= self.dimension <= MOST_DIMENSIONS:
            raise InvalidArgument(f"a function of {self.dimension} dimensions given; it has 2 to {MOST_DIMENSIONS}")
        if not 0 <= self.instance <= 2**24:
            raise InvalidArgument(f"instance {self.instance} given; it is a number from 0 to 2²⁴")

    @property
    def number(self) -> int:
        return NAMES.index(self.name)

    @property
    def least_place(self) -> Real:
        """Where its value is 0, [D]."""
        drawn = uniform(self.instance, np.arange(MOST_DIMENSIONS), PLACE_STREAM).astype(np.float64)
        return FARTHEST * (2 * drawn[: self.dimension] - 1)

    def __call__(self, x_D: Real) -> float:
        """Its value at a place."""
        z_D: Real = np.asarray(x_D, np.float64)[: self.dimension] - self.least_place
        if self.rotated:
            z_D = self._turned(z_D)
        return float(_VALUES[self.name](z_D))

    def _turned(self, z_D: Real) -> Real:
        numbers = np.arange(MOST_DIMENSIONS**2)
        normals = normal(self.instance, numbers, RADIUS_STREAM, ANGLE_STREAM).reshape(MOST_DIMENSIONS, MOST_DIMENSIONS)
        for normal_D in normals[: self.dimension, : self.dimension]:
            z_D = z_D - 2 * normal_D * (normal_D @ z_D) / (normal_D @ normal_D)
        return z_D


def _ellipsoid(z_D: Real) -> float:
    return float((10 ** (6 * np.arange(len(z_D)) / (len(z_D) - 1)) * z_D**2).sum())


def _rastrigin(z_D: Real) -> float:
    return float((10 * (1 - np.cos(2 * np.pi * z_D)) + z_D**2).sum())


def _rosenbrock(z_D: Real) -> float:
    w_D = max(1.0, len(z_D) ** 0.5 / 8) * z_D + 1
    return float((100 * (w_D[:-1] ** 2 - w_D[1:]) ** 2 + (w_D[:-1] - 1) ** 2).sum())


_VALUES = {
    "sphere": lambda z_D: z_D @ z_D,
    "ellipsoid": _ellipsoid,
    "rastrigin": _rastrigin,
    "rosenbrock": _rosenbrock,
}

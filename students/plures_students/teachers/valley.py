"""A world for optimisers: functions of one number that go down to somewhere, and slopes and steps in powers of two.

Optimisers that treat coordinates apart, as SGD and Adam do, are as many lives as there are coordinates.

Shapes: B lives, V levels.
"""

from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from plures_kernels.errors import InvalidArgument

from .learner import Real, Whole

_MAGNITUDES = 2.0 ** np.arange(-12, 4)
LEVELS_V: Real = np.concatenate([-_MAGNITUDES[::-1], [0.0], _MAGNITUDES])
"""What slopes are observed as, and what steps can be taken: 0 and ± 2⁻¹², 2⁻¹¹, … 2³."""
_LOWEST = 1e-12


@dataclass(frozen=True)
class Valley:
    """f(x) = h x² / 2 + ripple (1 − cos 2πx), from a random place with a random h in [1 / steepness, steepness].

    Quadratics, or, with ripples, Rastrigin's function of one number (BBOB f3, Hansen et al. 2009). A learner observes
    the slope, rounded to a level in its logarithm; an action is the step of a level; a reward is by how many powers of
    ten f fell, within ± 1. One endless episode.
    """

    steepness: float = 10.0
    ripple: float = 0.0

    def __post_init__(self) -> None:
        if self.steepness < 1 or self.ripple < 0:
            raise InvalidArgument(f"a valley of steepness {self.steepness} and ripple {self.ripple} is none")

    @property
    def observation_space(self) -> Discrete:
        return Discrete(len(LEVELS_V))

    @property
    def action_space(self) -> Discrete:
        return Discrete(len(LEVELS_V))

    def begin(self, lives: int, rng: np.random.Generator) -> "ValleyPlaces":
        curve_B = self.steepness ** rng.uniform(-1, 1, lives)
        return ValleyPlaces(self, curve_B, rng.normal(0, 2, lives))


class ValleyPlaces:
    """Descents under way."""

    def __init__(self, world: Valley, curve_B: Real, at_B: Real) -> None:
        self.world = world
        self.curve_B = curve_B
        self.at_B = at_B

    @property
    def observation_B(self) -> Whole:
        ripple_B = 2 * np.pi * self.world.ripple * np.sin(2 * np.pi * self.at_B)
        return nearest(self.curve_B * self.at_B + ripple_B)

    def facts(self) -> dict[str, Real]:
        return {"height": self._height()}

    def step(self, action_B: Whole) -> tuple[Real, NDArray[np.bool_]]:
        before_B = self._height()
        self.at_B = self.at_B + LEVELS_V[action_B]
        fallen_B = np.log10(before_B + _LOWEST) - np.log10(self._height() + _LOWEST)
        return fallen_B.clip(-1, 1), np.zeros(len(action_B), np.bool_)

    def _height(self) -> Real:
        ripple_B = self.world.ripple * (1 - np.cos(2 * np.pi * self.at_B))
        height_B: Real = self.curve_B * self.at_B**2 / 2 + ripple_B
        return height_B


def nearest(value_B: Real) -> Whole:
    """The level of each value: that of the nearest magnitude in logarithms, 0 for much less than the least."""
    power_B = np.round(np.log2(np.maximum(np.abs(value_B), _LOWEST)))
    place_B = np.clip(power_B - np.log2(_MAGNITUDES[0]), -1, len(_MAGNITUDES) - 1) + 1
    level_B: Whole = (len(_MAGNITUDES) + np.sign(value_B) * place_B).astype(np.int64)
    return level_B
